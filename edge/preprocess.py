"""Radiograph -> the network's input. The only resize in the project: trainer, converter and box all call it.

Normalisation is not done here; it lives in the model's graph, so the network takes raw RGB bytes.
"""

from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from edge.study import Prepared, Radiograph

SIDE_PX: Final = 224
"""Height and width of the network's input, in pixels."""
PREPROCESSING: Final = "grayscale, stretched to 224 x 224 by Pillow's bilinear filter (support scaled), repeated to RGB"
"""What `preprocess` does, in words; it travels with the model."""


def preprocess(radiograph: Radiograph) -> npt.NDArray[np.uint8]:
    """Stretch a radiograph to the network's input size and repeat the gray channel.

    The aspect ratio is not kept, as in the paper ("resized into 224*224 pixels").

    Returns:
        `(224, 224, 3) uint8, RGB, 0-255`.
    """
    picture = Image.fromarray(radiograph.pixels)
    gray = np.asarray(picture.resize((SIDE_PX, SIDE_PX), Image.Resampling.BILINEAR))  # (224, 224)
    return np.repeat(gray[:, :, np.newaxis], 3, axis=2)


def prepare(radiograph: Radiograph) -> Prepared:
    """Bring a radiograph to the network's input, and keep of it beside that how large it was."""
    height_px, width_px = radiograph.pixels.shape
    return Prepared(
        pixels=preprocess(radiograph),
        width_px=width_px,
        height_px=height_px,
        source_width_px=radiograph.source_width_px,
        source_height_px=radiograph.source_height_px,
    )
