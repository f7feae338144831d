"""A network of convolutions and ReLU6, as MobileNet -> the same, with channels that each use the whole of int8's range.

A tensor between two convolutions has one scale for all channels, so a channel whose values stay small is told apart
in a few steps only. The more of its 255 steps a channel uses, the less rounding there is. Below its 6, a ReLU6 lets a
factor through: multiplied into one convolution, it is divided out of the next (cross-layer equalization; Nagel et
al., 2019, arXiv:1906.04721). Before a depthwise convolution, which has a scale for each channel itself, that costs
nothing; before any other, the factor is the root of what would fill the range, because it also decides how finely the
next weights are rounded.

What fills a channel's range is not its largest value but the limit above which cutting costs less than rounding: the
one of least squared error on the calibration images. It is brought to 6, where ReLU6 cuts.

Other networks are left alone. VGG19's plain ReLU would have to become a ReLU6; tried, its probabilities moved further
from the refitted model's.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import keras
import numpy as np
import numpy.typing as npt

from converter.histogram import Histogram
from trainer.progress import progress

CAP: Final = 6.0
"""Where ReLU6 cuts."""
BALANCE: Final = 0.5
"""Exponent of the factor before a convolution that mixes channels."""
WIDEST: Final = 1000.0
"""A channel is taken to be at most so many times smaller than its tensor's largest."""
_BATCH: Final = 2
_PASSED: Final = (keras.layers.ZeroPadding2D, keras.layers.MaxPooling2D, keras.layers.Dropout)
"""Layers that a positive factor goes through."""


@dataclass(frozen=True, slots=True, eq=False)
class _Link:
    """A ReLU6 between two convolutions of one network.

    Attributes:
        scaled: The normalisation before it, which takes the factor into its weights.
        relu: The ReLU6.
        behind: The convolution that reads it.
    """

    scaled: Any
    relu: Any
    behind: Any


def equalized(trunk: Any, sample: npt.NDArray[np.uint8]) -> Any:
    """The same network with equalized channels; as it was where it is not a plain chain of such layers.

    Args:
        trunk: `(n, 224, 224, 3) float32, RGB, 0-255` -> `(n, 7, 7, C) float32`, with layers `normalise` and `backbone`.
        sample: `(n, 224, 224, 3) uint8`, the calibration images.
    """
    normalise, backbone = trunk.get_layer("normalise"), trunk.get_layer("backbone")
    network = keras.models.clone_model(backbone)
    network.set_weights(backbone.get_weights())
    links = _links(network.layers)
    if not links:
        return trunk
    limits = [np.minimum(each.limit(), CAP) for each in _histograms(network, links, normalise, sample)]
    for link, limit in zip(links, limits, strict=True):
        _apply(link, factors(limit, free=isinstance(link.behind, keras.layers.DepthwiseConv2D)))
    pixels = keras.Input(trunk.input_shape[1:], name="pixels")
    return keras.Model(pixels, network(normalise(pixels)), name="trunk")


def factors(limit: npt.NDArray[np.float64], *, free: bool) -> npt.NDArray[np.float64]:
    """What each channel is multiplied by, so that the largest limit becomes 6 and the others come nearer to it.

    Args:
        limit: `(C,)`, at least 0; 0 for a channel that never speaks.
        free: All channels are to fill the range; else by the root.
    """
    largest = limit.max() or CAP
    ratio = largest / np.maximum(limit, largest / WIDEST)
    return np.where(limit > 0, ratio ** (1.0 if free else BALANCE), 1.0) * CAP / largest


def _apply(link: _Link, factor: npt.NDArray[np.float64]) -> None:
    scaled, behind = link.scaled, link.behind
    scaled.gamma.assign(np.asarray(scaled.gamma) * factor)
    scaled.beta.assign(np.asarray(scaled.beta) * factor)
    behind.kernel.assign(np.asarray(behind.kernel) / factor[:, np.newaxis])  # (h, w, C, outputs or 1)


def _links(layers: list[Any]) -> list[_Link]:
    """Every ReLU6 of a chain whose factor can be moved; none where layers do not follow each other one by one."""
    if any(layer.input is not before.output for before, layer in pairwise(layers)):
        return []
    found = []
    for position, (scaled, relu) in enumerate(pairwise(layers)):
        behind = next((each for each in layers[position + 2 :] if not isinstance(each, _PASSED)), None)
        if _scales(scaled) and _rectifies(relu) and _reads(behind):
            found.append(_Link(scaled, relu, behind))
    return found


def _rectifies(layer: Any) -> bool:
    if not isinstance(layer, keras.layers.ReLU):
        return False
    return bool(layer.max_value == CAP and not layer.negative_slope and not layer.threshold)


def _scales(layer: Any) -> bool:
    return isinstance(layer, keras.layers.BatchNormalization) and bool(layer.scale and layer.center)


def _reads(layer: Any) -> bool:
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        return bool(layer.depth_multiplier == 1)
    return isinstance(layer, keras.layers.Conv2D) and bool(layer.groups == 1)


def _histograms(network: Any, links: list[_Link], normalise: Any, sample: npt.NDArray[np.uint8]) -> list[Histogram]:
    """Of the channels behind each link's ReLU."""
    spied = keras.Model(network.input, [link.relu.output for link in links])
    histograms = [Histogram(link.relu.output.shape[-1]) for link in links]
    starts = range(0, len(sample), _BATCH)
    for start in progress(starts, total=len(starts), what="ranges", unit="batch"):
        pixels = sample[start : start + _BATCH].astype(np.float32)
        values = spied(normalise(pixels), training=False)
        for histogram, value in zip(histograms, values if len(links) > 1 else [values], strict=True):
            histogram.add(np.asarray(value).reshape(-1, value.shape[-1]))
    return histograms
