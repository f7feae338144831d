"""Pixels -> groups of images that are one and the same film: saved anew, resized, brightened or cropped a little.

Stands between decoding and the split, which keeps such a group on one side. All chests look alike, so the search is a
sieve of three meshes: thumbnails of 14 x 14 pixels that correlate; of 28 x 28, allowing for a small move; of 56 x 56,
laid over each other as well as they go. Measured on two cores: 1,000 images take a second, 20,000 a minute and 0.6 GB.
Invariant: memory grows with the number of images (12 kB each) and with the block, never with the number of pairs.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from trainer.overlay import Layer, laid_over, tangents, units
from trainer.progress import progress
from trainer.store import Rows

SAME_FILM: Final = 0.95
"""Two thumbnails of 56 x 56 show one film where, laid over each other, they correlate at least this much.

Measured on 2,810 real X-rays of eight collections: six pairs reach it, all with 0.986 or more and one film each to the
eye; the next has 0.930, and the 23 that follow were looked at and are different films, some of one patient. Of 300
copies of such X-rays it finds every one saved as JPEG of quality 30, made smaller and larger again, or given a gamma of
0.7; 299 cropped by 3% of each side; 288 cropped by 6%; 274 brightened by a quarter and 15 levels, which clips. A film
mirrored, turned or framed anew is not found.
"""
_COARSE: Final = 0.75
_MOVED: Final = 0.93
"""What a pair must reach in the first two meshes. On the same X-rays 2,360 of 3.9 million pairs get through them; the
usual perceptual hash (64 bits, DCT) lets 36,859 through at the distance that finds 95% of the crops by 3%."""
_SIDES_PX: Final = (14, 28, 56)
_BLURS_PX: Final = ((0.0, 2.0), (0.7, 4.0), (0.7, 3.0))
"""Per side: finer detail than the first is noise, slower shading than the second is exposure; both are taken out."""
_BLOCK: Final = 1024
"""Images compared with all others at one time."""
_FILMS: Final = 256
"""Images read at full size at one time."""
_PAIRS: Final = 512
"""Pairs laid over each other at one time."""

Pairs = npt.NDArray[np.int64]
"""Positions of two images each, `(2, m) int64`."""


def near_duplicates(pixels: Rows, keys: Sequence[str]) -> tuple[frozenset[str], ...]:
    """Find groups of two or more images of one film; whatever repeats a member belongs to the group.

    Args:
        pixels: `(n, 224, 224, 3) uint8`, gray repeated three times, 0-255.
        keys: The images' SHA-256, in the order of `pixels`.

    Returns:
        Groups of keys, no key in two of them. Neither the order of the images nor the files' names matter.
    """
    order = sorted(range(len(keys)), key=keys.__getitem__)
    thumbnails = _thumbnails(pixels)[order]
    pairs = _sifted(thumbnails)
    chunks = progress(_chunks(pairs), total=-(-pairs.shape[1] // _PAIRS), what="comparing films", unit="batch")
    found = [some[:, _agreement(thumbnails, some) >= SAME_FILM] for some in chunks]
    left, right = np.concatenate([pairs[:, :0], *found], axis=1)
    links = coo_array((np.ones(len(left), np.int8), (left, right)), shape=(len(order), len(order)))
    _, films = connected_components(links, directed=False)
    members: dict[int, list[str]] = {}
    for position, film in zip(order, films.tolist(), strict=True):
        members.setdefault(film, []).append(keys[position])
    return tuple(frozenset(group) for group in members.values() if len(group) > 1)


def _thumbnails(pixels: Rows) -> npt.NDArray[np.float16]:
    """Means over 4 x 4 pixels, `(n, 56, 56) float16`, 0-255."""
    side = _SIDES_PX[-1]
    batches = progress(pixels.batches(_FILMS), total=-(-len(pixels) // _FILMS), what="shrinking films", unit="batch")
    parts = [_means(batch[:, :, :, 0], side).astype(np.float16) for batch in batches]
    return np.concatenate([np.empty((0, side, side), np.float16), *parts])


def _means(pictures: npt.NDArray[Any], side: int) -> Layer:
    """Means over blocks, `(n, k * side, k * side)` -> `(n, side, side) float32`."""
    block = pictures.shape[1] // side
    return pictures.reshape(len(pictures), side, block, side, block).mean((2, 4), dtype=np.float32)


def _details(thumbnails: npt.NDArray[np.float16], mesh: int) -> Layer:
    """Thumbnails of one mesh, neither noise nor shading in them, `(n, side, side) float32`."""
    means = _means(thumbnails, _SIDES_PX[mesh])
    fine, slow = (gaussian_filter(means, (0, blur_px, blur_px)) for blur_px in _BLURS_PX[mesh])
    return fine - slow


def _units(thumbnails: npt.NDArray[np.float16], mesh: int) -> Layer:
    """Thumbnails of one mesh as rows whose products are correlations, `(n, pixels) float32`."""
    starts = range(0, len(thumbnails), _BLOCK)
    steps = progress(starts, total=len(starts), what="filtering films", unit="block")
    parts = [units(_details(thumbnails[start : start + _BLOCK], mesh)) for start in steps]
    return np.concatenate([units(_details(thumbnails[:0], mesh)), *parts])


def _sifted(thumbnails: npt.NDArray[np.float16]) -> Pairs:
    """What the first two meshes let through in either direction, the smaller position first, no pair twice."""
    coarse, finer = _units(thumbnails, 0), _units(thumbnails, 1)
    passed = [np.empty((2, 0), np.int64)]
    starts = range(0, len(thumbnails), _BLOCK)
    for start in progress(starts, total=len(starts), what="looking for copies", unit="block"):
        block = slice(start, start + _BLOCK)
        likely = np.stack(np.nonzero(coarse[block] @ coarse.T >= _COARSE))  # the first counted within the block
        spans = tangents(_details(thumbnails[block], 1))  # (block, pixels, 5)
        for pairs in _chunks(likely[:, likely[0] + start != likely[1]]):
            reached = np.linalg.norm(np.einsum("mpk,mp->mk", spans[pairs[0]], finer[pairs[1]]), axis=1)
            passed.append(pairs[:, reached >= _MOVED] + [[start], [0]])
    return np.unique(np.sort(np.concatenate(passed, axis=1), axis=0), axis=1)


def _agreement(thumbnails: npt.NDArray[np.float16], pairs: Pairs) -> Layer:
    """Correlation of each pair in the finest mesh, after the best move, `(m,) float32`."""
    moves = np.zeros((pairs.shape[1], 4), np.float32)
    for mesh in (1, 2):
        left, right = (_details(thumbnails[positions], mesh) for positions in pairs)
        moves, agreement = laid_over(left, right, moves)
    return agreement


def _chunks(pairs: Pairs) -> Iterator[Pairs]:
    return (pairs[:, first : first + _PAIRS] for first in range(0, pairs.shape[1], _PAIRS))
