"""What every decoder does to pixels: bound their number, and bring them to 8 bits. Pure functions."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from edge.errors import UnreadableImageError

MAX_PIXELS: Final = 100_000_000
"""A 43 x 43 cm film digitised at 50 micrometres has 74 million pixels."""

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
    if high <= low:
        return np.zeros(values.shape, np.uint8)
    return np.rint((values.astype(np.float32) - low) * (255.0 / (high - low))).astype(np.uint8)
