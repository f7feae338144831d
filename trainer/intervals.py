"""How sure a measured figure is: 95% intervals by a bootstrap over patients.

Images of one patient resemble each other, so they are no independent witnesses: patients are drawn with replacement
and bring all their images along (the cluster bootstrap: Field and Welsh, 2007, J. R. Stat. Soc. B 69); an image without
a patient is its own. Where hardly a patient disagrees with the rest, resampling cannot invent the patient who would,
and the interval shrinks to nothing; there Wilson's interval stands in, with patients as its n, and the figure says so.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from edge.interval import Interval, wilson

Bools = npt.NDArray[np.bool_]

RESAMPLES: Final = 2000
FEWEST_DISSENTERS: Final = 5
"""Patients on the rarer side of a share from which on the bootstrap is believed. How often an interval then holds the
truth is measured by `tests/benchmarks/interval_coverage.py`.
"""
_CHUNK: Final = 128
"""Resamples that are weighed at one time: 20 MB of float64 for 20,000 images."""


@dataclass(frozen=True, slots=True)
class Sureness:
    """A 95% interval and where it comes from."""

    interval: Interval
    method: Literal["bootstrap", "wilson"]


class Bootstrap:
    """Resamples of patients, drawn once and used for every figure.

    Args:
        patients: Of each image; None where unknown.
        resamples: How many.
        seed: Of the draw.
    """

    def __init__(self, patients: Sequence[str | None], *, resamples: int = RESAMPLES, seed: int = 0) -> None:
        self._unit = _units(patients)  # (n,) int64
        self.units = int(self._unit.max()) + 1
        """Patients, and images without one."""
        generator = np.random.default_rng(seed)
        self._counts = np.stack([self._draw(generator) for _ in range(resamples)])  # (resamples, units) uint16

    def share(self, hits: Bools, among: Bools) -> Sureness | None:
        """Of the share of hits among some images; None where there are none.

        Args:
            hits: `(n,) bool`.
            among: `(n,) bool`, the images that count.
        """
        if not among.any():
            return None
        hit, miss = (self._per_unit(side & among) for side in (hits, ~hits))  # (units,) each
        present = hit + miss > 0
        if min(int((hit > 0).sum()), int((miss > 0).sum())) < FEWEST_DISSENTERS:
            return _stand_in(float(hit.sum() / (hit + miss).sum()), int(present.sum()))
        drawn = [weights @ np.stack([hit, hit + miss], axis=1) for weights in self._chunks()]
        right, total = np.concatenate(drawn).T
        return _percentiles(right[total > 0] / total[total > 0])

    def area(self, scores: npt.NDArray[np.float32], is_positive: Bools) -> Sureness | None:
        """Of the area under the ROC curve; None where one side has no image.

        The area is the share of pairs, one image of each side, that the scores order right (Mann and Whitney, 1947);
        where they order all of them right, or all wrong, Wilson's interval takes the patients of the smaller side as n.
        """
        if is_positive.all() or not is_positive.any():
            return None
        order = np.argsort(scores, kind="stable")
        ranked = _Ranked(scores[order], is_positive[order])
        measured = float(ranked.areas(np.ones((1, len(order))))[0])
        if measured in {0, 1}:
            return _stand_in(measured, min(len(np.unique(self._unit[side])) for side in (is_positive, ~is_positive)))
        areas = np.concatenate([ranked.areas(weights[:, self._unit[order]]) for weights in self._chunks()])
        return _percentiles(areas[np.isfinite(areas)])

    def _draw(self, generator: np.random.Generator) -> npt.NDArray[np.uint16]:
        """How often each unit was drawn, `(units,) uint16`."""
        return np.bincount(generator.integers(0, self.units, self.units), minlength=self.units).astype(np.uint16)

    def _per_unit(self, chosen: Bools) -> npt.NDArray[np.float64]:
        return np.bincount(self._unit[chosen], minlength=self.units).astype(np.float64)

    def _chunks(self) -> Iterator[npt.NDArray[np.float64]]:
        """The counts as weights, some resamples at a time, `(<= _CHUNK, units) float64`."""
        for start in range(0, len(self._counts), _CHUNK):
            yield self._counts[start : start + _CHUNK].astype(np.float64)


class _Ranked:
    """Images in the order of their scores, for weighing them over and over."""

    def __init__(self, scores: npt.NDArray[np.float32], is_positive: Bools) -> None:
        self._positive = is_positive.astype(np.float64)  # (n,), as are the scores, which rise
        self._starts = np.flatnonzero(np.r_[True, scores[1:] > scores[:-1]])  # of each run of equal scores

    def areas(self, weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Area under the ROC curve for each row of weights, `(rows, n)` -> `(rows,)`; NaN where one side weighs 0."""
        positive = np.add.reduceat(weights * self._positive, self._starts, axis=1)  # (rows, runs)
        negative = np.add.reduceat(weights * (1 - self._positive), self._starts, axis=1)
        below = np.cumsum(negative, axis=1) - negative / 2  # a tie counts half
        pairs = positive.sum(axis=1) * negative.sum(axis=1)
        return np.divide((positive * below).sum(axis=1), pairs, out=np.full(len(pairs), np.nan), where=pairs > 0)


def _units(patients: Sequence[str | None]) -> npt.NDArray[np.int64]:
    """Which unit each image belongs to, `(n,) int64`: one per patient, one per image without a patient."""
    numbers: dict[object, int] = {}
    return np.array(
        [
            numbers.setdefault(position if patient is None else patient, len(numbers))
            for position, patient in enumerate(patients)
        ],
        np.int64,
    )


def _percentiles(drawn: npt.NDArray[np.float64]) -> Sureness:
    low, high = np.percentile(drawn, [2.5, 97.5])
    return Sureness((float(low), float(high)), "bootstrap")


def _stand_in(share: float, units: int) -> Sureness:
    interval = wilson(share * units, units)
    assert interval is not None  # noqa: S101 - there is at least one unit wherever there is a share
    return Sureness(interval, "wilson")
