"""Pixels -> the numbers that classical methods are given in place of a network's features.

Three descriptions side by side: where edges run (histograms of oriented gradients, Dalal and Triggs, 2005,
doi:10.1109/CVPR.2005.177), how bright each place is, and how often each brightness occurs. Nothing here is learned.
"""

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from skimage.feature import hog

from edge.decoding.decode import DECODING
from edge.preprocess import PREPROCESSING, SIDE_PX
from trainer.features import cached_features
from trainer.store import Rows, Store

ORIENTATIONS: Final = 9
CELL_PX: Final = 32
BLOCK_CELLS: Final = 2
THUMBNAIL_PX: Final = 32
LEVELS: Final = 64

_CELLS: Final = SIDE_PX // CELL_PX
_GRADIENTS: Final = (_CELLS - BLOCK_CELLS + 1) ** 2 * BLOCK_CELLS**2 * ORIENTATIONS
WIDTH: Final = _GRADIENTS + THUMBNAIL_PX**2 + LEVELS
"""Numbers per image."""
PIXEL_FEATURES: Final = (
    f"histograms of oriented gradients ({ORIENTATIONS} orientations, cells of {CELL_PX} pixels, blocks of "
    f"{BLOCK_CELLS} x {BLOCK_CELLS} cells, L2-Hys), the picture at {THUMBNAIL_PX} x {THUMBNAIL_PX}, and a histogram of "
    f"{LEVELS} gray levels"
)
"""What the numbers are, in words; the cache folder is named after it."""


def pixel_features(pixels: Rows, keys: Sequence[str], cache: Path) -> npt.NDArray[np.float32]:
    """Describe images by their pixels, `(n, WIDTH) float32`, computed where the cache does not hold them yet.

    Args:
        pixels: `(n, 224, 224, 3) uint8`, three equal channels, 0-255.
        keys: The images' SHA-256, in the order of `pixels`.
        cache: The cache's root.
    """
    digest = sha256(f"{DECODING}\n{PREPROCESSING}\n{PIXEL_FEATURES}".encode()).hexdigest()[:16]
    store = Store(cache / f"pixel-features-{digest}", (WIDTH,), np.float32)
    rows = cached_features(pixels, keys, lambda films, _: describe(films[..., 0]), store, what="pixel features")
    return np.asarray(rows.take(slice(None)))


def describe(films: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Describe grayscale pictures.

    Args:
        films: `(n, 224, 224) uint8`, 0-255.

    Returns:
        `(n, WIDTH) float32`, 0-1: oriented gradients, thumbnail, histogram.
    """
    return np.stack([np.concatenate([_gradients(film), _thumbnail(film), _histogram(film)]) for film in films])


def _gradients(film: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    cell, block = (CELL_PX, CELL_PX), (BLOCK_CELLS, BLOCK_CELLS)
    found = hog(film, orientations=ORIENTATIONS, pixels_per_cell=cell, cells_per_block=block, block_norm="L2-Hys")
    return np.asarray(found, np.float32)


def _thumbnail(film: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    step = SIDE_PX // THUMBNAIL_PX
    squares = film.reshape(THUMBNAIL_PX, step, THUMBNAIL_PX, step)
    return np.asarray(squares.mean(axis=(1, 3)).ravel() / 255, np.float32)


def _histogram(film: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    return np.asarray(np.bincount(film.ravel() // (256 // LEVELS), minlength=LEVELS) / film.size, np.float32)
