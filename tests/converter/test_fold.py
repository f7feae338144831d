"""A network with its pixel arithmetic folded into its first convolution says the same, and int8 reads every gray."""

import keras
import numpy as np
import pytest

from converter.fold import folded
from converter.operators import needs
from converter.quantize import quantize
from edge.preprocess import SIDE_PX


def a_trunk(*, scale: float, offset: float | list[float], use_bias: bool = False) -> keras.Model:
    """A trunk of one strided convolution, as the trainer builds them: `normalise`, then `backbone`."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((SIDE_PX, SIDE_PX, 3))
    hidden = keras.layers.Conv2D(8, 3, strides=32, padding="same", use_bias=use_bias, bias_initializer="normal")(inputs)
    hidden = hidden if use_bias else keras.layers.BatchNormalization(moving_mean_initializer="normal")(hidden)
    backbone = keras.Model(inputs, keras.layers.ReLU(6.0)(hidden), name="backbone")
    pixels = keras.Input((SIDE_PX, SIDE_PX, 3), name="pixels")
    normalised = keras.layers.Rescaling(scale, offset=offset, name="normalise")(pixels)
    return keras.Model(pixels, backbone(normalised), name="trunk")


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    """Four pictures of noise, `(4, 224, 224, 3) float32, 0-255`, gray as the box gives them."""
    gray = np.random.default_rng(0).integers(0, 256, (4, SIDE_PX, SIDE_PX, 1))
    return np.repeat(gray, 3, axis=3).astype(np.float32)


@pytest.mark.parametrize("use_bias", [False, True])
def test_the_folded_network_says_the_same(pictures: np.ndarray, use_bias: bool):  # noqa: FBT001 - a table's column
    """With a bias of its own, or a normalisation behind it; the trunk that was given stays as it was."""
    trunk = a_trunk(scale=1 / 127.5, offset=-1.0, use_bias=use_bias)
    before = [array.copy() for array in trunk.get_weights()]

    inside = folded(trunk)

    assert inside.get_layer("normalise").scale == 1
    np.testing.assert_allclose(inside(pictures), trunk(pictures), atol=0.01)
    assert all((one == other).all() for one, other in zip(before, trunk.get_weights(), strict=True))


@pytest.mark.parametrize("offset", [[-123.68, -116.779, -103.939], 0.0])
def test_what_would_change_the_border_is_left_alone(offset: float | list[float]):
    """ImageNet's means pad with another gray than 128."""
    trunk = a_trunk(scale=1.0, offset=offset)

    assert folded(trunk) is trunk


def test_int8_multiplies_no_pixel(pictures: np.ndarray):
    """One exact ADD is left of the arithmetic before the first convolution."""
    trunk = a_trunk(scale=1 / 127.5, offset=-1.0)
    features = keras.Input(trunk.output_shape[1:])
    head = keras.Model(features, keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(features)))

    operators = [needs(quantize(each, head, pictures.astype(np.uint8))).operators for each in (trunk, folded(trunk))]

    assert ["MUL" in each for each in operators] == [True, False]
