"""Recipes: named, frozen sets of training choices. The first thing a run reads and the last it writes beside the model.

A recipe holds every choice that changes the result, except the seed, the data and the weights, which a run is given.
"""

from typing import Annotated, Final, Literal

import msgspec

Positive = Annotated[float, msgspec.Meta(gt=0)]
Count = Annotated[int, msgspec.Meta(ge=1)]


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """One way to train.

    Attributes:
        name: What `--recipe` calls it.
        backbone: A name of `trainer.backbones.BACKBONES`.
        head: `paper` = Flatten, Dense 512 ReLU, Dense 256 ReLU, Dense; `gap` = global average pooling, Dense.
        frozen: True where the backbone keeps its weights and only the head learns.
        epochs: Passes over the training part.
        batch: Images per step.
        learning_rate: Adam's.
        test_share: Share of each class that is held out, 0-1.
        alpha: Width of a MobileNet; 1 for every other backbone.
        split: How the held-out part is drawn: `random`, per class, as in the paper.
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
    split: Literal["random"] = "random"


PAPER_MOBILENET: Final = Recipe(name="paper-mobilenet", backbone="mobilenet", head="paper", frozen=True, epochs=50)
PAPER_VGG19: Final = Recipe(name="paper-vgg19", backbone="vgg19", head="paper", frozen=True, epochs=50)
PHANTOM_MOBILENET: Final = Recipe(
    name="phantom-mobilenet",
    backbone="mobilenet",
    head="gap",
    frozen=False,
    epochs=8,
    learning_rate=3e-3,
    test_share=0.1,
    alpha=0.25,
)
"""Small, and trained end to end from random weights: the demo's synthetic phantoms need no pretrained network."""

RECIPES: Final = {recipe.name: recipe for recipe in (PAPER_MOBILENET, PAPER_VGG19, PHANTOM_MOBILENET)}
