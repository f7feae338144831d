"""One resize for training and serving: its bytes are a contract."""

from hashlib import sha256

import numpy as np

from edge.preprocess import preprocess
from edge.study import Radiograph

GOLDEN = "e524e0172d4d89a6056046eaee3669531fe6e20f9c051a512ee5904dba129eae"


def a_radiograph(pixels: np.ndarray) -> Radiograph:
    """A radiograph as a PNG would give it."""
    height, width = pixels.shape
    return Radiograph(pixels, media_type="image/png", source_mode="L", source_width_px=width, source_height_px=height)


def test_the_bytes_are_golden():
    """A new Pillow or a new filter would feed the network other bytes than it was trained on."""
    rows, columns = np.mgrid[0:300, 0:400]
    radiograph = a_radiograph(((rows * 7 + columns * 3 + (rows * columns) // 50) % 256).astype(np.uint8))

    pixels = preprocess(radiograph)

    assert sha256(pixels.tobytes()).hexdigest() == GOLDEN


def test_the_shape_is_the_network_s_and_the_channels_are_equal():
    """(224, 224, 3) uint8, whatever came, and the input is not changed."""
    source = np.random.default_rng(0).integers(0, 256, (90, 700)).astype(np.uint8)
    before = source.copy()

    pixels = preprocess(a_radiograph(source))

    assert (pixels.shape, pixels.dtype) == ((224, 224, 3), np.uint8)
    assert (pixels[:, :, 0] == pixels[:, :, 1]).all()
    assert (pixels[:, :, 0] == pixels[:, :, 2]).all()
    assert (source == before).all()
