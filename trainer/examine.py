"""`edge-trainer evaluate`: a model or a bundle on the images of DATA that it was not trained on.

Images that the model learned from are always left out, by content; the document says how many. So the held-out part
remains where DATA is the training data, and everything where it is another folder. A bundle that does not say what it
was trained on is evaluated with a warning, and the document says null instead of a number.
"""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from edge.bundle import TRAINED_ON_DIGITS, read_bundle
from edge.classify import Classifier
from edge.decide import softmax
from edge.errors import ConfigError, DataError
from trainer.clock import Clock
from trainer.dataset import Dataset, named, read_dataset
from trainer.evaluate import evaluate
from trainer.features import compute_features, decode_images
from trainer.heads import logits_of
from trainer.model_file import MODEL_NAME, read_model
from trainer.progress import progress
from trainer.store import Rows
from trainer.train import METRICS_NAME, write_document

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Examinee:
    """What evaluation asks of a model, whichever file it came from.

    Attributes:
        facts: For `metrics.json`: recipe, backbone, head, split, seed, model.
        labels: In the order of the outputs.
        positive: The label that is looked for.
        threshold: The positive label is decided from this probability on.
        learned: First `TRAINED_ON_DIGITS` of the SHA-256 of each image it learned from.
        trained: The trainer's model, else None.
        bundle: The bundle's model file, else None.
    """

    facts: dict[str, Any]
    labels: tuple[str, ...]
    positive: str
    threshold: float
    learned: frozenset[str]
    trained: Any = None
    bundle: bytes | None = None


def examine(path: Path, data: Path, *, out: Path, cache: Path, skip_bad: bool) -> dict[str, Any]:
    """Evaluate a model or a bundle and write `metrics.json`.

    Returns:
        What `metrics.json` holds.

    Raises:
        ConfigError: There is no such file, or `out` holds metrics already.
        DataError: The model or the data is not usable, or nothing is left to evaluate on.
        BundleError: The bundle is not what the converter wrote.
    """
    if (out / METRICS_NAME).exists():
        raise ConfigError(f"{out / METRICS_NAME} exists and is never overwritten; name another --out or remove it")
    clock = Clock()
    with clock.stage("read"):
        examinee = _read(path)
        found = read_dataset(data)
        unseen = _unseen(found, examinee)
    with clock.stage("decode"):
        dataset, pixels = decode_images(unseen, cache, skip_bad=skip_bad)
    with clock.stage("predict"):
        logits = _logits(examinee, dataset, pixels, cache)
    metrics = evaluate(
        softmax(logits), dataset.targets(examinee.labels), examinee.labels, examinee.positive, examinee.threshold
    )
    document = {
        **msgspec.to_builtins(metrics),
        **examinee.facts,
        "seconds": clock.seconds,
        "data": {"name": data.resolve().name, "fingerprint": dataset.fingerprint(), "counts": dataset.counts()},
        "left_out_as_trained_on": len(found.items) - len(unseen.items) if examinee.learned else None,
        "duplicates": found.duplicates,
    }
    write_document(document, out / METRICS_NAME)
    return document


def _read(path: Path) -> Examinee:
    if path.suffix == Path(MODEL_NAME).suffix:
        return _read_model(path)
    return _read_bundle(path)


def _read_model(path: Path) -> Examinee:
    trained = read_model(path)
    training = trained.training
    facts = {
        "recipe": training.recipe.name,
        "backbone": training.recipe.backbone,
        "head": training.recipe.head,
        "split": training.split.name,
        "seed": training.seed,
        "model": path.name,
    }
    learned = frozenset(key[:TRAINED_ON_DIGITS] for key in training.split.train)
    return Examinee(facts, training.labels, training.positive, training.metrics.threshold, learned, trained=trained)


def _read_bundle(path: Path) -> Examinee:
    bundle = read_bundle(path)
    card = bundle.card
    facts = {
        "recipe": card.name,
        "backbone": card.backbone,
        "head": card.head,
        "split": card.recipe.get("split"),
        "seed": card.recipe.get("seed"),
        "model": bundle.model_id,
    }
    digits, width = card.trained_on, TRAINED_ON_DIGITS
    learned = frozenset(digits[start : start + width] for start in range(0, len(digits), width))
    return Examinee(facts, card.labels, card.positive, card.threshold, learned, bundle=bundle.model)


def _unseen(dataset: Dataset, examinee: Examinee) -> Dataset:
    unknown = sorted(set(dataset.labels).difference(examinee.labels))
    if unknown:
        raise DataError(
            f"the model knows {', '.join(examinee.labels)}; the data also has {named(unknown)}; remove these classes"
        )
    if not examinee.learned:
        log.warning(
            "the model does not say what it was trained on: the figures may flatter it with images it learned from"
        )
    unseen = dataset.only(
        item.sha256 for item in dataset.items if item.sha256[:TRAINED_ON_DIGITS] not in examinee.learned
    )
    if not unseen.items:
        raise DataError("every image of the data was trained on; name a folder with images the model has not seen")
    log.info(
        "%d of %d images were trained on and are left out", len(dataset.items) - len(unseen.items), len(dataset.items)
    )
    return unseen


def _logits(examinee: Examinee, dataset: Dataset, pixels: Rows, cache: Path) -> npt.NDArray[np.float32]:
    """Of all images, `(n, labels) float32`."""
    if examinee.bundle is None:
        features = compute_features(pixels, dataset.keys, examinee.trained.trunk, cache)
        return logits_of(examinee.trained.head, features)
    classifier = Classifier(examinee.bundle)
    images = progress(pixels.batches(1), total=len(pixels), what="classifying", unit="image")
    return np.stack([classifier.run(image[0]).logits for image in images])
