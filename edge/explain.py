"""Features and head -> heatmap: where the network looked, without a gradient tape.

HiResCAM (Draelos and Carin, 2020, arXiv:2011.08891): the sum over channels of gradient times activation, where the
gradient is that of the decided label's logit with respect to the last feature map. Behind that map the head is dense
layers with ReLU, so its gradient is a handful of matrix products. With a pooled head of one layer the map is exactly
CAM (Zhou et al., 2016, arXiv:1512.04150), up to the constant 1/49.
"""

from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from edge.classify import Dense, Head

_BLOCK_ROWS: Final = 16
"""Rows of a weight matrix that are float32 at one time: 3 MB of the paper's first layer, whole it would be 103 MB."""
_OVERLAY_RED: Final = np.array([255.0, 60.0, 0.0], np.float32)


def heatmap(features: npt.NDArray[np.float32], head: Head, label: int) -> npt.NDArray[np.float32]:
    """Where the evidence for one label lies.

    Args:
        features: `(H, W, C) float32`, the last feature map.
        head: The layers behind it.
        label: Index of the logit to explain.

    Returns:
        `(H, W) float32`, at least 0; all 0 where nothing speaks for the label.
    """
    evidence = np.einsum("hwc,hwc->hw", gradient(features, head, label), features)
    return np.maximum(evidence, 0).astype(np.float32)


def gradient(features: npt.NDArray[np.float32], head: Head, label: int) -> npt.NDArray[np.float32]:
    """Derivative of one logit with respect to the features, `(H, W, C) float32`."""
    height, width, _ = features.shape
    x = features.mean(axis=(0, 1)) if head.pooled else features.ravel()  # (C,) or (H * W * C,)
    active = []  # which neurons of each hidden layer the ReLU lets through
    for layer in head.layers[:-1]:
        x = np.maximum(_apply(layer, x), 0)
        active.append(x > 0)
    slope = np.zeros(len(head.layers[-1].bias), np.float32)
    slope[label] = 1
    for layer, mask in zip(reversed(head.layers), [*reversed(active), None], strict=True):
        slope = _apply_transposed(layer, slope)  # (inputs,)
        if mask is not None:
            slope = slope * mask
    if head.pooled:
        return np.broadcast_to(slope / np.float32(height * width), features.shape)
    return slope.reshape(features.shape)  # (H, W, C)


def placed(values: npt.NDArray[np.float32], ahead_cells: float) -> npt.NDArray[np.float32]:
    """A heatmap moved to where the picture has what its cells describe, by cubic convolution.

    The network's grid lies evenly over the picture only where its strided convolutions are padded evenly. Keras'
    MobileNet pads below and at the right: its cells look half a cell ahead, and a map drawn as it is points beside what
    the network saw (Keys, 1981, doi:10.1109/TASSP.1981.1163711, for the interpolation).

    Args:
        values: `(H, W) float32`, at least 0.
        ahead_cells: How far a cell looks ahead, downwards and to the right, as a share of a cell, 0-1.

    Returns:
        `(H, W) float32`, at least 0.
    """
    if ahead_cells == 0:
        return values
    weights = _cubic(1 - ahead_cells)
    moved = np.pad(values, 2)
    for axis, length in enumerate(values.shape):
        taps = [moved.take(range(tap, tap + length), axis) for tap in range(len(weights))]
        moved = np.tensordot(weights, np.stack(taps), 1)
    return np.maximum(moved, 0).astype(np.float32)


def unit_peak(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Scale a heatmap so that its peak is 1; an all-zero map stays as it is."""
    peak = values.max()
    return values / peak if peak > 0 else values


def overlay(pixels: npt.NDArray[np.uint8], values: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """A picture in gray with a heatmap of 0-1 over it in red, `(H, W, 3) uint8, RGB`.

    Args:
        pixels: `(H, W) uint8`.
        values: `(h, w) float32`, of any size.
    """
    height, width = pixels.shape
    heat = Image.fromarray(values).resize((width, height), Image.Resampling.BICUBIC)
    weight = 0.5 * np.clip(np.asarray(heat, np.float32), 0, 1)[:, :, np.newaxis]
    return np.rint((1 - weight) * pixels[:, :, np.newaxis] + weight * _OVERLAY_RED).astype(np.uint8)


def as_rows(values: npt.NDArray[np.float32]) -> tuple[tuple[float, ...], ...]:
    """A heatmap as the wire carries it: rows of numbers with three decimals."""
    return tuple(tuple(float(f"{value:.3f}") for value in row) for row in values.tolist())


def _cubic(after: float) -> tuple[float, float, float, float]:
    """Weights of four neighbours for a point so far behind the second of them, 0-1."""
    t = after
    return (
        -0.5 * t**3 + t**2 - 0.5 * t,
        1.5 * t**3 - 2.5 * t**2 + 1,
        -1.5 * t**3 + 2 * t**2 + 0.5 * t,
        0.5 * t**3 - 0.5 * t**2,
    )


def _apply(layer: Dense, x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    product = np.empty(len(layer.weights), np.float32)
    for start in range(0, len(product), _BLOCK_ROWS):
        block = slice(start, start + _BLOCK_ROWS)
        product[block] = layer.weights[block].astype(np.float32) @ x
    return (layer.scale[:, 0] * (product - layer.zero_point[:, 0] * x.sum()) + layer.bias).astype(np.float32)


def _apply_transposed(layer: Dense, slope: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    scaled = slope * layer.scale[:, 0]
    result = np.full(layer.weights.shape[1], -(scaled * layer.zero_point[:, 0]).sum(), np.float32)
    rows = np.flatnonzero(scaled)  # neurons behind a closed ReLU cost nothing
    for start in range(0, len(rows), _BLOCK_ROWS):
        block = rows[start : start + _BLOCK_ROWS]
        result += scaled[block] @ layer.weights[block].astype(np.float32)
    return result
