"""Where the network looked, as a transparent picture that a browser lays over the radiograph."""

import io
from collections.abc import Sequence
from typing import Final

import numpy as np
from PIL import Image

SIDE_PX: Final = 224
"""Of the drawn heatmap, whatever the picture's shape: the network saw it stretched to a square, and so is this."""
_RED: Final = (255, 60, 0)
_OPAQUE: Final = 190
"""Of 255, where the heatmap has its peak: bones still show through."""


def heatmap_png(rows: Sequence[Sequence[float]]) -> bytes:
    """A heatmap as a PNG with transparency: clear where nothing speaks for the decision, red at the peak.

    Args:
        rows: Numbers 0-1.
    """
    values = Image.fromarray(np.asarray(rows, np.float32)).resize((SIDE_PX, SIDE_PX), Image.Resampling.BICUBIC)
    picture = np.empty((SIDE_PX, SIDE_PX, 4), np.uint8)
    picture[:, :, :3] = _RED
    picture[:, :, 3] = np.rint(np.clip(np.asarray(values), 0, 1) * _OPAQUE)
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return buffer.getvalue()
