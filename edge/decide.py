"""Logits -> probabilities -> decision: the one rule, for the box's one image and the trainer's many."""

from typing import Any

import numpy as np
import numpy.typing as npt


def softmax(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Probabilities of logits, `(..., labels) float32`, summing to 1 along the last axis."""
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
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
