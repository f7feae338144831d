"""A view changes an image's pixels before the backbone sees them: an augmented copy, or a picture with parts hidden.

Invariant: what a view makes of an image depends on the view's name and the image alone, so its features can be kept.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt


class View(Protocol):
    """One way to look at images."""

    @property
    def name(self) -> str:
        """Says everything that the result depends on besides the image; features are cached under it."""
        ...

    def __call__(self, pixels: npt.NDArray[np.uint8], keys: Sequence[str]) -> npt.NDArray[np.float32]:
        """Look at some images.

        Args:
            pixels: `(n, 224, 224, 3) uint8, RGB, 0-255`.
            keys: The images' SHA-256, for what is drawn at random per image.

        Returns:
            `(n, 224, 224, 3) float32, RGB, 0-255`.
        """
        ...
