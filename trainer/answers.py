"""What a model said of held-out images -> its metrics, and the evidence that a report shows.

The same for a model just trained, a model file and a bundle: they differ in how they come to logits and features, not
in how they are judged.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from edge.classify import Classifier, Head
from edge.decide import Band, softmax
from trainer.dataset import Dataset
from trainer.evaluate import Metrics, evaluate
from trainer.evidence import Evidence, mistakes
from trainer.explain import heatmaps
from trainer.features import BATCH, forward
from trainer.store import Rows


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reading:
    """How a model's outputs are read, whichever file it came from.

    Attributes:
        labels: In the order of the logits.
        positive: The label that is looked for.
        temperature: The logits are divided by this before they become probabilities.
        threshold: The positive label is decided from this probability on.
        band: Where a picture is called inconclusive instead.
        features: Pixels, `(m, 224, 224, 3) uint8`, -> the last feature map, `(m, 7, 7, C) float32`.
        head: The layers behind it.
        ahead_cells: Of the network, see `edge.explain.placed`.
    """

    labels: tuple[str, ...]
    positive: str
    temperature: float
    threshold: float
    band: Band
    features: Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]]
    head: Head
    ahead_cells: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answers:
    """A model's answers about some images.

    Attributes:
        images: The images.
        pixels: Theirs, `(n, 224, 224, 3) uint8, RGB, 0-255`.
        logits: `(n, labels) float32`.
        reading: How these are read.
    """

    images: Dataset
    pixels: Rows
    logits: npt.NDArray[np.float32]
    reading: Reading


def metrics_of(answers: Answers) -> Metrics:
    """Hold the answers against the truth."""
    return evaluate(
        softmax(answers.logits, answers.reading.temperature),
        answers.images.targets(answers.reading.labels),
        answers.reading.labels,
        answers.reading.positive,
        answers.reading.threshold,
        band=answers.reading.band,
        uncalibrated=softmax(answers.logits),
        patients=[item.patient for item in answers.images.items],
        sources=[item.source for item in answers.images.items],
    )


def evidence_of(answers: Answers) -> Evidence:
    """Collect what the report shows, with a look at where the model looked when it was wrong."""
    targets = answers.images.targets(answers.reading.labels)
    wrong = mistakes(
        answers.logits,
        targets,
        answers.reading.labels.index(answers.reading.positive),
        temperature=answers.reading.temperature,
        threshold=answers.reading.threshold,
    )
    thumbnails = answers.pixels.take(wrong.positions)
    return Evidence(
        files=tuple(item.file for item in answers.images.items),
        targets=targets,
        logits=answers.logits,
        temperature=answers.reading.temperature,
        sources=tuple(item.source for item in answers.images.items),
        shown=wrong.positions,
        thumbnails=thumbnails,
        heatmaps=_looked_at(answers, thumbnails, wrong.called),
    )


def features_of_trunk(trunk: Any) -> Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]]:
    """How a Keras backbone comes to features."""
    return partial(forward, trunk)


def features_of_bundle(classifier: Classifier) -> Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]]:
    """How a bundle's model comes to features."""

    def features(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        return np.stack([classifier.run(image).features for image in pixels])

    return features


def _looked_at(
    answers: Answers, pixels: npt.NDArray[np.uint8], called: npt.NDArray[np.int64]
) -> npt.NDArray[np.float32]:
    """Heatmaps of the labels that were called, `(m, 7, 7) float32`."""
    parts = [
        heatmaps(
            answers.reading.features(pixels[start : start + BATCH]),
            answers.reading.head,
            called[start : start + BATCH],
            ahead_cells=answers.reading.ahead_cells,
        )
        for start in range(0, len(pixels), BATCH)
    ]
    return np.concatenate(parts) if parts else np.empty((0, 1, 1), np.float32)
