"""Radiograph -> the small picture that follows its report: a grayscale JPEG within a budget of bytes.

Invariant: made of the pixels alone, so it holds no tag, name or comment of the original; and what is to be blank is
black in the pixels themselves before anything is compressed.
"""

import io
from collections.abc import Sequence
from math import ceil, floor
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from edge.settings.delivery import Region
from edge.study import Radiograph

MAX_SIDE_PX: Final = 1024
MIN_SIDE_PX: Final = 128
"""Smaller than this nothing can be seen; then there is no preview."""
QUALITIES: Final = (85, 70)
"""Of JPEG, tried in this order at each size."""
_STEP: Final = 0.8


def preview(radiograph: Radiograph, *, max_bytes: int, blank: Sequence[Region] = ()) -> bytes | None:
    """Make a picture's preview.

    Args:
        radiograph: As decoded.
        max_bytes: So large at most; 0 for none.
        blank: Regions to blacken, as fractions of width and height.

    Returns:
        A JPEG, its longest side from 128 to 1024 pixels; None where none that is worth seeing fits.
    """
    picture = Image.fromarray(blanked(radiograph.pixels, blank))
    picture.thumbnail((MAX_SIDE_PX, MAX_SIDE_PX), reducing_gap=2)
    side_px = max(picture.size)
    smallest_px = min(MIN_SIDE_PX, side_px)
    while max_bytes and side_px >= smallest_px:
        picture.thumbnail((side_px, side_px))
        for quality in QUALITIES:
            buffer = io.BytesIO()
            picture.save(buffer, "JPEG", quality=quality)
            if buffer.tell() <= max_bytes:
                return buffer.getvalue()
        side_px = int(side_px * _STEP)
    return None


def blanked(pixels: npt.NDArray[np.uint8], regions: Sequence[Region]) -> npt.NDArray[np.uint8]:
    """A picture with regions black; every pixel that a region touches is.

    Args:
        pixels: `(H, W) uint8`; not changed.
        regions: As fractions of width and height.

    Returns:
        `(H, W) uint8`.
    """
    if not regions:
        return pixels
    height_px, width_px = pixels.shape
    result = pixels.copy()
    for left, top, right, bottom in regions:
        rows = slice(floor(top * height_px), ceil(bottom * height_px))
        result[rows, floor(left * width_px) : ceil(right * width_px)] = 0
    return result
