"""What was measured -> the bundle's card, in plain sentences. Nothing here measures anything."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import msgspec

from converter.keys import version_of
from converter.metadata import About
from converter.operators import needs
from edge.bundle.bundle import TRAINED_ON_DIGITS, Bundle, Card, Parity
from edge.wire.messages import NOTICE
from trainer.backbones import BACKBONES
from trainer.evaluate import Metrics
from trainer.heads import Schedule
from trainer.model_file import Training
from trainer.report.limits import one_source_per_class
from trainer.split import Split
from trainer.trunk import IMAGENET, NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """What became of a trained model on its way to the shipped file.

    Attributes:
        metrics: Of the shipped file on the held-out images.
        parity: Of the shipped file with the models it stands for.
        allowed: Why it may pass although parity is beyond the budget; None where it is within.
        refit: How the head was refitted.
        trained_sha256: Of the trainer's head's weights, by which the model is known again.
        head_sha256: Of the refitted head's weights.
        calibration_images: How many images the quantizer saw.
    """

    metrics: Metrics
    parity: Parity
    allowed: str | None
    refit: Schedule
    trained_sha256: str
    head_sha256: str
    calibration_images: int


def make_bundle(model: bytes, training: Training, conversion: Conversion, *, version: int | None = None) -> Bundle:
    """Put a model and its card together.

    Args:
        model: Content of the `.tflite`.
        training: How the trainer's model came to be.
        conversion: What became of it.
        version: Of the bundle; by default the time of its making.

    Raises:
        GateError: The oldest runtime that is supported could not load the model.
    """
    needed = needs(model)
    created_at = datetime.now(UTC).replace(microsecond=0)
    point = training.operating_point
    card = Card(
        name=training.recipe.name,
        created_at=created_at,
        version=version_of(created_at) if version is None else version,
        model_sha256=sha256(model).hexdigest(),
        labels=training.labels,
        positive=training.positive,
        threshold=point.threshold,
        temperature=point.temperature,
        band=point.band,
        backbone=training.recipe.backbone,
        head=training.recipe.head,
        features=training.features,
        ahead_cells=BACKBONES[training.recipe.backbone].ahead_cells,
        recipe=_history(training, conversion),
        metrics=msgspec.to_builtins(conversion.metrics),
        parity=conversion.parity,
        allowed=conversion.allowed,
        validated_on=validated_on(training, conversion.metrics),
        not_validated_on=not_validated_on(training),
        licence=licence_note(training),
        operators=needed.operators,
        oldest_runtime=needed.oldest_runtime,
        trained_on="".join(key[:TRAINED_ON_DIGITS] for key in (*training.split.train, *training.split.validation)),
    )
    return Bundle(card, model)


def _history(training: Training, conversion: Conversion) -> dict[str, Any]:
    """What was chosen in training and in conversion."""
    return {
        **_choices(training),
        "calibration_images": conversion.calibration_images,
        "trained_head_sha256": conversion.trained_sha256,
        "refit": {**asdict(conversion.refit), "head_sha256": conversion.head_sha256},
    }


def about(training: Training) -> About:
    """What other programs are told that know nothing of bundles."""
    return About(
        name=training.recipe.name,
        description=f"{' or '.join(training.labels)}? {NOTICE} Not validated on {not_validated_on(training)}",
        licence=licence_note(training),
        labels=training.labels,
        temperature=training.operating_point.temperature,
    )


def licence_note(training: Training) -> str:
    """Under whose terms the weights are, as far as the trainer can know."""
    backbone, weights = BACKBONES[training.recipe.backbone], training.weights.weights
    terms = {
        NONE: "No pretrained weights.",
        IMAGENET: f"Began with Keras' ImageNet weights of {backbone.application}, {backbone.licence}.",
    }.get(
        weights,
        f"Began with {weights}, under the terms of its source; the published weights of {backbone.application} are "
        f"under {backbone.licence}.",
    )
    return f"{terms} Learned from the images of {training.data.name!r}, under the terms of their sources."


def _choices(training: Training) -> dict[str, Any]:
    """What was chosen, in the trainer's words."""
    return {
        **msgspec.to_builtins(training.recipe),
        "seed": training.seed,
        "weights": msgspec.to_builtins(training.weights),
        "data": msgspec.to_builtins(training.data),
        "n_train": len(training.split.train),
        "n_held_out": len(training.split.held_out),
        "operating_point": msgspec.to_builtins(training.operating_point),
        "patients_on_both_sides": training.split.patients_on_both_sides,
        "versions": training.versions,
    }


def validated_on(training: Training, metrics: Metrics) -> str:
    """What data the card's metrics come from."""
    counts = zip(metrics.labels, metrics.confusion_matrix, strict=True)
    per_class = ", ".join(f"{sum(row)} {label}" for label, row in counts)
    shared = training.split.patients_on_both_sides
    patients = {
        None: " Whether patients have images on both sides is not known.",
        0: " No patient has images on both sides.",
    }.get(shared, f" {shared} patients have images on both sides, which flatters the figures.")
    return (
        f"{metrics.accuracy:.1%} right on {metrics.n} images of {training.data.name!r} ({per_class}), drawn "
        f"{_how(training.split)} and held out of training, calibration and refitting.{patients}"
    )


def _how(split: Split) -> str:
    """How the held-out images were drawn, in words."""
    return {
        "random": "at random",
        "patient": "at random by patient",
        "source": f"as all images of the source {split.source!r}",
    }[split.name]


def not_validated_on(training: Training) -> str:
    """What nobody has tried, and what the data itself makes doubtful."""
    shortcut = (
        " No source gave images of more than one class: the model may know the source instead of the disease."
        if one_source_per_class(training.data.sources)
        else ""
    )
    return (
        f"images from hospitals, machines or patients outside {training.data.name!r}, projections, ages or diseases it "
        f"does not hold, clinical use.{shortcut}"
    )
