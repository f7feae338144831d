"""Logits of validation images -> OperatingPoint: how sure the model may say it is, and where it decides or abstains.

Chosen once, on images the model did not learn from and is not evaluated on; it travels with `model.keras` and in the
bundle's card. Invariant: the same arithmetic as on the box (`edge.decide`), so what was promised here is what happens
there, as far as its patients are like these.
"""

import logging
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

from edge.decide import Band, decide, is_inconclusive, softmax
from edge.errors import DataError

TARGET_SENSITIVITY: Final = 0.95
TARGET_ACCURACY: Final = 0.98
NEUTRAL_THRESHOLD: Final = 0.5
LEAST_THRESHOLD: Final = 1e-6
TEMPERATURES: Final = (0.25, 64.0)
"""Bounds of the search."""
EVERYTHING: Final[Band] = (0.0, 1.0)

_NEUTRAL: Final[tuple[float, float, Band]] = (1.0, NEUTRAL_THRESHOLD, (NEUTRAL_THRESHOLD, NEUTRAL_THRESHOLD))
"""Temperature, threshold and band where nothing can be chosen."""
_ROUNDING: Final = 1e-9
"""19 of 20 reach a target of 0.95."""
_LEAST_GAIN: Final = 1e-9
"""Of the mean log-likelihood, in nats: what a temperature other than 1 has to be worth."""

log = logging.getLogger(__name__)

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]


class OperatingPoint(msgspec.Struct, frozen=True, kw_only=True):
    """From logits to a decision, and what that was worth on the images it was chosen on.

    Attributes:
        temperature: The logits are divided by this before they become probabilities.
        threshold: The positive label is decided from this calibrated probability on.
        band: Inconclusive from the first calibrated probability of the positive label on and below the second; equal
            where there is no band.
        target_sensitivity: What the threshold was to reach.
        target_accuracy: What the decisions outside the band were to reach.
        n: Validation images.
        chosen_on: What images these were, in words.
        sensitivity: At the threshold, the band left aside; None where no validation image is positive.
        specificity: Likewise; None where every validation image is positive.
        accuracy_outside_band: Share of right decisions outside the band; None where nothing lies outside.
        inconclusive: Share of images in the band.
    """

    temperature: float
    threshold: float
    band: Band
    target_sensitivity: float
    target_accuracy: float
    n: int
    chosen_on: str
    sensitivity: float | None
    specificity: float | None
    accuracy_outside_band: float | None
    inconclusive: float

    def __post_init__(self) -> None:
        """Refuse a point that contradicts itself."""
        if not TEMPERATURES[0] <= self.temperature <= TEMPERATURES[1]:
            raise ValueError(f"temperature must lie within {TEMPERATURES}, got {self.temperature!r}")
        if not (0 < self.threshold < 1 and 0 <= self.band[0] <= self.threshold <= self.band[1] <= 1):
            raise ValueError(f"band must lie within 0 to 1 around the threshold {self.threshold!r}, got {self.band!r}")

    @property
    def reaches_sensitivity(self) -> bool:
        """Whether the threshold reached its target on the validation images."""
        return self.sensitivity is not None and self.sensitivity > self.target_sensitivity - _ROUNDING

    @property
    def reaches_accuracy(self) -> bool:
        """Whether the decisions outside the band reached theirs."""
        return self.accuracy_outside_band is not None and self.accuracy_outside_band > self.target_accuracy - _ROUNDING


def choose_operating_point(
    logits: Floats,
    targets: npt.NDArray[np.int64],
    positive: int,
    *,
    target_sensitivity: float = TARGET_SENSITIVITY,
    target_accuracy: float = TARGET_ACCURACY,
    chosen_on: str = "validation images",
) -> OperatingPoint:
    """Choose temperature, then threshold, then band.

    A target that cannot be reached is logged, and the point says so by what it reached. Validation images of one class
    alone can tell nothing: then the point is neutral (temperature 1, threshold 0.5, no band).

    Args:
        logits: `(n, labels) float32`, of images the model did not learn from.
        targets: `(n,)`, index of each image's true label.
        positive: Index of the label that is looked for.
        target_sensitivity: 0-1.
        target_accuracy: 0-1.
        chosen_on: What images these are, in words.

    Raises:
        DataError: There is no image, or a logit that is not finite.
    """
    _check_finite(logits)
    is_positive = targets == positive
    one_sided = bool(is_positive.all() or not is_positive.any())
    temperature, threshold, band = _NEUTRAL
    if not one_sided:
        temperature, threshold, band = _chosen(logits, targets, positive, target_sensitivity, target_accuracy)
    probabilities = softmax(logits, temperature)
    decided, outside = decide(probabilities, positive, threshold), ~is_inconclusive(probabilities, positive, band)
    point = OperatingPoint(
        temperature=temperature,
        threshold=threshold,
        band=band,
        target_sensitivity=target_sensitivity,
        target_accuracy=target_accuracy,
        n=len(targets),
        chosen_on=chosen_on,
        sensitivity=_share((decided == positive)[is_positive]),
        specificity=_share((decided != positive)[~is_positive]),
        accuracy_outside_band=_share((decided == targets)[outside]),
        inconclusive=float((~outside).mean()),
    )
    _tell(point, one_sided=one_sided)
    return point


def fit_temperature(logits: Floats, targets: npt.NDArray[np.int64]) -> float:
    """The temperature of maximum likelihood (Guo et al., 2017, arXiv:1706.04599), within `TEMPERATURES`.

    Where every image's own label has the largest logit, the likelihood grows without end as the temperature falls: no
    image says where to stop, and the temperature stays 1. Likewise where no temperature does better than 1.

    Args:
        logits: `(n, labels) float32`.
        targets: `(n,)`.
    """
    exact = logits.astype(np.float64)
    own = exact[np.arange(len(targets)), targets]
    if (own > np.where(np.arange(exact.shape[1]) == targets[:, None], -np.inf, exact).max(axis=1)).all():
        return 1.0

    def loss(log_temperature: float) -> float:
        temperature = np.exp(log_temperature)
        return float((logsumexp(exact / temperature, axis=1) - own / temperature).mean())

    found = minimize_scalar(loss, bounds=np.log(TEMPERATURES), method="bounded", options={"xatol": 1e-6})
    return float(np.clip(np.exp(found.x), *TEMPERATURES)) if loss(0.0) - found.fun > _LEAST_GAIN else 1.0


def choose_threshold(scores: Floats, is_positive: Bools, target_sensitivity: float) -> float:
    """0.5 where that reaches the target sensitivity, else the highest threshold that does.

    Never above 0.5, even where a higher one would reach the target too: a screening tool does not give away
    sensitivity that it has. Rounded down to four digits, so that it does not balance on one image's last bit.

    Args:
        scores: `(n,) float32`, the positive label's probability.
        is_positive: `(n,) bool`, with at least one True.
        target_sensitivity: 0-1.
    """
    found = np.sort(scores[is_positive])[::-1]  # of positive images, the surest first
    wanted = max(int(np.ceil(target_sensitivity * len(found) - _ROUNDING)), 1)
    highest = float(found[wanted - 1])
    return NEUTRAL_THRESHOLD if highest >= NEUTRAL_THRESHOLD else max(_rounded_down(highest), LEAST_THRESHOLD)


def choose_band(scores: Floats, right: Bools, threshold: float, target_accuracy: float) -> Band:
    """The band around the threshold with the fewest images in it that leaves the target accuracy outside.

    For each number of images left out below the threshold, the fewest above it that make up for the rest are found by
    bisection: n log n for all. The ends lie halfway between two images' probabilities. `EVERYTHING` where none will do.

    Args:
        scores: `(n,) float32`, the positive label's probability.
        right: `(n,) bool`, which decisions at the threshold are right.
        threshold: 0-1.
        target_accuracy: 0-1.
    """
    order = np.argsort(scores, kind="stable")
    ranked, n = scores[order], len(scores)
    worth = np.r_[0.0, np.cumsum(right[order] - target_accuracy)]  # (n + 1,): of the images below each cut, surplus
    between = np.flatnonzero(np.r_[True, ranked[1:] > ranked[:-1], True])  # equal probabilities are never parted
    middle = int(np.searchsorted(ranked, np.float32(threshold)))
    lows, highs = between[between <= middle], between[between >= middle]
    best_above = np.maximum.accumulate(worth[-1] - worth[highs])  # the further up the cut, the more may be left out
    first = np.searchsorted(best_above, -worth[lows] - _ROUNDING)
    fits = first < len(highs)
    inside = np.where(fits, highs[np.minimum(first, len(highs) - 1)] - lows, n)
    choice = int(inside.argmin())
    if inside[choice] == n:
        return EVERYTHING
    return (
        _cut(ranked, int(lows[choice]), middle, threshold),
        _cut(ranked, int(highs[first[choice]]), middle, threshold),
    )


def _check_finite(logits: Floats) -> None:
    finite = np.isfinite(logits).all(axis=1)
    if not finite.any() or not finite.all():
        raise DataError(
            f"expected finite logits of at least one validation image, got {int(finite.sum())} of {len(finite)}; "
            "enlarge the validation part or train again with a smaller learning rate"
        )


def _chosen(
    logits: Floats, targets: npt.NDArray[np.int64], positive: int, target_sensitivity: float, target_accuracy: float
) -> tuple[float, float, Band]:
    """Temperature, then threshold, then band, each at what was chosen before it."""
    temperature = fit_temperature(logits, targets)
    probabilities = softmax(logits, temperature)
    scores = probabilities[:, positive]
    threshold = choose_threshold(scores, targets == positive, target_sensitivity)
    right = decide(probabilities, positive, threshold) == targets
    return temperature, threshold, choose_band(scores, right, threshold, target_accuracy)


def _cut(ranked: Floats, position: int, middle: int, threshold: float) -> float:
    """A probability between the images before and from a position on."""
    if position == middle:
        return threshold
    if position in {0, len(ranked)}:
        return float(position > 0)
    return (float(ranked[position - 1]) + float(ranked[position])) / 2


def _rounded_down(value: float) -> float:
    """To four digits after the leading zeros; 0 stays 0."""
    if value <= 0:
        return 0.0
    unit = 10.0 ** (np.floor(np.log10(value)) - 3)
    return float(np.floor(value / unit) * unit)


def _share(hits: Bools) -> float | None:
    return float(hits.mean()) if len(hits) else None


def _tell(point: OperatingPoint, *, one_sided: bool) -> None:
    if one_sided:
        log.warning("all %d validation images are of one side: no operating point can be chosen on them", point.n)
        return
    log.info(
        "temperature %.2f, threshold %.4g, inconclusive from %.3g to %.3g (%.1f%% of %d %s)",
        *(point.temperature, point.threshold, *point.band, 100 * point.inconclusive, point.n, point.chosen_on),
    )
    if not point.reaches_sensitivity:
        log.warning("no threshold reaches a sensitivity of %g on the validation images", point.target_sensitivity)
    if point.band == EVERYTHING:
        log.warning(
            "no band leaves an accuracy of %g outside it: every picture is called inconclusive", point.target_accuracy
        )
