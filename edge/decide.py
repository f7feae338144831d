"""Logits -> probabilities -> decision: the one rule, for the box's one image and the trainer's many."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

INCONCLUSIVE: Final = "inconclusive"
"""What the box says of a picture between its classes, instead of either."""

Band = tuple[float, float]
"""From the first probability of the positive label on and below the second it is inconclusive; equal for no band."""


def softmax(logits: npt.NDArray[np.float32], temperature: float = 1.0) -> npt.NDArray[np.float32]:
    """Probabilities of logits, `(..., labels) float32`, summing to 1 along the last axis.

    Args:
        logits: `(..., labels) float32`.
        temperature: Divides the logits first; above 1 it makes a network less sure of itself (Guo et al., 2017,
            arXiv:1706.04599).
    """
    weights = np.exp((logits - logits.max(axis=-1, keepdims=True)) / temperature)
    return (weights / weights.sum(axis=-1, keepdims=True)).astype(np.float32)


def decide(probabilities: npt.NDArray[np.float32], positive: int, threshold: float) -> npt.NDArray[Any]:
    """The positive label from the threshold on, else the likeliest of the others.

    Args:
        probabilities: `(..., labels) float32`.
        positive: Index of the label whose presence is looked for.
        threshold: 0-1.

    Returns:
        `(...) int64`, index of the decided label.
    """
    others = probabilities.copy()
    others[..., positive] = -1
    return np.where(probabilities[..., positive] >= threshold, positive, others.argmax(axis=-1))


def is_inconclusive(probabilities: npt.NDArray[np.float32], positive: int, band: Band) -> npt.NDArray[Any]:
    """Which pictures lie in the band, `(...) bool`.

    Args:
        probabilities: `(..., labels) float32`.
        positive: Index of the label whose presence is looked for.
        band: 0-1, the lower end first.
    """
    return (probabilities[..., positive] >= band[0]) & (probabilities[..., positive] < band[1])
