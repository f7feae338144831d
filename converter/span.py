"""What a head says of the images learned from -> between which logits int8's steps are worth having.

An int8 tensor has 256 values, and calibration lays them from the least logit to the greatest. A head that is very sure
says plus and minus a hundred, and a step of it moves a probability near the threshold by hundredths, while most steps
tell 0.99999 from 0.999999. Beyond the span logits are cut, where nothing depends on them.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from edge.decide import softmax

MOST_MOVED: Final = 1e-4
"""So far may cutting move a probability of an image learned from."""
_NARROWER: Final = 0.95
_FEWEST: Final = 1e-3
"""Of the whole width; a head whose answers do not differ needs no finer steps."""


@dataclass(frozen=True, slots=True)
class Span:
    """From the least logit to the greatest that the file tells apart; 0 lies between them, as int8 wants it."""

    least: float
    most: float


def span_of(logits: npt.NDArray[np.float32], temperature: float) -> Span:
    """The narrowest span around the middle of all logits that moves no probability.

    Args:
        logits: `(n, labels) float32`, of the refitted head.
        temperature: They are divided by this before they become probabilities.
    """
    expected = softmax(logits, temperature)
    middle, width = float(logits.max() + logits.min()) / 2, float(np.ptp(logits)) / 2
    found, half = width, width
    while half > _FEWEST * width and _moved(logits, expected, middle, half, temperature) <= MOST_MOVED:
        found, half = half, half * _NARROWER
    return Span(min(middle - found, 0.0), max(middle + found, 0.0))


def _moved(
    logits: npt.NDArray[np.float32], expected: npt.NDArray[np.float32], middle: float, half: float, temperature: float
) -> float:
    cut = logits.clip(middle - half, middle + half)
    return float(np.abs(softmax(cut, temperature) - expected).max())
