"""Features of training images -> the box's guard: what a picture looks like that this model can assess.

The guard learns from the training images and from what a darkroom or a scanner can do to them: inverted, turned, cut
to a fragment. It never sees a photograph or another part of a body; those are found by being far from everything. Its
limits are quantiles of distances that were measured on folds the clouds were not found on. Invariant: the same features
give the same guard.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt
from PIL import Image
from sklearn.covariance import LedoitWolf

from edge.errors import DataError
from edge.guard import CHEST, FRAGMENT, INVERTED, SIDEWAYS, UPSIDE_DOWN, Floats, Guard, lead
from edge.preprocess import SIDE_PX

DIMENSIONS: Final = 64
"""Of the space in which distances are measured, where there are images enough for it."""
REFUSED: Final = 0.015
"""Share of unseen training images that may be refused: by either of their cloud's two limits, or as another kind."""
FOLDS: Final = 5
FEWEST_IMAGES: Final = 10
_FRAGMENT_SHARES: Final = (0.12, 0.35)
"""Of each side that is left of a fragment."""
_PICTURES_A_DIMENSION: Final = 12
"""At least; of fewer the clouds seem smaller in some directions than they are."""
_WITHIN: Final = 1 - REFUSED / 3
"""Each of the three has its part."""
_UNLIMITED: Final = 1e-6
"""Least limit: features that never differ have distances of 0."""

Gray = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """A guard, and what it says of the images it was fitted on.

    Attributes:
        guard: For the bundle.
        strangeness: `(n,) float32`, of each training image, as an unseen one: up to 1 is within the limit.
    """

    guard: Guard
    strangeness: Floats


def spoiled(film: Gray, generator: np.random.Generator) -> list[tuple[str, Gray]]:
    """What can go wrong with one film: kinds of picture, and the film as such a one.

    Args:
        film: `(224, 224) uint8`.
        generator: Draws the fragment.
    """
    side_px = int(SIDE_PX * generator.uniform(*_FRAGMENT_SHARES))
    top, left = generator.integers(0, SIDE_PX - side_px, 2)
    fragment = Image.fromarray(film[top : top + side_px, left : left + side_px])
    stretched = fragment.resize((SIDE_PX, SIDE_PX), Image.Resampling.BILINEAR)
    return [
        (INVERTED, 255 - film),
        (SIDEWAYS, np.rot90(film, 1)),
        (SIDEWAYS, np.rot90(film, 3)),
        (UPSIDE_DOWN, np.rot90(film, 2)),
        (FRAGMENT, np.asarray(stretched)),
    ]


def fit_guard(chests: Floats, others: Floats, kinds: Sequence[str]) -> Fitted:
    """Find the clouds and their limits.

    Args:
        chests: `(n, C) float32`, `edge.guard.direction` of training images' features.
        others: `(m, C) float32`, of what `spoiled` made of some of them.
        kinds: `(m,)`, of those.

    Raises:
        DataError: There are too few training images to know them by.
    """
    if len(chests) < FEWEST_IMAGES:
        raise DataError(
            f"expected at least {FEWEST_IMAGES} training images to fit the guard on, got {len(chests)}; add some"
        )
    names = (CHEST, *dict.fromkeys(kinds))
    directions = np.concatenate([chests, others])
    kind_of = np.array([names.index(kind) for kind in (*[CHEST] * len(chests), *kinds)])
    fold_of = _folds(kind_of)
    apart, outside = np.empty((len(directions), len(names)), np.float32), np.empty(len(directions), np.float32)
    for fold in range(FOLDS):
        unseen = fold_of == fold
        clouds = _clouds(directions[~unseen], kind_of[~unseen], names)
        apart[unseen], outside[unseen] = clouds.distances(directions[unseen])
    limits = tuple(
        (_limit(apart[kind_of == kind, kind]), _limit(outside[kind_of == kind])) for kind in range(len(names))
    )
    margin = max(float(np.quantile(lead(apart[: len(chests)]), _WITHIN)), 0.0)
    guard = msgspec.structs.replace(_clouds(directions, kind_of, names), limits=limits, margin=margin)
    return Fitted(guard, guard.strangeness(apart[: len(chests)], outside[: len(chests)])[:, 0])


def _folds(kind_of: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """A fold for each picture, `(n,) int64`; every kind is spread over all of them."""
    fold_of = np.empty_like(kind_of)
    generator = np.random.default_rng(0)
    for kind in np.unique(kind_of):
        positions = np.flatnonzero(kind_of == kind)
        fold_of[positions] = generator.permutation(len(positions)) % FOLDS
    return fold_of


def _limit(distances: Floats) -> float:
    return max(float(np.quantile(distances, _WITHIN)), _UNLIMITED)


def _clouds(points: Floats, kind_of: npt.NDArray[np.int64], names: tuple[str, ...]) -> Guard:
    """Clouds of one common shape, without limits yet."""
    dimensions = min(DIMENSIONS, len(points) // _PICTURES_A_DIMENSION, points.shape[1])
    origin = points.mean(axis=0)
    _, _, axes = np.linalg.svd(points - origin, full_matrices=False)
    basis = axes[:dimensions]  # (D, C)
    inside = (points - origin) @ basis.T  # (n, D)
    centres = np.stack([inside[kind_of == kind].mean(axis=0) for kind in range(len(names))])  # (K, D)
    covariance = LedoitWolf(assume_centered=True).fit(inside - centres[kind_of]).covariance_
    whitening = _whitening(covariance)
    return Guard(
        of="directions",
        kinds=names,
        limits=((1.0, 1.0),) * len(names),
        margin=0.0,
        origin=_packed(origin),
        basis=_packed(basis),
        whitening=_packed(whitening),
        centres=_packed(centres @ whitening),
    )


def _whitening(covariance: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The matrix behind which this covariance is 1, `(D, D)`."""
    variances, axes = np.linalg.eigh(covariance)
    return axes / np.sqrt(np.maximum(variances, _UNLIMITED * variances.max()))


def _packed(array: npt.NDArray[Any]) -> bytes:
    return np.ascontiguousarray(array, "<f4").tobytes()
