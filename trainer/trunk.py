"""A backbone's facts and weights -> Trunk: the network in front of every head.

Invariant: a trunk takes raw RGB, 0-255, and returns its last feature map; its pixel arithmetic is part of the graph.
"""

import contextlib
import logging
import sys
import warnings
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import keras
import msgspec
import numpy as np

from edge.errors import ConfigError, DataError
from edge.preprocess import SIDE_PX
from trainer.backbone import Backbone
from trainer.backbones import BACKBONES

IMAGENET: Final = "imagenet"
NONE: Final = "none"

log = logging.getLogger(__name__)


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Where a backbone's weights came from before any training here.

    Attributes:
        weights: `imagenet`, `none`, or the file's name.
        sha256: Over the loaded arrays, 64 hex digits.
    """

    weights: str
    sha256: str


@dataclass(frozen=True, slots=True, eq=False)
class Trunk:
    """A loaded backbone.

    Attributes:
        model: `(n, 224, 224, 3) float32, RGB, 0-255` -> `(n, 7, 7, C) float32`.
        origin: Of its weights.
    """

    model: Any
    origin: Origin

    @property
    def features_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of the last feature map."""
        _, height, width, channels = self.model.output_shape
        return height, width, channels


def load_trunk(name: str, *, weights: str, alpha: float = 1.0, seed: int = 0) -> Trunk:
    """Build a backbone with its pixel arithmetic and load its weights.

    Args:
        name: Of `trainer.backbones.BACKBONES`.
        weights: `imagenet`, `none` (random), or the path of a weights file without the top layers.
        alpha: Width, where the network comes in several.
        seed: Of random weights.

    Raises:
        ConfigError: The weights file is missing, or Keras cannot download its own.
        DataError: The file holds the weights of another network.
    """
    backbone = BACKBONES[name]
    application = _application(backbone, weights, alpha, seed)
    if backbone.bgr_kernel:
        kernel = application.get_layer(backbone.bgr_kernel).kernel  # (3, 3, BGR, filters)
        kernel.assign(np.asarray(kernel)[:, :, ::-1, :])
    pixels = keras.Input((SIDE_PX, SIDE_PX, 3), name="pixels")
    normalise = keras.layers.Rescaling(list(backbone.scale), offset=list(backbone.offset), name="normalise")
    model = keras.Model(pixels, application(normalise(pixels)), name="trunk")
    origin = weights if weights in {IMAGENET, NONE} else Path(weights).name
    return Trunk(model, Origin(weights=origin, sha256=hash_of(application)))


def cut(trunk: Any, backbone: Backbone, blocks: int) -> tuple[Any, Any]:
    """Cut a trunk in two before its last blocks; the halves share its layers and weights.

    Args:
        trunk: `(n, 224, 224, 3) float32` -> `(n, 7, 7, C) float32`.
        backbone: Its facts.
        blocks: How many blocks are above the cut.

    Returns:
        Pixels -> what enters the blocks, and what enters the blocks -> features.

    Raises:
        ConfigError: The network has fewer blocks.
    """
    if blocks > len(backbone.block_inputs):
        raise ConfigError(
            f"{backbone.application} has {len(backbone.block_inputs)} blocks that can learn, "
            f"the recipe asks for {blocks}; ask for fewer"
        )
    network = trunk.get_layer("backbone")
    entrance = network.get_layer(backbone.block_inputs[-blocks]).output
    pixels = keras.Input(trunk.input_shape[1:], name="pixels")
    lower = keras.Model(network.input, entrance)
    return keras.Model(pixels, lower(trunk.get_layer("normalise")(pixels))), keras.Model(entrance, network.output)


def hash_of(model: Any) -> str:
    """SHA-256 over a model's arrays in order, 64 hex digits."""
    digest = sha256()
    for array in model.get_weights():
        digest.update(repr((array.shape, array.dtype.str)).encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def fingerprint(trunk: Any) -> str:
    """What a trunk's features depend on besides the pixels: its weights and its pixel arithmetic, 64 hex digits."""
    normalise = trunk.get_layer("normalise")
    return sha256(f"{hash_of(trunk)} {normalise.scale} {normalise.offset}".encode()).hexdigest()


def _application(backbone: Backbone, weights: str, alpha: float, seed: int) -> Any:
    options = dict(backbone.options)
    if backbone.has_alpha:
        options["alpha"] = alpha
    elif alpha != 1:
        raise ConfigError(f"{backbone.application} comes in one width, the recipe asks for alpha {alpha}; remove it")
    if weights not in {IMAGENET, NONE} and not Path(weights).is_file():
        raise ConfigError(f"expected --weights imagenet, none or a file, found no file {weights}; check the path")
    keras.utils.set_random_seed(seed)  # the applications take no initializer of ours
    build = getattr(keras.applications, backbone.application)
    shape = (SIDE_PX, SIDE_PX, 3)
    try:
        with contextlib.redirect_stdout(sys.stderr):  # Keras announces a download; stdout belongs to --json
            network = build(
                weights=IMAGENET if weights == IMAGENET else None, include_top=False, input_shape=shape, **options
            )
    except Exception as error:
        if weights != IMAGENET:
            raise
        # A download that fails comes out of Keras as a bare Exception, a width without weights as a ValueError.
        raise ConfigError(
            f"Keras cannot give its ImageNet weights of {backbone.application} ({_first_line(error)}); "
            "download them elsewhere and name the file with --weights FILE"
        ) from error
    network.name = "backbone"
    if weights == NONE:
        _centre(network)
    elif weights != IMAGENET:
        _load(network, Path(weights), backbone.application)
    return network


def _centre(network: Any) -> None:
    """Give each random depthwise kernel a strong middle, so that a feature begins above what it describes.

    Behind global pooling nothing ties a feature to its place, and random kernels drift: a MobileNet trained on phantoms
    without this found 94% of the opacities and pointed beside more than half of them, one cell up and to the left.
    """
    for layer in network.layers:
        if not isinstance(layer, keras.layers.DepthwiseConv2D):
            continue
        (kernel,) = layer.get_weights()  # (3, 3, channels, 1)
        if layer.strides == (1, 1):
            kernel[1, 1] += 1
        else:  # Keras pads these below and at the right only: the middle of each cell is the first two rows and columns
            kernel[:2, :2] += 0.25
        layer.set_weights([kernel])


def _load(network: Any, file: Path, application: str) -> None:
    reason: object = None
    with warnings.catch_warnings(record=True) as doubts:
        warnings.simplefilter("always", UserWarning)
        try:
            network.load_weights(file)
        except (ValueError, OSError, KeyError) as error:
            reason = error
    if reason is None and doubts:  # Keras only warns where layers keep their random weights
        reason = doubts[0].message
    if reason is not None:
        raise DataError(
            f"expected weights of {application} without its top layers in {file}, got something else "
            f"({_first_line(reason)}); name the file that belongs to the recipe's backbone"
        )


def _first_line(error: object) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
