"""A pooled head, written so that int8 does not round between pooling and dense layer where that costs too much.

TFLite rounds each channel's mean to 1/255 of the largest mean of all. Behind ReLU6 the channels are alike and this is
harmless; behind VGG19's ReLU they are not, and a probability moved by 0.048. Averaging and a dense layer are one linear
map, so the dense layer can read the whole feature map instead: the same weights, repeated for every position and
divided by their number, summed in int32 and rounded once. It costs a byte for each value of the map and each label.
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
    """The head as it is to be written: itself, or `spread` where pooling in int8 would move a probability too far.

    Args:
        head: `(n, 7, 7, C) float32` -> logits, `(n, labels) float32`.
        features: The int8 features of the images learned from, `(n, 7, 7, C) float32`.
        temperature: The logits are divided by this before they become probabilities.
    """
    pooled = isinstance(head.layers[0], keras.layers.GlobalAveragePooling2D)
    return spread(head) if pooled and shift_by_pooling(head, features, temperature) > MAX_SHIFT else head


def shift_by_pooling(head: Any, features: Rows, temperature: float) -> float:
    """How far the rounding of the means moves a probability at most; the arguments are those of `as_shipped`."""
    means = np.concatenate([rows.mean(axis=(1, 2)) for rows in features.batches(_BATCH)])  # (n, C)
    step = max(float(means.max()), 1e-9) / 255
    kernel, bias = head.layers[-1].get_weights()
    exact, rounded = (
        softmax((values @ kernel + bias).astype(np.float32), temperature)
        for values in (means, np.rint(means / step) * step)
    )
    return float(np.abs(exact - rounded).max())


def spread(head: Any) -> Any:
    """The same map without pooling: flattened features and one dense layer."""
    height, width, _ = head.input_shape[1:]
    kernel, bias = head.layers[-1].get_weights()
    flat = keras.Sequential(
        [keras.Input(head.input_shape[1:]), keras.layers.Flatten(), keras.layers.Dense(len(bias))], name="head"
    )
    flat.set_weights([np.tile(kernel, (height * width, 1)) / np.float32(height * width), bias])
    return flat
