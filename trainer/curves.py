"""The positive label's probabilities and the truth -> the curves of an evaluation. Pure arithmetic, drawn elsewhere."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from sklearn.metrics import precision_recall_curve, roc_curve

Scores = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]
Values = npt.NDArray[np.floating[Any]]

BINS: Final = 10
"""Of equal width, for calibration."""


@dataclass(frozen=True, slots=True, eq=False)
class Reliability:
    """Predicted probability against what happened, in bins (DeGroot and Fienberg, 1983, The Statistician 32).

    Attributes:
        predicted: Mean probability of each bin that holds an image.
        observed: Share of positives in it.
        count: Images in it.
    """

    predicted: Values
    observed: Values
    count: npt.NDArray[np.int64]

    @property
    def error(self) -> float:
        """Expected calibration error (Naeini et al., 2015, AAAI): mean distance of the two, weighed by images."""
        return float(np.average(np.abs(self.predicted - self.observed), weights=self.count))


def reliability(scores: Scores, is_positive: Bools) -> Reliability:
    """Sort images into `BINS` bins by the positive label's probability.

    Args:
        scores: `(n,) float32`, 0-1, n at least 1.
        is_positive: `(n,) bool`.
    """
    place = np.minimum((scores * BINS).astype(np.int64), BINS - 1)
    count = np.bincount(place, minlength=BINS)
    held = count > 0
    predicted = np.bincount(place, scores, BINS)[held] / count[held]
    observed = np.bincount(place, is_positive, BINS)[held] / count[held]
    return Reliability(predicted, observed, count[held])


def brier(scores: Scores, is_positive: Bools) -> float:
    """Mean squared distance of the positive label's probability from 1 or 0 (Brier, 1950, Mon. Weather Rev. 78)."""
    return float(np.square(scores.astype(np.float64) - is_positive).mean())


def receiver_operating(scores: Scores, is_positive: Bools) -> tuple[Values, Values]:
    """False positive rate and sensitivity of every threshold, from (0, 0) to (1, 1); both sides need an image."""
    false_positive, sensitivity, _ = roc_curve(is_positive, scores)
    return false_positive, sensitivity


def precision_recall(scores: Scores, is_positive: Bools) -> tuple[Values, Values]:
    """Recall and precision of every threshold, recall rising from 0; both sides need an image."""
    precision, recall, _ = precision_recall_curve(is_positive, scores)
    return recall[::-1], precision[::-1]
