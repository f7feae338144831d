"""A float model's heatmaps by the box's own arithmetic: the Keras head as a head of `edge.explain`."""

from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from edge.classify import Dense, Head
from edge.explain import heatmap, placed, unit_peak


def head_of(keras_head: Any) -> Head:
    """The layers of a head that `trainer.heads.build_head` made, in float32.

    Args:
        keras_head: Pooling or flattening, then Dense layers, a ReLU after each but the last.
    """
    return Head(
        pooled=any(isinstance(layer, keras.layers.GlobalAveragePooling2D) for layer in keras_head.layers),
        layers=tuple(_dense(*layer.get_weights()) for layer in keras_head.layers if layer.get_weights()),
    )


def heatmaps(
    features: npt.NDArray[np.float32], head: Head, labels: npt.NDArray[np.int64], *, ahead_cells: float = 0.0
) -> npt.NDArray[np.float32]:
    """Where the evidence for each image's label lies, `(n, H, W) float32`, 0-1, each with its peak at 1.

    Args:
        features: `(n, H, W, C) float32`.
        head: The layers behind them.
        labels: `(n,) int64`, index of the logit to explain.
        ahead_cells: Of the network, see `edge.explain.placed`.
    """
    maps = [
        unit_peak(placed(heatmap(one, head, int(label)), ahead_cells))
        for one, label in zip(features, labels, strict=True)
    ]
    return np.stack(maps) if maps else np.empty((0, *features.shape[1:3]), np.float32)


def _dense(kernel: npt.NDArray[np.float32], bias: npt.NDArray[np.float32]) -> Dense:
    one = np.ones((1, 1), np.float32)
    return Dense(weights=np.ascontiguousarray(kernel.T), scale=one, zero_point=0 * one, bias=bias)
