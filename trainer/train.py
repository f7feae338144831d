"""The training run, in pipeline order. Read `train` first.

dataset -> pixels -> split -> backbone -> features -> head -> metrics -> model.keras
"""

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from edge.decide import softmax
from edge.errors import ConfigError
from trainer.clock import Clock
from trainer.dataset import Dataset, read_dataset
from trainer.evaluate import evaluate, positive_label
from trainer.features import compute_features, decode_images
from trainer.heads import Schedule, build_head, fit_head, fit_whole, logits_of, root_mean_square
from trainer.model_file import MODEL_NAME, DataSummary, TrainedModel, Training, write_model
from trainer.recipes import Recipe
from trainer.split import Split, random_split
from trainer.store import Rows
from trainer.trunk import NONE, Trunk, load_trunk

METRICS_NAME: Final = "metrics.json"
_PACKAGES: Final = ("edge-xray", "tensorflow", "keras", "numpy", "Pillow")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a run is asked to do.

    Attributes:
        data: The dataset's folder.
        recipe: The training choices.
        weights: `imagenet`, `none`, or a file.
        out: Folder for `model.keras` and `metrics.json`; must not hold a model yet.
        cache: The cache's root.
        seed: Of everything random.
        positive: The label that is looked for; None where the names tell.
        skip_bad: Leave unreadable images out instead of stopping.
    """

    data: Path
    recipe: Recipe
    weights: str
    out: Path
    cache: Path
    seed: int = 0
    positive: str | None = None
    skip_bad: bool = False


def train(order: Order) -> dict[str, Any]:
    """Train as ordered and write `model.keras` and `metrics.json`.

    Returns:
        What `metrics.json` holds.

    Raises:
        DataError: The data or the weights are not usable.
        ConfigError: The order contradicts itself or what is on the disk.
    """
    _check_out(order.out)
    clock = Clock()
    with clock.stage("read"):
        found = read_dataset(order.data)
    positive = positive_label(found.labels, order.positive)
    with clock.stage("decode"):
        dataset, pixels = decode_images(found, order.cache, skip_bad=order.skip_bad)
    split = random_split(dataset, test_share=order.recipe.test_share, seed=order.seed)
    log_split(dataset, split)
    with clock.stage("weights"):
        trunk = load_trunk(order.recipe.backbone, weights=order.weights, alpha=order.recipe.alpha, seed=order.seed)
    if order.recipe.frozen and order.weights == NONE:
        log.warning("the backbone is frozen and has random weights: expect little of this model")
    head, logits = _fit(order, dataset, pixels, split=split, trunk=trunk, clock=clock)
    with clock.stage("evaluate"):
        held_out = dataset.only(split.held_out)
        metrics = evaluate(softmax(logits), held_out.targets(dataset.labels), dataset.labels, positive)
    training = Training(
        created_at=datetime.now(UTC).replace(microsecond=0),
        recipe=order.recipe,
        seed=order.seed,
        labels=dataset.labels,
        positive=positive,
        features=trunk.features_shape,
        split=split,
        data=_summary(dataset, skipped=len(found.items) - len(dataset.items)),
        weights=trunk.origin,
        metrics=metrics,
        versions={package: version(package) for package in _PACKAGES},
        seconds=clock.seconds,
    )
    write_model(TrainedModel(trunk.model, head, training), order.out / MODEL_NAME)
    document = metrics_document(training)
    write_document(document, order.out / METRICS_NAME)
    return document


def write_document(document: dict[str, Any], path: Path) -> None:
    """Write `metrics.json`, making its folder where it is missing.

    Raises:
        ConfigError: The folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n")
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}; free some space or name another --out") from error


def metrics_document(training: Training) -> dict[str, Any]:
    """What `metrics.json` holds: the metrics, and what a reader needs to trust and to repeat them."""
    recipe, split = training.recipe, training.split
    return {
        **msgspec.to_builtins(training.metrics),
        "recipe": recipe.name,
        "backbone": recipe.backbone,
        "head": recipe.head,
        "split": split.name,
        "seed": training.seed,
        "seconds": training.seconds,
        "n_train": len(split.train),
        "duplicates": training.data.duplicates,
        "patients_on_both_sides": split.patients_on_both_sides,
        "choices": msgspec.to_builtins(recipe),
        "data": msgspec.to_builtins(training.data),
        "weights": msgspec.to_builtins(training.weights),
        "versions": training.versions,
        "created_at": msgspec.to_builtins(training.created_at),
    }


def schedule_of(recipe: Recipe, seed: int) -> Schedule:
    """How long and how fast a recipe's head learns."""
    return Schedule(epochs=recipe.epochs, batch=recipe.batch, learning_rate=recipe.learning_rate, seed=seed)


def log_split(dataset: Dataset, split: Split) -> None:
    """Say what is learned from, what is held out, and how far the two are apart."""
    log.info("%d images, %d learned from, %d held out", len(dataset.items), len(split.train), len(split.held_out))
    log.info("%d duplicate files left out", dataset.duplicates)
    if split.patients_on_both_sides:
        log.warning(
            "%d patients have images on both sides of the %s split: expect less on new patients",
            split.patients_on_both_sides,
            split.name,
        )


def _fit(
    order: Order, dataset: Dataset, pixels: Rows, *, split: Split, trunk: Trunk, clock: Clock
) -> tuple[Any, npt.NDArray[np.float32]]:
    """The fitted head, and the held-out images' logits in the dataset's order."""
    recipe, schedule = order.recipe, schedule_of(order.recipe, order.seed)
    learned = np.isin(dataset.keys, split.train)
    targets = dataset.targets(dataset.labels)[learned]
    new_head = partial(build_head, recipe.head, trunk.features_shape, len(dataset.labels), seed=order.seed)
    if not recipe.frozen:
        head = new_head()
        with clock.stage("fit"):
            whole = fit_whole(trunk.model, head, pixels.select(learned), targets, schedule, what="training")
        return head, logits_of(whole, pixels.select(~learned))
    trunk.model.trainable = False
    with clock.stage("features"):
        features = compute_features(pixels, dataset.keys, trunk.model, order.cache)
    with clock.stage("fit"):
        part = features.select(learned)
        head = fit_head(new_head(features_rms=root_mean_square(part)), part, targets, schedule, what="training")
    return head, logits_of(head, features.select(~learned))


def _summary(dataset: Dataset, *, skipped: int) -> DataSummary:
    return DataSummary(
        name=dataset.root.resolve().name,
        fingerprint=dataset.fingerprint(),
        counts=dataset.counts(),
        duplicates=dataset.duplicates,
        skipped=skipped,
        sources=dataset.sources(),
    )


def _check_out(out: Path) -> None:
    if (out / MODEL_NAME).exists():
        raise ConfigError(f"{out / MODEL_NAME} exists and is never overwritten; name another --out or remove it")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"cannot make the folder {out}: {error.strerror}; name another --out") from error
