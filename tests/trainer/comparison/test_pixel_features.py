"""The numbers that stand for an image without a network."""

from pathlib import Path

import numpy as np

from edge.phantom import phantom
from trainer.comparison.pixel_features import LEVELS, THUMBNAIL_PX, WIDTH, describe, pixel_features
from trainer.store import Rows


def test_edges_brightness_and_gray_levels_stand_side_by_side():
    """A picture with one upright edge: gradients only where it runs, then the thumbnail, then the gray levels."""
    film = np.zeros((224, 224), np.uint8)
    film[:, 112:] = 255

    (row,) = describe(film[np.newaxis])

    assert (row.shape, row.dtype) == ((WIDTH,), np.float32)
    gradients, thumbnail, levels = np.split(row, [WIDTH - THUMBNAIL_PX**2 - LEVELS, WIDTH - LEVELS])
    blocks = gradients.reshape(6, 6, -1).any(axis=2)  # (rows, columns)
    assert blocks[:, 2:4].all()
    assert not blocks[:, [0, 5]].any()
    np.testing.assert_array_equal(thumbnail.reshape(32, 32).mean(axis=0), [0] * 16 + [1] * 16)
    assert levels[[0, -1]].tolist() == [0.5, 0.5]


def test_the_cache_keeps_them(tmp_path: Path, monkeypatch):
    """A second call computes nothing."""
    films = np.stack([np.resize(phantom(seed).pixels.astype(np.uint8), (224, 224)) for seed in range(3)])
    pixels = Rows(np.repeat(films[..., np.newaxis], 3, axis=3), np.arange(3))
    keys = [f"{number:064x}" for number in range(3)]
    described = describe(films)
    first = pixel_features(pixels, keys, tmp_path)
    monkeypatch.setattr("trainer.comparison.pixel_features.hog", None)

    second = pixel_features(pixels, keys, tmp_path)

    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(first, described)
