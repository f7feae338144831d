"""A pooled head, written so that int8 rounds its means alike in every runtime, or not at all where that costs too much.

TFLite's AVERAGE_POOL_2D divides a channel's sum by the number of cells, whole numbers both. Where that number is odd,
as 49 is, no mean lies on a half, and there is one way to round it. (MEAN multiplies by a rounded reciprocal, each
runtime in its own way.) The means have the steps of the features. Behind ReLU6 those are fine enough; behind VGG19's
ReLU, where a feature's peak is many times its mean, they are not. Averaging and a dense layer are one linear map, so
the dense layer can read the whole feature map instead: the same weights, repeated for every position and divided by
their number, summed in int32 and rounded once. It costs a byte for each value of the map and each label.
"""

from typing import Any, Final

import keras
import numpy as np

from edge.decide import softmax
from trainer.store import Rows

MAX_SHIFT: Final = 0.02
"""Of a probability by the rounding of the means; the rest of the gate's 0.03 is for that of the logits."""
_BATCH: Final = 32


def as_shipped(head: Any, features: Rows, temperature: float) -> Any:
    """The head as it is to be written: a pooled one in either of two forms, another one as it is.

    Args:
        head: `(n, 7, 7, C) float32` -> logits, `(n, labels) float32`.
        features: The int8 features of the images learned from, `(n, 7, 7, C) float32`.
        temperature: The logits are divided by this before they become probabilities.
    """
    if not isinstance(head.layers[0], keras.layers.GlobalAveragePooling2D):
        return head
    return spread(head) if shift_by_pooling(head, features, temperature) > MAX_SHIFT else averaged(head)


def shift_by_pooling(head: Any, features: Rows, temperature: float) -> float:
    """How far the rounding of the means moves a probability at most; the arguments are those of `as_shipped`."""
    batches = [(rows.max(), rows.mean(axis=(1, 2))) for rows in features.batches(_BATCH)]
    means = np.concatenate([each for _, each in batches])  # (n, C)
    step = max(*(float(most) for most, _ in batches), 1e-9) / 255
    kernel, bias = head.layers[-1].get_weights()
    exact, rounded = (
        softmax((values @ kernel + bias).astype(np.float32), temperature)
        for values in (means, np.rint(means / step) * step)
    )
    return float(np.abs(exact - rounded).max())


def averaged(head: Any) -> Any:
    """The same map with the pooling that int8 does exactly alike everywhere."""
    height, width, _ = head.input_shape[1:]
    dense = head.layers[-1]
    copy = keras.Sequential(
        [
            keras.Input(head.input_shape[1:]),
            keras.layers.AveragePooling2D((height, width)),
            keras.layers.Flatten(),
            keras.layers.Dense(dense.units),
        ],
        name="head",
    )
    copy.set_weights(head.get_weights())
    return copy


def spread(head: Any) -> Any:
    """The same map without pooling: flattened features and one dense layer."""
    height, width, _ = head.input_shape[1:]
    kernel, bias = head.layers[-1].get_weights()
    flat = keras.Sequential(
        [keras.Input(head.input_shape[1:]), keras.layers.Flatten(), keras.layers.Dense(len(bias))], name="head"
    )
    flat.set_weights([np.tile(kernel, (height * width, 1)) / np.float32(height * width), bias])
    return flat
