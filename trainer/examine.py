"""`edge-trainer evaluate`: a model or a bundle on the images of DATA that it was not trained on.

Images that the model learned from are always left out, by content; the document says how many. So the held-out part
remains where DATA is the training data, and everything where it is another folder. A bundle that does not say what it
was trained on is evaluated with a warning, and the document says null instead of a number.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from edge.bundle.bundle import TRAINED_ON_DIGITS, read_bundle
from edge.classify import Classifier
from edge.errors import ConfigError, DataError
from trainer.answers import Answers, Reading, evidence_of, features_of_bundle, features_of_trunk, metrics_of
from trainer.backbones import BACKBONES
from trainer.clock import Clock
from trainer.dataset import Dataset, named, read_dataset
from trainer.explain import head_of
from trainer.features import compute_features, decode_images
from trainer.heads import logits_of
from trainer.metrics_file import METRICS_NAME, write_document
from trainer.model_file import MODEL_NAME, read_model
from trainer.progress import progress
from trainer.report.report import REPORT_NAME, write_report
from trainer.store import Rows

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Examinee:
    """What evaluation asks of a model, whichever file it came from.

    Attributes:
        facts: For `metrics.json`: recipe, backbone, head, split, seed, model.
        learned: First `TRAINED_ON_DIGITS` of the SHA-256 of each image it learned from.
        logits: Dataset, its pixels and the cache's root -> `(n, labels) float32`.
        reading: How these are read.
    """

    facts: dict[str, Any]
    learned: frozenset[str]
    logits: Callable[[Dataset, Rows, Path], npt.NDArray[np.float32]]
    reading: Reading


def examine(path: Path, data: Path, *, out: Path, cache: Path, skip_bad: bool) -> dict[str, Any]:
    """Evaluate a model or a bundle and write its metrics and report.

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
        answers = _asked(examinee, dataset, pixels, cache)
    document = {
        **msgspec.to_builtins(metrics_of(answers)),
        **examinee.facts,
        "seconds": clock.seconds,
        "data": {
            "name": data.resolve().name,
            "fingerprint": dataset.fingerprint(),
            "counts": dataset.counts(),
            "sources": dataset.sources(),
        },
        "left_out_as_trained_on": len(found.items) - len(unseen.items) if examinee.learned else None,
        "duplicates": found.duplicates,
    }
    write_document(document, out / METRICS_NAME)
    write_report(evidence_of(answers), document, out / REPORT_NAME)
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
    point, split = training.operating_point, training.split

    def logits(dataset: Dataset, pixels: Rows, cache: Path) -> npt.NDArray[np.float32]:
        return logits_of(trained.head, compute_features(pixels, dataset.keys, trained.trunk, cache))

    return Examinee(
        facts=facts,
        learned=frozenset(key[:TRAINED_ON_DIGITS] for key in (*split.train, *split.validation)),
        logits=logits,
        reading=Reading(
            labels=training.labels,
            positive=training.positive,
            temperature=point.temperature,
            threshold=point.threshold,
            band=point.band,
            features=features_of_trunk(trained.trunk),
            head=head_of(trained.head),
            ahead_cells=BACKBONES[training.recipe.backbone].ahead_cells,
        ),
    )


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
    classifier = Classifier(bundle.model)

    def logits(_: Dataset, pixels: Rows, __: Path) -> npt.NDArray[np.float32]:
        images = progress(pixels.batches(1), total=len(pixels), what="classifying", unit="image")
        return np.stack([classifier.run(image[0]).logits for image in images])

    return Examinee(
        facts=facts,
        learned=frozenset(digits[start : start + width] for start in range(0, len(digits), width)),
        logits=logits,
        reading=Reading(
            labels=card.labels,
            positive=card.positive,
            temperature=card.temperature,
            threshold=card.threshold,
            band=card.band,
            features=features_of_bundle(classifier),
            head=classifier.head(),
            ahead_cells=card.ahead_cells,
        ),
    )


def _asked(examinee: Examinee, dataset: Dataset, pixels: Rows, cache: Path) -> Answers:
    return Answers(
        images=dataset,
        pixels=pixels,
        logits=examinee.logits(dataset, pixels, cache),
        reading=examinee.reading,
    )


def _unseen(dataset: Dataset, examinee: Examinee) -> Dataset:
    labels = examinee.reading.labels
    unknown = sorted(set(dataset.labels).difference(labels))
    if unknown:
        raise DataError(
            f"the model knows {', '.join(labels)}; the data also has {named(unknown)}; remove these classes"
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
