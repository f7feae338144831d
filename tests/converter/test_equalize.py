"""Channels that use the whole of int8's range: the same network, less rounding."""

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from converter.equalize import CAP, equalized, factors
from converter.quantize import quantize
from edge.preprocess import SIDE_PX

L = keras.layers


def trunk_of(backbone: keras.Model) -> keras.Model:
    """A trunk as the trainer builds them: `normalise`, then `backbone`."""
    pixels = keras.Input((SIDE_PX, SIDE_PX, 3), name="pixels")
    return keras.Model(pixels, backbone(L.Rescaling(1 / 255, name="normalise")(pixels)), name="trunk")


def separable() -> keras.Model:
    """As MobileNet: normalised convolutions with ReLU6 behind them; one hidden channel in two is 50 times smaller,
    and matters as much.
    """
    keras.utils.set_random_seed(3)
    inputs = keras.Input((SIDE_PX, SIDE_PX, 3))
    x = L.Conv2D(8, 3, strides=16, padding="same", use_bias=False)(inputs)
    x = L.ReLU(6.0)(L.BatchNormalization(beta_initializer="ones", name="uneven")(x))
    x = L.DepthwiseConv2D(3, padding="same", use_bias=False, name="reader")(L.ZeroPadding2D(1)(x))
    x = L.ReLU(6.0)(L.BatchNormalization(beta_initializer="ones")(x))
    x = L.Conv2D(8, 1, use_bias=False, name="last")(x)
    backbone = keras.Model(inputs, L.ReLU(6.0)(L.BatchNormalization(beta_initializer="ones")(x)), name="backbone")
    small = np.float32([1, 0.02] * 4)
    uneven = backbone.get_layer("uneven")
    uneven.gamma.assign(small)
    uneven.beta.assign(small)
    kernel = backbone.get_layer("reader").kernel  # (3, 3, 8, 1)
    kernel.assign(np.asarray(kernel) / small[:, np.newaxis])
    return trunk_of(backbone)


def plain() -> keras.Model:
    """As VGG: convolutions with a bias and a ReLU of their own, and pooling between them."""
    keras.utils.set_random_seed(3)
    inputs = keras.Input((SIDE_PX, SIDE_PX, 3))
    x = L.Conv2D(8, 3, strides=16, activation="relu", bias_initializer="ones", name="first")(inputs)
    x = L.Conv2D(8, 3, activation="relu", bias_initializer="ones", name="last")(L.MaxPooling2D(2)(x))
    return trunk_of(keras.Model(inputs, x, name="backbone"))


def branching() -> keras.Model:
    """A sum of two branches: what is multiplied into one would be missing in the other."""
    inputs = keras.Input((SIDE_PX, SIDE_PX, 3))
    x = L.ReLU(6.0)(L.BatchNormalization()(L.Conv2D(8, 3, strides=16, padding="same")(inputs)))
    x = L.Add()([x, L.Conv2D(8, 3, padding="same")(x)])
    return trunk_of(keras.Model(inputs, x, name="backbone"))


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    """Eight pictures of noise, `(8, 224, 224, 3) uint8`."""
    return np.random.default_rng(0).integers(0, 256, (8, SIDE_PX, SIDE_PX, 3), dtype=np.uint8)


def test_the_equalized_network_says_the_same(pictures: np.ndarray):
    """But for the few values above the limits; the trunk that was given stays as it was."""
    trunk = separable()
    before = [array.copy() for array in trunk.get_weights()]

    even = equalized(trunk, pictures)

    expected, found = (np.asarray(each(pictures.astype(np.float32))) for each in (trunk, even))
    assert even is not trunk
    assert np.abs(found - expected).max() <= 0.02 * expected.max()
    assert all((one == other).all() for one, other in zip(before, trunk.get_weights(), strict=True))


def test_before_a_depthwise_convolution_every_channel_fills_the_range(pictures: np.ndarray):
    """The one that was fifty times smaller, too."""
    backbone = equalized(separable(), pictures).get_layer("backbone")
    hidden = keras.Model(backbone.input, backbone.layers[3].output)

    largest = np.asarray(hidden(pictures.astype(np.float32) / 255)).max(axis=(0, 1, 2))

    assert largest == pytest.approx(np.full(8, CAP), rel=0.1)


@pytest.mark.parametrize("build", [plain, branching])
def test_other_networks_are_left_alone(build, pictures: np.ndarray):
    """The very same trunk comes back."""
    trunk = build()

    assert equalized(trunk, pictures) is trunk


def test_int8_comes_nearer_to_float(pictures: np.ndarray):
    """Small channels are no longer told apart in five steps only."""
    trunk = separable()
    features = keras.Input(trunk.output_shape[1:])
    head = keras.Model(features, L.Dense(2)(L.GlobalAveragePooling2D()(features)))
    expected = np.asarray(trunk(pictures[:1].astype(np.float32)))

    errors = []
    for each in (trunk, equalized(trunk, pictures)):
        interpreter = Interpreter(model_content=quantize(each, head, pictures))
        interpreter.allocate_tensors()
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], pictures[:1])
        interpreter.invoke()
        (found,) = (
            interpreter.get_tensor(tensor["index"])
            for tensor in interpreter.get_output_details()
            if len(tensor["shape"]) == 4
        )
        errors.append(float(np.abs(found - expected).mean()))

    assert errors[1] < 0.8 * errors[0]


def test_factors_bring_the_largest_to_six():
    """All of them where that is free, the others by the root elsewhere; a silent channel is left beside the largest."""
    limit = np.array([12.0, 3.0, 0.0])

    assert factors(limit, free=True) == pytest.approx([0.5, 2, 0.5])
    assert factors(limit, free=False) == pytest.approx([0.5, 1, 0.5])
