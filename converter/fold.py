"""A network whose pixel arithmetic stands before its first convolution -> the same network with it inside.

As operators of their own, MUL and ADD cost an int8 MobileNet a sixth of its time and more, MUL leaves 170 of 256 gray
levels, and ADD puts every other pixel on the border between two steps, where each runtime rounds as it likes. Folded
into the convolution's weights only `x - 128` is left, which int8 does exactly: its scale is 1.
"""

from typing import Any, Final

import keras
import numpy as np

MIDDLE: Final = 128.0
"""The gray that int8 calls 0."""


def folded(trunk: Any) -> Any:
    """The same network with its scale and offset in its first convolution; as it was where that would change it.

    The convolution pads with 0, which was `offset + scale * x` for some gray x; folded, it pads with a gray of 128.
    Where those are a level or more apart, as with VGG19's means, the border would be seen otherwise: nothing is folded.

    Args:
        trunk: `(n, 224, 224, 3) float32, RGB, 0-255` -> `(n, 7, 7, C) float32`, with layers `normalise` and `backbone`.
    """
    normalise, backbone = trunk.get_layer("normalise"), trunk.get_layer("backbone")
    scale, offset = (np.broadcast_to(np.asarray(value, np.float64), 3) for value in (normalise.scale, normalise.offset))
    middle = offset + scale * MIDDLE  # what a gray of 128 becomes, by channel
    if (np.abs(middle) >= np.abs(scale)).any():
        return trunk
    network = keras.models.clone_model(backbone)
    network.set_weights(backbone.get_weights())
    first = next(k for k, layer in enumerate(network.layers) if isinstance(layer, keras.layers.Conv2D))
    convolution, behind = network.layers[first : first + 2]
    kernel = np.asarray(convolution.kernel, np.float64)  # (3, 3, RGB, filters)
    convolution.kernel.assign(kernel * scale[:, np.newaxis])
    shift = (kernel * middle[:, np.newaxis]).sum(axis=(0, 1, 2))  # (filters,)
    if convolution.use_bias:
        convolution.bias.assign(np.asarray(convolution.bias) + shift)
    elif isinstance(behind, keras.layers.BatchNormalization):
        behind.moving_mean.assign(np.asarray(behind.moving_mean) - shift)
    else:
        return trunk
    pixels = keras.Input(trunk.input_shape[1:], name="pixels")
    centred = keras.layers.Rescaling(1.0, offset=-MIDDLE, name="normalise")(pixels)
    return keras.Model(pixels, network(centred), name="trunk")
