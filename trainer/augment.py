"""Augmented copies of training images, as Keras' `ImageDataGenerator` draws them, which the paper's ranges belong to.

Each copy's movement is drawn from the image's hash and the copy's number and from nothing else: a copy can be made
again at any time, its features are computed once, and neither the seed nor the split of a run changes them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

import keras
import msgspec
import numpy as np
import numpy.typing as npt

from trainer.recipes import Augmentation


@dataclass(frozen=True, slots=True)
class AugmentedCopy:
    """One augmented version of every image: a `trainer.views.View`."""

    augmentation: Augmentation
    number: int

    @property
    def name(self) -> str:
        """The ranges and the number; how many copies there are, and what is learned beside them, changes none."""
        ranges = msgspec.structs.asdict(self.augmentation)
        del ranges["copies"], ranges["with_originals"]
        return f"augmented copy {self.number} of {sorted(ranges.items())}"

    def __call__(self, pixels: npt.NDArray[np.uint8], keys: Sequence[str]) -> npt.NDArray[np.float32]:
        """Move the images; what lies beyond an edge repeats the edge, `(n, 224, 224, 3) float32, RGB, 0-255`."""
        height, width = pixels.shape[1:3]
        movements = [_movement(self.augmentation, self._drawn(key), height, width) for key in keys]
        return np.asarray(
            keras.ops.image.affine_transform(
                pixels.astype(np.float32), np.stack(movements), interpolation="bilinear", fill_mode="nearest"
            )
        )

    def _drawn(self, key: str) -> np.random.Generator:
        return np.random.default_rng(int.from_bytes(sha256(f"{key} {self.number}".encode()).digest()[:8], "big"))


def copies_of(augmentation: Augmentation) -> list[AugmentedCopy]:
    """All copies that a recipe keeps of an image."""
    return [AugmentedCopy(augmentation, number) for number in range(augmentation.copies)]


def _movement(
    augmentation: Augmentation, drawn: np.random.Generator, height: int, width: int
) -> npt.NDArray[np.float32]:
    """Where each output pixel is fetched from: the eight numbers `affine_transform` takes, x before y.

    The order is that of `ImageDataGenerator`: the output is zoomed, sheared, shifted and turned about its middle.
    """
    turn = np.deg2rad(drawn.uniform(-augmentation.rotation_deg, augmentation.rotation_deg))
    shift_x = drawn.uniform(-augmentation.width_shift, augmentation.width_shift) * width
    shift_y = drawn.uniform(-augmentation.height_shift, augmentation.height_shift) * height
    slant = np.deg2rad(drawn.uniform(-augmentation.shear_deg, augmentation.shear_deg))
    zoom_x, zoom_y = drawn.uniform(1 - augmentation.zoom, 1 + augmentation.zoom, 2)
    cos, sin = np.cos(turn), np.sin(turn)
    rotation = np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])
    shift = np.array([[1, 0, shift_x], [0, 1, shift_y], [0, 0, 1]])
    shear = np.array([[np.cos(slant), 0, 0], [-np.sin(slant), 1, 0], [0, 0, 1]])
    zoom = np.diag([zoom_x, zoom_y, 1])
    to_middle = np.array([[1, 0, (width - 1) / 2], [0, 1, (height - 1) / 2], [0, 0, 1]])
    from_middle = np.array([[1, 0, -(width - 1) / 2], [0, 1, -(height - 1) / 2], [0, 0, 1]])
    matrix = to_middle @ rotation @ shift @ shear @ zoom @ from_middle
    return (matrix / matrix[2, 2]).ravel()[:8].astype(np.float32)
