"""Recipes: named, frozen sets of training choices. The first thing a run reads and the last it writes beside the model.

A recipe holds every choice that changes the result, except the seed, the data and the weights, which a run is given.
What the paper leaves open in `paper-*`, and what was chosen, is told in `docs/results.md`.
"""

from typing import Annotated, Final, Literal

import msgspec

from trainer.backbones import BACKBONES

Positive = Annotated[float, msgspec.Meta(gt=0)]
Count = Annotated[int, msgspec.Meta(ge=1)]
Share = Annotated[float, msgspec.Meta(ge=0, lt=1)]


class Augmentation(msgspec.Struct, frozen=True, kw_only=True):
    """How far a training image is moved at random; every value is drawn evenly between its negative and itself.

    Attributes:
        rotation_deg: Turned about the middle.
        width_shift: Moved sideways, as a share of the width.
        height_shift: Moved up or down, as a share of the height.
        shear_deg: Slanted.
        zoom: Each side stretched or squeezed by this share, each on its own.
        copies: Different versions kept of each image, taken in turn, one in an epoch.
        with_originals: Whether an epoch of the images as they are closes each round of copies, and so the training.
    """

    rotation_deg: float
    width_shift: float
    height_shift: float
    shear_deg: float
    zoom: float
    copies: Count
    with_originals: bool = False


class FineTune(msgspec.Struct, frozen=True, kw_only=True):
    """A second stage, in which the last blocks of the backbone learn together with the head.

    Attributes:
        blocks: How many; BatchNorm keeps the statistics it came with.
        epochs: Passes over the training part.
        learning_rate: Adam's, well below the first stage's.
    """

    blocks: Count
    epochs: Count
    learning_rate: Positive


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """One way to train.

    Attributes:
        name: What `--recipe` calls it.
        backbone: A name of `trainer.backbones.BACKBONES`.
        head: `paper` = Flatten, Dense 512 ReLU, Dense 256 ReLU, Dense; `gap` = global average pooling, Dense.
        frozen: True where the backbone keeps its weights and only the head learns, as far as `fine_tune` says no more.
        epochs: Passes over the training part.
        batch: Images per step.
        learning_rate: Adam's.
        test_share: Share of the images that is held out, 0-1.
        alpha: Width of a backbone that comes in several.
        split: How the held-out part is drawn unless the run says otherwise: `random`, per class, as in the paper, or
            `patient`, no patient on both sides, where the data names patients.
        augmentation: Of the training images; None for none.
        fine_tune: The second stage; None for none.
        folds: The operating point is chosen on logits of heads that never saw the image, one head per fold of the
            training part; the model's own head then learns from all of it. 0 where `validation_share` is given.
        validation_share: Or on this share of the training part, which then nothing learns from.
    """

    name: str
    backbone: str
    head: Literal["paper", "gap"]
    frozen: bool
    epochs: Count
    batch: Count = 32
    learning_rate: Positive = 1e-3
    test_share: Annotated[float, msgspec.Meta(gt=0, lt=1)] = 0.2
    alpha: Positive = 1.0
    split: Literal["random", "patient"] = "random"
    augmentation: Augmentation | None = None
    fine_tune: FineTune | None = None
    folds: int = 0
    validation_share: Share = 0.0

    def __post_init__(self) -> None:
        """Refuse choices that contradict each other."""
        if (self.fine_tune or self.augmentation) and not self.frozen:
            raise ValueError(f"{self.name}: augmentation and a second stage belong to a frozen backbone")
        if (self.folds >= _FEWEST_FOLDS) == (self.validation_share > 0):
            raise ValueError(f"{self.name}: expected two or more folds or a validation_share, got both or neither")
        if self.folds and (self.fine_tune or not self.frozen):
            raise ValueError(f"{self.name}: folds need a backbone that stays as it is; give a validation_share")
        if self.augmentation and self.augmentation.with_originals and self.epochs % (self.augmentation.copies + 1):
            raise ValueError(
                f"{self.name}: expected epochs in whole rounds of {self.augmentation.copies} copies and the images as "
                f"they are, got {self.epochs}"
            )


_FEWEST_FOLDS: Final = 2

PAPER_AUGMENTATION: Final = Augmentation(
    rotation_deg=10, width_shift=0.2, height_shift=0.2, shear_deg=0.2, zoom=0.2, copies=4, with_originals=True
)
"""The paper's ranges. It names shear without an amount: 0.2, the number that stands beside these in Keras' examples.
Nor does it say how moved images are mixed with the others: an epoch of each copy, then one of the images as they are.
"""


def _paper(backbone: str, *, augmented: bool) -> Recipe:
    return Recipe(
        name=f"paper-{backbone}-aug" if augmented else f"paper-{backbone}",
        backbone=backbone,
        head="paper",
        frozen=True,
        epochs=50,
        augmentation=PAPER_AUGMENTATION if augmented else None,
        folds=3,
    )


def _clinic(backbone: str) -> Recipe:
    return Recipe(
        name=f"clinic-{backbone}",
        backbone=backbone,
        head="gap",
        frozen=True,
        epochs=100,
        learning_rate=3e-3,
        split="patient",
        folds=5,
    )


def _clinic_tuned(backbone: str) -> Recipe:
    return msgspec.structs.replace(
        _clinic(backbone),
        name=f"clinic-{backbone}-tuned",
        fine_tune=FineTune(blocks=1, epochs=5, learning_rate=1e-5),
        folds=0,
        validation_share=0.15,
    )


PHANTOM_MOBILENET: Final = Recipe(
    name="phantom-mobilenet",
    backbone="mobilenet",
    head="gap",
    frozen=False,
    epochs=8,
    learning_rate=3e-3,
    test_share=0.1,
    alpha=0.25,
    validation_share=0.1,
)
"""Small, and trained end to end from random weights: the demo's synthetic phantoms need no pretrained network."""

PAPER: Final = tuple(
    _paper(backbone, augmented=augmented) for backbone in ("vgg19", "mobilenet") for augmented in (True, False)
)
"""The paper's four runs, in the order of its figures 11a, 11b, 12a and 12b."""

RECIPES: Final = {
    recipe.name: recipe
    for recipe in (*PAPER, *map(_clinic, BACKBONES), *map(_clinic_tuned, BACKBONES), PHANTOM_MOBILENET)
}
