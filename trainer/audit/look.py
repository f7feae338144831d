"""Pixels -> a row of features per image: what a probe is told of a picture.

Used by `audit.py`, where nothing is learned but a logistic regression on these features. With weights at hand they
are a frozen network's, averaged over the feature map; without, the picture itself at 28 x 28. Invariant: every view is
looked at in the same way as the whole image.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from edge.preprocess import SIDE_PX
from trainer.features import compute_features
from trainer.store import Rows
from trainer.trunk import NONE, load_trunk
from trainer.views import View

THUMBNAIL_PX: Final = 28
_BATCH: Final = 64

Features = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """One way to describe pictures.

    Attributes:
        title: What the features are, in words.
        features: Pixels, keys, a view or None for the picture itself, and what to say beside the progress bar -> one
            row per image, `(n, d) float32`.
    """

    title: str
    features: Callable[[Rows, Sequence[str], View | None, str], Features]


def look_of(backbone: str, weights: str, cache: Path, *, alpha: float = 1.0) -> Look:
    """The way to describe pictures that these weights allow.

    Args:
        backbone: A name of `trainer.backbones.BACKBONES`.
        weights: `imagenet`, a file, or `none`, which asks for no network at all: one with random weights sees less than
            a thumbnail.
        cache: The cache's root.
        alpha: Width, where the network comes in several.

    Raises:
        ConfigError: The weights file is missing, or Keras cannot download its own.
        DataError: The file holds the weights of another network.
    """
    if weights == NONE:
        return Look(f"the picture at {THUMBNAIL_PX} x {THUMBNAIL_PX}, without a network", _thumbnails)
    trunk = load_trunk(backbone, weights=weights, alpha=alpha)

    def averages(pixels: Rows, keys: Sequence[str], view: View | None, what: str) -> Features:
        maps = compute_features(pixels, keys, trunk.model, cache, view, what=what)  # (n, 7, 7, C)
        return np.concatenate([batch.mean(axis=(1, 2)) for batch in maps.batches(_BATCH)])

    return Look(f"features of a frozen {backbone} ({trunk.origin.weights}), averaged over the picture", averages)


def _thumbnails(pixels: Rows, keys: Sequence[str], view: View | None, _: str) -> Features:
    block = SIDE_PX // THUMBNAIL_PX
    rows = []
    for start in range(0, len(pixels), _BATCH):
        chosen = slice(start, start + _BATCH)
        seen = pixels.take(chosen)
        films = (view(seen, keys[chosen]) if view else seen)[:, :, :, 0]  # (m, 224, 224)
        blocks = films.reshape(len(films), THUMBNAIL_PX, block, THUMBNAIL_PX, block)
        rows.append(blocks.mean(axis=(2, 4), dtype=np.float32).reshape(len(films), -1))
    return np.concatenate(rows)
