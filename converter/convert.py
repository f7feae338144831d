"""The conversion, in pipeline order. Read `convert` first.

material -> calibration sample -> equalized backbone -> int8 backbone -> refitted head -> int8 model -> parity -> gate
-> bundle
"""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from converter.calibrate import calibration_positions
from converter.equalize import equalized
from converter.fold import folded
from converter.gate import allowed, sentence
from converter.golden import with_golden
from converter.guard import guarding, with_guard
from converter.keys import SigningKey
from converter.material import Material, Part, read_material
from converter.metadata import with_metadata
from converter.package import Conversion, about, make_bundle
from converter.parity import measure
from converter.pooling import as_shipped
from converter.quantize import float_model, quantize
from converter.refit import int8_features, keep, refit, refit_schedule
from converter.span import span_of
from edge.bundle.bundle import Bundle, write_bundle, write_new
from edge.errors import BundleError
from trainer.clock import Clock
from trainer.evaluate import Metrics, evaluate
from trainer.heads import Schedule, logits_of
from trainer.model_file import Training
from trainer.trunk import hash_of

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a conversion is asked to do.

    Attributes:
        model: The trainer's `model.keras`.
        data: The folder it was trained on.
        out: The bundle to write; must not exist.
        cache: The cache's root.
        seed: Of the calibration sample and the refitting.
        key: Signs the bundle; None leaves it unsigned.
        version: Of the bundle; None takes the time of its making.
        float_out: Where the trainer's float model goes as a `.tflite`, for comparison; None for nowhere.
        allow: Why the bundle may be written although it exceeds the gate's budget; None for no such reason.
    """

    model: Path
    data: Path
    out: Path
    cache: Path
    seed: int = 0
    key: SigningKey | None = None
    version: int | None = None
    float_out: Path | None = None
    allow: str | None = None


def convert(order: Order) -> dict[str, Any]:
    """Convert as ordered and write the bundle.

    Returns:
        A summary: bundle, size, model id, version, the signing key's fingerprint, metrics and parity of the shipped
        file, seconds by stage.

    Raises:
        ConfigError: There is no such model.
        DataError: The model is not the trainer's, or DATA is not what it was trained on.
        BundleError: The output exists or cannot be written.
        GateError: The int8 model does not decide like those it stands for, and no reason to allow that was given;
            no bundle was written.
    """
    for path in (order.out, *_wanted(order.float_out)):
        _check_out(path)
    clock = Clock()
    with clock.stage("read"):
        material = read_material(order.model, order.data, order.cache)
    trained = material.trained
    positions = calibration_positions(material.learned.targets, trained.training.labels, seed=order.seed)
    sample = material.learned.pixels.take(positions)
    with clock.stage("quantize backbone"):
        trunk = equalized(folded(trained.trunk), sample)
        first = quantize(trunk, trained.head, sample)
    schedule = refit_schedule(trained.training.recipe, order.seed)
    with clock.stage("refit"):
        features = int8_features(first, material.learned, order.cache)
        head = refit(trained.head, features, material.learned.targets, schedule)
        temperature = trained.training.operating_point.temperature
        written, span = as_shipped(head, features, temperature), span_of(logits_of(head, features), temperature)
    with clock.stage("quantize all"):
        shipped = with_metadata(quantize(trunk, written, sample, span), about(trained.training))
    with clock.stage("compare"):
        bundle = _examined(shipped, head, material, schedule=schedule, calibration_images=len(positions), order=order)
    with clock.stage("guard"):
        bundle = with_guard(bundle, guarding(first, material.learned, order.cache))
    with clock.stage("golden vectors"):
        bundle = with_golden(bundle)
    if order.key is not None:
        bundle = order.key.sign(bundle)
    with clock.stage("write"):
        for path in _wanted(order.float_out):
            write_new(float_model(trained.trunk, trained.head), path)
        write_bundle(bundle, order.out)
    log.info("wrote %s, %s, %s", order.out, bundle.model_id, _signed_by(bundle))
    return _summary(bundle, order, clock)


def _summary(bundle: Bundle, order: Order, clock: Clock) -> dict[str, Any]:
    return {
        "bundle": str(order.out),
        "model": bundle.model_id,
        "version": bundle.card.version,
        "signed_by": bundle.signer,
        "size_bytes": order.out.stat().st_size,
        "model_bytes": len(bundle.model),
        "float_bytes": None if order.float_out is None else order.float_out.stat().st_size,
        "metrics": bundle.card.metrics,
        "parity": msgspec.to_builtins(bundle.card.parity),
        "allowed": bundle.card.allowed,
        "seconds": clock.seconds,
    }


def _signed_by(bundle: Bundle) -> str:
    if bundle.signer is None:
        return "not signed: a box will run it only if told to; `edge-converter sign` signs it"
    return f"version {bundle.card.version}, signed by key {bundle.signer}"


def _examined(
    shipped: bytes, head: Any, material: Material, *, schedule: Schedule, calibration_images: int, order: Order
) -> Bundle:
    """The bundle with its figures, if the gate lets it pass or was told to."""
    training = material.trained.training
    found, probabilities = measure(shipped, head, material, order.cache)
    log.info("%s", sentence(found))
    conversion = Conversion(
        metrics=_metrics(probabilities.shipped, training, material.held_out),
        parity=found,
        allowed=allowed(found, order.allow),
        refit=schedule,
        trained_sha256=hash_of(material.trained.head),
        head_sha256=keep(head, order.cache),
        calibration_images=calibration_images,
    )
    return make_bundle(shipped, training, conversion, version=order.version)


def _metrics(probabilities: Any, training: Training, held_out: Part) -> Metrics:
    """Of the shipped file, at the operating point that it takes over from the trainer's model."""
    return evaluate(
        probabilities,
        held_out.targets,
        training.labels,
        training.positive,
        training.operating_point.threshold,
        band=training.operating_point.band,
        patients=[item.patient for item in held_out.images.items],
        sources=[item.source for item in held_out.images.items],
    )


def _wanted(path: Path | None) -> tuple[Path, ...]:
    return () if path is None else (path,)


def _check_out(out: Path) -> None:
    if out.exists():
        raise BundleError(f"{out} exists and is never overwritten; name another file or remove it")
    if not out.parent.is_dir():
        raise BundleError(f"expected a folder {out.parent} to write {out.name} to, found none; make it first")
