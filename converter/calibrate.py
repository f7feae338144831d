"""Which training images the quantizer sees: the same number of each class, drawn by seed, never a held-out one."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from edge.errors import DataError

PER_CLASS: Final = 50
"""More is not better: each outlier stretches a range, and every value in it becomes coarser."""


def calibration_positions(
    targets: npt.NDArray[np.int64], labels: Sequence[str], *, seed: int, per_class: int = PER_CLASS
) -> npt.NDArray[np.int64]:
    """Draw a class-balanced sample.

    Args:
        targets: `(n,)`, index of each training image's label.
        labels: Name of each label.
        seed: Of the draw.
        per_class: Images of each class; a smaller class sets the number for all.

    Returns:
        `(labels * k,) int64`, positions in `targets`, ascending.

    Raises:
        DataError: A label has no image, so the quantizer would see one side only.
    """
    generator = np.random.default_rng(seed)
    members = [np.flatnonzero(targets == position) for position in range(len(labels))]
    absent = [label for label, positions in zip(labels, members, strict=True) if len(positions) == 0]
    if absent:
        raise DataError(
            f"expected training images of {' and '.join(labels)} to calibrate with, got none of {', '.join(absent)}; "
            "train the model on data that has some"
        )
    count = min(per_class, *map(len, members))
    return np.sort(np.concatenate([generator.permutation(positions)[:count] for positions in members]))


def spanning(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Copy the sample and set two corner pixels of its first image to black and to white.

    The quantizer takes the input's range from the sample. Only a sample that spans 0 to 255 gives the scale 1 and the
    zero point 0 with which raw bytes go in as they are.

    Args:
        pixels: `(n, 224, 224, 3) uint8, RGB, 0-255`.
    """
    copy = pixels.copy()
    copy[0, 0, 0] = 0
    copy[0, -1, -1] = 255
    return copy
