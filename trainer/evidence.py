"""What an evaluation leaves behind for its report: the logits of every image, and a look at those called wrong."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from edge.decide import decide, softmax

MOST_SHOWN: Final = 200
"""Wrong images in a report; the rest are counted. Each weighs some 12 KB."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evidence:
    """Images of an evaluation, in the dataset's order, and what the model said of them.

    Attributes:
        files: Of each image, for a person to find it again.
        targets: `(n,) int64`, index of the true label.
        logits: `(n, labels) float32`, before temperature scaling.
        temperature: The logits are divided by this before they become probabilities.
        sources: Of each image, None where unknown.
        shown: `(m,) int64`, positions of the wrong images to show, as `mistakes` gives them.
        thumbnails: `(m, 224, 224, 3) uint8`, theirs.
        heatmaps: `(m, 7, 7) float32`, 0-1, where the evidence for the wrong label lay.
    """

    files: tuple[str, ...]
    targets: npt.NDArray[np.int64]
    logits: npt.NDArray[np.float32]
    temperature: float
    sources: tuple[str | None, ...]
    shown: npt.NDArray[np.int64]
    thumbnails: npt.NDArray[np.uint8]
    heatmaps: npt.NDArray[np.float32]

    def __post_init__(self) -> None:
        """Refuse parts that do not speak of the same images."""
        lengths = {len(self.files), len(self.targets), len(self.logits), len(self.sources)}
        seen = {len(self.shown), len(self.thumbnails), len(self.heatmaps)}
        if len(lengths) != 1 or len(seen) != 1:
            raise ValueError(f"expected one value per image and one look per wrong image, got {lengths} and {seen}")

    @property
    def probabilities(self) -> npt.NDArray[np.float32]:
        """Calibrated, `(n, labels) float32`."""
        return softmax(self.logits, self.temperature)


@dataclass(frozen=True, slots=True, eq=False)
class Mistakes:
    """The wrong decisions worth looking at.

    Attributes:
        positions: `(m,) int64`, of the images: missed ones of the positive label first, the surest of each kind first.
        called: `(m,) int64`, index of the label each was called.
    """

    positions: npt.NDArray[np.int64]
    called: npt.NDArray[np.int64]


def mistakes(
    logits: npt.NDArray[np.float32],
    targets: npt.NDArray[np.int64],
    positive: int,
    *,
    temperature: float,
    threshold: float,
    most: int = MOST_SHOWN,
) -> Mistakes:
    """Find the images that are called wrong, the band left aside.

    Args:
        logits: `(n, labels) float32`.
        targets: `(n,) int64`, index of each image's true label.
        positive: Index of the label that is looked for.
        temperature: Divides the logits.
        threshold: 0-1.
        most: At most this many.
    """
    probabilities = softmax(logits, temperature)
    called = decide(probabilities, positive, threshold)
    wrong = np.flatnonzero(called != targets)
    certainty = probabilities[wrong, called[wrong]]
    order = np.lexsort((-certainty, targets[wrong] != positive))[:most]
    return Mistakes(wrong[order], called[wrong[order]])
