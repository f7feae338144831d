"""What every decoder does to pixels: bound their number, and bring them to 8 bits. Pure functions."""

from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from edge.errors import UnreadableImageError

MAX_PIXELS: Final = 100_000_000
"""A 43 x 43 cm film digitised at 50 micrometres has 74 million pixels."""

_BLOCK_PIXELS: Final = 1_000_000
TOO_MUCH_MEMORY: Final = (
    "expected a picture that can be decoded within the memory allowed for it, this one needs more; "
    "export it at a smaller size, or raise decode.max_memory_bytes"
)


def check_pixel_count(width_px: int, height_px: int) -> None:
    """Refuse a declared size before any pixel is decoded.

    Raises:
        UnreadableImageError: More than `MAX_PIXELS`.
    """
    if width_px * height_px > MAX_PIXELS:
        raise UnreadableImageError(
            f"expected at most {MAX_PIXELS:,} pixels, got {width_px} x {height_px}; export it at a smaller size"
        )


def stretch(values: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Map an array's own minimum and maximum to 0 and 255, linearly; a constant array becomes 0.

    Args:
        values: `(H, W)`, any real dtype; must be finite.

    Returns:
        `(H, W) uint8`.
    """
    low, high = float(values.min()), float(values.max())
    result = np.zeros(values.shape, np.uint8)
    if high > low:
        for rows in _blocks(values):
            result[rows] = _stretched(values[rows], low, high)
    return result


def show(values: npt.NDArray[Any], window: Callable[[npt.NDArray[Any]], npt.NDArray[Any]]) -> npt.NDArray[np.uint8]:
    """Window an array and stretch it: `stretch(window(values))`, but each value that occurs is windowed once.

    Args:
        values: `(H, W)` integers of at most 16 bits.
        window: Maps each value by itself, whatever stands beside it; must give finite numbers.

    Returns:
        `(H, W) uint8`.
    """
    first = int(values.min())
    counts = np.zeros(int(values.max()) - first + 1, np.int64)
    for rows in _blocks(values):
        counts += np.bincount(values[rows].ravel().astype(np.int32) - first, minlength=len(counts))
    occurring = np.flatnonzero(counts)
    table = np.zeros(len(counts), np.uint8)
    table[occurring] = stretch(window((occurring + first).astype(values.dtype)))
    result = np.empty(values.shape, np.uint8)
    for rows in _blocks(values):
        result[rows] = table[values[rows].astype(np.int32) - first]
    return result


def _stretched(values: npt.NDArray[Any], low: float, high: float) -> npt.NDArray[np.uint8]:
    return np.rint((values.astype(np.float32) - low) * (255.0 / (high - low))).astype(np.uint8)


def _blocks(values: npt.NDArray[Any]) -> Iterator[slice]:
    """Rows that belong together: the arithmetic needs several times the memory of what it works on."""
    rows = max(1, _BLOCK_PIXELS // max(1, values[0].size))
    return (slice(start, start + rows) for start in range(0, len(values), rows))
