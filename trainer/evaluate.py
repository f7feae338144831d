"""Probabilities and true labels -> Metrics. Pure arithmetic: the same for a float model and for a bundle.

Positive is the label that is looked for; sensitivity and specificity speak of it, whatever the other classes are.
"""

from collections.abc import Sequence
from math import sqrt
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt
from sklearn.metrics import roc_auc_score

from edge.decide import decide
from edge.errors import ConfigError

NEGATIVE_NAMES: Final = frozenset({"normal", "clear", "no-finding", "no finding", "no_finding", "negative"})
THRESHOLD: Final = 0.5
_Z95: Final = 1.959963984540054
_RESAMPLES: Final = 1000

Interval = tuple[float, float]


class Metrics(msgspec.Struct, frozen=True, kw_only=True):
    """How a model did on some images.

    Attributes:
        accuracy: Share of decisions that are right.
        auc: Area under the ROC curve of the positive label's probability; None where one side has no image.
        sensitivity: Share of positive images that are called positive; None where there is none.
        specificity: Share of other images that are not called positive; None where there is none.
        ci95: Each of the four names above to its 95% interval: Wilson's for the shares (1927, J. Am. Stat. Assoc. 22),
            the bootstrap's percentiles for the AUC (1000 resamples of each side).
        confusion_matrix: Rows = true, columns = predicted, in the order of `labels`.
        labels: In the order of the model's outputs.
        positive: The label that is looked for.
        threshold: The positive label is decided from this probability on.
        n: Number of images.
    """

    accuracy: float
    auc: float | None
    sensitivity: float | None
    specificity: float | None
    ci95: dict[str, Interval | None]
    confusion_matrix: tuple[tuple[int, ...], ...]
    labels: tuple[str, ...]
    positive: str
    threshold: float
    n: int


def positive_label(labels: Sequence[str], wanted: str | None) -> str:
    """The label that is looked for: the wanted one, or the only one that no healthy picture has.

    Raises:
        ConfigError: The wanted label is not among the labels, or none was named and there is not exactly one candidate.
    """
    if wanted is not None:
        if wanted not in labels:
            raise ConfigError(f"expected --positive to be one of {', '.join(labels)}, got {wanted!r}")
        return wanted
    candidates = [label for label in labels if label.lower() not in NEGATIVE_NAMES]
    if len(candidates) != 1:
        raise ConfigError(
            f"cannot tell which of {', '.join(labels)} is looked for "
            f"(expected all but one to be called {', '.join(sorted(NEGATIVE_NAMES))}); say it with --positive NAME"
        )
    return candidates[0]


def evaluate(
    probabilities: npt.NDArray[np.float32],
    targets: npt.NDArray[np.int64],
    labels: Sequence[str],
    positive: str,
    threshold: float = THRESHOLD,
) -> Metrics:
    """Compare decisions with the truth.

    Args:
        probabilities: `(n, labels) float32`, n at least 1.
        targets: `(n,)`, index of each image's true label.
        labels: In the order of the columns.
        positive: One of the labels.
        threshold: 0-1.
    """
    index = list(labels).index(positive)
    decided = decide(probabilities, index, threshold)
    matrix = np.zeros((len(labels), len(labels)), np.int64)
    np.add.at(matrix, (targets, decided), 1)
    is_positive, called_positive = targets == index, decided == index
    counts = {
        "accuracy": (int((decided == targets).sum()), len(targets)),
        "sensitivity": (int((is_positive & called_positive).sum()), int(is_positive.sum())),
        "specificity": (int((~is_positive & ~called_positive).sum()), int((~is_positive).sum())),
    }
    scores = probabilities[:, index]
    return Metrics(
        accuracy=counts["accuracy"][0] / len(targets),
        auc=auc(scores, is_positive),
        sensitivity=_share(*counts["sensitivity"]),
        specificity=_share(*counts["specificity"]),
        ci95={name: wilson(*count) for name, count in counts.items()} | {"auc": _auc_interval(scores, is_positive)},
        confusion_matrix=tuple(tuple(row) for row in matrix.tolist()),
        labels=tuple(labels),
        positive=positive,
        threshold=threshold,
        n=len(targets),
    )


def auc(scores: npt.NDArray[np.float32], is_positive: npt.NDArray[np.bool_]) -> float | None:
    """Area under the ROC curve; None where one side has no image."""
    if is_positive.all() or not is_positive.any():
        return None
    return float(roc_auc_score(is_positive, scores))


def wilson(hits: int, n: int) -> Interval | None:
    """Wilson's 95% score interval of a share; None where n is 0."""
    if n == 0:
        return None
    share, z2 = hits / n, _Z95**2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z95 / (1 + z2 / n) * sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return (0.0 if hits == 0 else centre - half), (1.0 if hits == n else centre + half)


def _share(hits: int, n: int) -> float | None:
    return hits / n if n else None


def _auc_interval(scores: npt.NDArray[np.float32], is_positive: npt.NDArray[np.bool_]) -> Interval | None:
    if is_positive.all() or not is_positive.any():
        return None
    generator = np.random.default_rng(0)
    sides = [scores[is_positive], scores[~is_positive]]
    truth = np.repeat([True, False], [len(side) for side in sides])
    drawn = [
        roc_auc_score(truth, np.concatenate([generator.choice(side, len(side)) for side in sides]))
        for _ in range(_RESAMPLES)
    ]
    low, high = np.percentile(drawn, [2.5, 97.5])
    return float(low), float(high)
