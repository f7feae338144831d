"""Training images -> what the box's guard says of them, as deciles in the card: how pictures looked when all was well.

A doctor's end holds the guard scores of arriving reports against them. A clinic whose pictures drift away from what the
model learned from, by a new machine or a changed exposure, is seen before its findings are wrong for long.
"""

from collections.abc import Iterable, Mapping

import numpy as np

from edge.bundle.bundle import DECILES


def reference(scores: Iterable[Mapping[str, float]]) -> dict[str, tuple[float, ...]]:
    """Deciles of each score.

    Args:
        scores: Of each image, under the names that the box gives them; every image has the same.

    Returns:
        Name to eleven values: the score's 0, 10, ... 100% quantiles.
    """
    rows = list(scores)
    shares = np.linspace(0, 1, DECILES)
    return {
        name: tuple(round(float(value), 4) for value in np.quantile([row[name] for row in rows], shares))
        for name in rows[0]
    }
