"""What the trainer has to know of a network to build on it: facts only, one file each in `trainer/backbones/`.

To add a network of Keras Applications, add a file with its facts there. Nothing else names it: its recipes
`clinic-NAME` and `clinic-NAME-tuned` follow from the file.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Backbone:
    """The facts of one network.

    Attributes:
        application: Its name in `keras.applications`.
        scale: Pixels are multiplied by this first, in the order red, green, blue.
        offset: Then this is added.
        licence: Of the published ImageNet weights.
        block_inputs: Layers whose output enters a block, from the pixels up. A second stage of training that unfreezes
            the last k blocks begins at the k-th from the end; nothing else may pass that place.
        ahead_cells: How far below and to the right of a cell's own middle lies the middle of what its feature
            describes, as a share of a cell. Keras pads strided convolutions below and at the right only, and each
            looks half of its own step ahead of that: 15.5 pixels of 32 for five of them.
        bgr_kernel: Name of the first convolution where the published network reads blue, green, red; else None. Its
            kernel is turned over after loading, which is exact and costs nothing, unlike reversing each picture.
        has_alpha: Whether the application comes in several widths.
        options: Further arguments of the application.
    """

    application: str
    scale: tuple[float, float, float]
    offset: tuple[float, float, float]
    licence: str
    block_inputs: tuple[str, ...]
    ahead_cells: float = 0.0
    bgr_kernel: str | None = None
    has_alpha: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
