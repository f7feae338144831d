"""The training run, in pipeline order. Read `train` first.

dataset -> pixels -> split -> backbone -> features -> head -> operating point -> metrics -> model.keras
"""

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from edge.errors import ConfigError
from trainer.answers import Answers, Reading, evidence_of, features_of_trunk, metrics_of
from trainer.backbones import BACKBONES
from trainer.clock import Clock
from trainer.evaluate import Metrics, positive_label
from trainer.explain import head_of
from trainer.learn import Learned, Task, learn, unseen_logits
from trainer.material import Material, open_data
from trainer.metrics_file import METRICS_NAME, metrics_document, write_document
from trainer.model_file import MODEL_NAME, DataSummary, TrainedModel, Training, write_model
from trainer.operating_point import TARGET_ACCURACY, TARGET_SENSITIVITY, OperatingPoint, choose_operating_point
from trainer.recipes import Recipe
from trainer.report.model_card import MODEL_CARD_NAME, write_model_card
from trainer.report.report import REPORT_NAME, write_report
from trainer.split import How, Split, draw_split, set_aside
from trainer.trunk import NONE, load_trunk

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
        split: How the held-out part is drawn; None as the recipe says.
        held_out_source: The source to hold out where `split` is `source`.
        positive: The label that is looked for; None where the names tell.
        target_sensitivity: What the threshold is to reach on validation images.
        target_accuracy: What decisions outside the inconclusive band are to reach there.
        skip_bad: Leave unreadable images out instead of stopping.
    """

    data: Path
    recipe: Recipe
    weights: str
    out: Path
    cache: Path
    seed: int = 0
    split: How | None = None
    held_out_source: str | None = None
    positive: str | None = None
    target_sensitivity: float = TARGET_SENSITIVITY
    target_accuracy: float = TARGET_ACCURACY
    skip_bad: bool = False


def train(order: Order) -> dict[str, Any]:
    """Train as ordered and write the model, its metrics, report and model card.

    Returns:
        What `metrics.json` holds.

    Raises:
        DataError: The data or the weights are not usable.
        ConfigError: The order contradicts itself or what is on the disk.
    """
    _check_out(order.out)
    clock = Clock()
    with clock.stage("read and decode"):
        material = open_data(order.data, order.cache, skip_bad=order.skip_bad)
    positive = positive_label(material.dataset.labels, order.positive)
    split = _split(order, material)
    learned = learn(_task(order, material, split, clock), clock)
    point = _operating_point(order, learned, positive, clock)
    with clock.stage("evaluate"):
        answers = _answers(learned, point, positive)
        metrics = metrics_of(answers)
    training = _training(order, learned, point, metrics, clock)
    write_model(TrainedModel(learned.task.trunk.model, learned.head, training), order.out / MODEL_NAME)
    document = metrics_document(training)
    write_document(document, order.out / METRICS_NAME)
    write_report(evidence_of(answers), document, order.out / REPORT_NAME)
    write_model_card(document, order.out / MODEL_CARD_NAME)
    return document


def _split(order: Order, material: Material) -> Split:
    recipe, dataset = order.recipe, material.dataset
    how: How = order.split or recipe.split
    if how == "patient" and order.split is None and not any(item.patient for item in dataset.items):
        log.warning("the data names no patients, so the split is drawn at random: a patient may be on both sides")
        how = "random"
    split = draw_split(
        dataset,
        how,
        test_share=recipe.test_share,
        seed=order.seed,
        together=material.together,
        held_out_source=order.held_out_source,
    )
    if recipe.validation_share:
        split = set_aside(split, dataset, material.together, share=recipe.validation_share)
    _say_split(split)
    return split


def _say_split(split: Split) -> None:
    """Say what is learned from, what is held out, and how far the two are apart."""
    log.info("%s split: %d images learned from, %d held out", split.name, len(split.train), len(split.held_out))
    if split.validation:
        log.info("%d images are set aside to choose the operating point on", len(split.validation))
    if split.patients_on_both_sides:
        log.warning(
            "%d patients have images on both sides of the %s split: expect less on new patients",
            split.patients_on_both_sides,
            split.name,
        )


def _task(order: Order, material: Material, split: Split, clock: Clock) -> Task:
    recipe = order.recipe
    with clock.stage("weights"):
        trunk = load_trunk(recipe.backbone, weights=order.weights, alpha=recipe.alpha, seed=order.seed)
    if recipe.frozen and order.weights == NONE:
        log.warning("the backbone is frozen and has random weights: expect little of this model")
    return Task(recipe, material, split, trunk, order.cache, order.seed)


def _operating_point(order: Order, learned: Learned, positive: str, clock: Clock) -> OperatingPoint:
    recipe = learned.task.recipe
    logits, targets = unseen_logits(learned, clock)
    return choose_operating_point(
        logits,
        targets,
        learned.task.material.dataset.labels.index(positive),
        target_sensitivity=order.target_sensitivity,
        target_accuracy=order.target_accuracy,
        chosen_on=f"training images, {recipe.folds}-fold cross-fitted" if recipe.folds else "training images set aside",
    )


def _answers(learned: Learned, point: OperatingPoint, positive: str) -> Answers:
    """About the held-out images, at the operating point."""
    task = learned.task
    dataset, held_out = task.material.dataset, task.split.held_out
    reading = Reading(
        labels=dataset.labels,
        positive=positive,
        temperature=point.temperature,
        threshold=point.threshold,
        band=point.band,
        features=features_of_trunk(task.trunk.model),
        head=head_of(learned.head),
        ahead_cells=BACKBONES[task.recipe.backbone].ahead_cells,
    )
    return Answers(
        images=dataset.only(held_out),
        pixels=task.material.pixels.select(task.having(held_out)),
        logits=learned.logits(held_out),
        reading=reading,
    )


def _training(order: Order, learned: Learned, point: OperatingPoint, metrics: Metrics, clock: Clock) -> Training:
    task = learned.task
    return Training(
        created_at=datetime.now(UTC).replace(microsecond=0),
        recipe=order.recipe,
        seed=order.seed,
        labels=task.material.dataset.labels,
        positive=metrics.positive,
        features=task.trunk.features_shape,
        split=task.split,
        data=DataSummary.of(task.material.dataset, skipped=task.material.skipped),
        weights=task.trunk.origin,
        operating_point=point,
        metrics=metrics,
        versions={package: version(package) for package in _PACKAGES},
        seconds=clock.seconds,
    )


def _check_out(out: Path) -> None:
    if (out / MODEL_NAME).exists():
        raise ConfigError(f"{out / MODEL_NAME} exists and is never overwritten; name another --out or remove it")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"cannot make the folder {out}: {error.strerror}; name another --out") from error
