"""The model of the whole image, asked about another data set: `edge-trainer audit --external DIR`.

Invariant: it is asked about no file that it learned from, and about no class that it never heard of; the document says
how many images were left out for either reason.
"""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from edge.errors import DataError
from trainer.audit.confounding import SourceRow, source_rows
from trainer.audit.look import Look
from trainer.audit.probe import Question, measure_on
from trainer.dataset import Dataset, named, read_dataset
from trainer.evaluate import Metrics
from trainer.features import decode_images


class Elsewhere(msgspec.Struct, frozen=True, kw_only=True):
    """How the model did on other data.

    Attributes:
        name: Of the folder.
        counts: Label to number of images asked about.
        unknown_classes: Label to number of images left out, for the model knows no such class.
        known_files: Images left out because the model learned from the same file.
        metrics: Of the rest, by source too.
        by_source: What each source's images were called.
    """

    name: str
    counts: dict[str, int]
    unknown_classes: dict[str, int]
    known_files: int
    metrics: Metrics
    by_source: tuple[SourceRow, ...]


def look_elsewhere(question: Question, model: Any, look: Look, data: Path, cache: Path, *, skip_bad: bool) -> Elsewhere:
    """Ask a fitted model about another folder.

    Args:
        question: What it learned from.
        model: Features of whole images -> probabilities.
        look: What it is told of a picture.
        data: The other folder.
        cache: The cache's root.
        skip_bad: Leave unreadable images out instead of stopping.

    Raises:
        DataError: The folder is not usable, or holds no image of a class that the model knows.
    """
    found = read_dataset(data)
    labels, learned = question.dataset.labels, frozenset(question.dataset.keys)
    chosen = tuple(item for item in found.items if item.label in labels and item.sha256 not in learned)
    if not chosen:
        raise DataError(
            f"expected images of {named(labels)} in {data} that are not in {question.dataset.root}, found none among "
            f"{named(found.labels)}; name the class folders alike"
        )
    kept = tuple(label for label in found.labels if any(item.label == label for item in chosen))
    dataset, pixels = decode_images(Dataset(data, chosen, kept, found.duplicates), cache, skip_bad=skip_bad)
    features = look.features(pixels, dataset.keys, None, f"features of {data.name}")
    answers = model.predict_proba(features).astype(np.float32)
    return Elsewhere(
        name=data.resolve().name,
        counts=dataset.counts(),
        unknown_classes={label: n for label, n in found.counts().items() if label not in labels},
        known_files=sum(item.sha256 in learned for item in found.items),
        metrics=measure_on(dataset, answers, labels, question.positive),
        by_source=source_rows(dataset, answers, labels),
    )
