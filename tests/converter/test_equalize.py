"""Channels that use the whole of int8's range: the same network, less rounding."""

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from converter.equalize import CAP, equalized, factors
from converter.quantize import quantize


def test_the_equalized_network_says_the_same(separable: keras.Model, pictures: np.ndarray):
    """But for the few values above the limits; the trunk that was given stays as it was."""
    trunk = separable
    before = [array.copy() for array in trunk.get_weights()]

    even = equalized(trunk, pictures)

    expected, found = (np.asarray(each(pictures.astype(np.float32))) for each in (trunk, even))
    assert even is not trunk
    assert np.abs(found - expected).max() <= 0.02 * expected.max()
    assert all((one == other).all() for one, other in zip(before, trunk.get_weights(), strict=True))


def test_before_a_depthwise_convolution_every_channel_fills_the_range(separable: keras.Model, pictures: np.ndarray):
    """The one that was fifty times smaller, too."""
    backbone = equalized(separable, pictures).get_layer("backbone")
    hidden = keras.Model(backbone.input, backbone.layers[3].output)

    largest = np.asarray(hidden(pictures.astype(np.float32) / 127.5 - 1)).max(axis=(0, 1, 2))

    assert largest == pytest.approx(np.full(8, CAP), rel=0.1)


@pytest.mark.parametrize("build", ["plain", "branching"])
def test_other_networks_are_left_alone(request: pytest.FixtureRequest, build: str, pictures: np.ndarray):
    """The very same trunk comes back."""
    trunk = request.getfixturevalue(build)

    assert equalized(trunk, pictures) is trunk


def test_int8_comes_nearer_to_float(separable: keras.Model, pooled, pictures: np.ndarray):
    """Small channels are no longer told apart in five steps only."""
    trunk, head = separable, pooled(separable)
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
