"""Material, split and recipe -> a fitted network, and logits it gives for images it never saw. Read `learn` first.

Three ways to learn, as the recipe says: the head alone on features of the frozen backbone; then also the last blocks of
the backbone; or everything from the start. In each, what does not change is computed once per image and kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from trainer.augment import copies_of
from trainer.backbones import BACKBONES
from trainer.clock import Clock
from trainer.features import compute_features
from trainer.groups import kept_together
from trainer.heads import Schedule, build_head, fit_blocks, fit_head, fit_whole, logits_of, root_mean_square
from trainer.material import Material
from trainer.recipes import Recipe
from trainer.split import Split, folds
from trainer.store import Rows
from trainer.trunk import Trunk, cut


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """One recipe on one split of the data.

    Attributes:
        recipe: The training choices.
        material: The images.
        split: Which of them are learned from.
        trunk: The backbone; a recipe that lets it learn changes it.
        cache: The cache's root.
        seed: Of everything random.
    """

    recipe: Recipe
    material: Material
    split: Split
    trunk: Trunk
    cache: Path
    seed: int

    @property
    def learned(self) -> npt.NDArray[np.bool_]:
        """Which images of the dataset are learned from, `(n,) bool`."""
        return self.having(self.split.train)

    @property
    def targets(self) -> npt.NDArray[np.int64]:
        """Index of each image's label, `(n,) int64`."""
        return self.material.dataset.targets(self.material.dataset.labels)

    def having(self, keys: Sequence[str]) -> npt.NDArray[np.bool_]:
        """Which images of the dataset have one of these keys, `(n,) bool`."""
        return np.isin(self.material.dataset.keys, keys)


@dataclass(frozen=True, slots=True, eq=False)
class Learned:
    """What a task ended with.

    Attributes:
        task: The task; its trunk is the one the head belongs to.
        head: Features -> logits.
        model: The part of the network that has learned: what enters it -> logits.
        inputs: What enters that part, of every image of the dataset.
    """

    task: Task
    head: Any
    model: Any
    inputs: Rows

    def logits(self, keys: Sequence[str]) -> npt.NDArray[np.float32]:
        """Logits of some images in the dataset's order, `(len(keys), labels) float32`."""
        return logits_of(self.model, self.inputs.select(self.task.having(keys)))


def learn(task: Task, clock: Clock) -> Learned:
    """Fit as the recipe says.

    Args:
        task: What to fit.
        clock: Told how long the stages took.
    """
    if not task.recipe.frozen:
        return _learn_whole(task, clock)
    task.trunk.model.trainable = False
    return _learn_blocks(task, clock) if task.recipe.fine_tune else _learn_head(task, clock)


def unseen_logits(learned: Learned, clock: Clock) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Logits of images of the training side that the fitted parts never saw, for choosing the operating point.

    Where the recipe says `folds`, they come from one further head per fold, fitted like the model's own on the other
    folds; the images are all those learned from. Else they are the model's own, of the part set aside.

    Args:
        learned: What `learn` returned.
        clock: Told how long it took.

    Returns:
        `(n, labels) float32`, and `(n,) int64`, the index of each image's true label.
    """
    task = learned.task
    if not task.recipe.folds:
        return learned.logits(task.split.validation), task.targets[task.having(task.split.validation)]
    targets, own = task.targets[task.learned], learned.inputs.select(task.learned)
    with clock.stage("cross-fit"):
        versions = _versions(task, task.trunk.model)
        images = task.material.dataset.only(task.split.train)
        groups = kept_together(images, task.material.together, by_patient=True)
        fold_of = folds(images.keys, targets, groups, count=task.recipe.folds, seed=task.seed)
        logits = np.empty((len(targets), len(task.material.dataset.labels)), np.float32)
        for fold in range(task.recipe.folds):
            others = [rows.select(fold_of != fold) for rows in versions]
            head = _fit_head(task, others, targets[fold_of != fold], what=f"cross-fit {fold + 1}/{task.recipe.folds}")
            logits[fold_of == fold] = logits_of(head, own.select(fold_of == fold))
    return logits, targets


def schedule_of(recipe: Recipe, seed: int) -> Schedule:
    """How long and how fast a recipe's head learns."""
    return Schedule(epochs=recipe.epochs, batch=recipe.batch, learning_rate=recipe.learning_rate, seed=seed)


def _learn_head(task: Task, clock: Clock) -> Learned:
    with clock.stage("features"):
        versions = _versions(task, task.trunk.model)
        inputs = _inputs(task, task.trunk.model)
    with clock.stage("fit"):
        head = _fit_head(task, versions, task.targets[task.learned], what="training")
    return Learned(task, head, model=head, inputs=inputs)


def _learn_blocks(task: Task, clock: Clock) -> Learned:
    tune = task.recipe.fine_tune
    assert tune is not None  # noqa: S101 - `learn` asked
    head = _learn_head(task, clock).head
    lower, upper = cut(task.trunk.model, BACKBONES[task.recipe.backbone], tune.blocks)
    schedule = Schedule(tune.epochs, task.recipe.batch, tune.learning_rate, task.seed)
    with clock.stage("features below the blocks"):
        versions, inputs = _versions(task, lower), _inputs(task, lower)
    with clock.stage("fine-tune"):
        model = fit_blocks(upper, head, versions, task.targets[task.learned], schedule, what="fine-tuning")
    return Learned(task, head, model=model, inputs=inputs)


def _learn_whole(task: Task, clock: Clock) -> Learned:
    head, pixels = _new_head(task), task.material.pixels
    schedule = schedule_of(task.recipe, task.seed)
    with clock.stage("fit"):
        model = fit_whole(
            task.trunk.model,
            head,
            pixels.select(task.learned),
            task.targets[task.learned],
            schedule,
            what="training",
        )
    return Learned(task, head, model=model, inputs=pixels)


def _fit_head(task: Task, versions: Sequence[Rows], targets: npt.NDArray[np.int64], *, what: str) -> Any:
    rms = root_mean_square(versions[0])
    start, schedule = _new_head(task, features_rms=rms), schedule_of(task.recipe, task.seed)
    return fit_head(start, versions, targets, schedule, what=what, features_rms=rms)


def _new_head(task: Task, features_rms: float = 1.0) -> Any:
    labels = len(task.material.dataset.labels)
    return build_head(task.recipe.head, task.trunk.features_shape, labels, seed=task.seed, features_rms=features_rms)


def _inputs(task: Task, network: Any) -> Rows:
    """What a network makes of every image."""
    return compute_features(task.material.pixels, task.material.dataset.keys, network, task.cache)


def _versions(task: Task, network: Any) -> list[Rows]:
    """What a network makes of the images learned from, one entry for each epoch until they begin anew.

    Without augmentation one: the images as they are. With it one for each augmented copy, and then the images as they
    are where the recipe says so.
    """
    pixels = task.material.pixels.select(task.learned)
    keys = [key for key, chosen in zip(task.material.dataset.keys, task.learned, strict=True) if chosen]
    augmentation = task.recipe.augmentation
    copies = copies_of(augmentation) if augmentation else []
    moved = [
        compute_features(pixels, keys, network, task.cache, copy, what=f"copy {copy.number + 1}/{len(copies)}")
        for copy in copies
    ]
    if augmentation and not augmentation.with_originals:
        return moved
    return [*moved, compute_features(pixels, keys, network, task.cache)]
