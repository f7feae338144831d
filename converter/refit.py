"""The head, fitted once more on what the box will see: the int8 backbone's own dequantized features.

The refitted head is what the shipped file is meant to be, so parity is measured against it. The shipped file holds it
only rounded to int8; comparing the file with its own rounded weights would hide the rounding. So the float head is kept
in the cache under the hash of its weights, which the card states. Where the cache has lost it, `refit` makes it again
from the same model, images and seed; `Refitted.provenance` says which it was and whether the hash is the card's.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import keras
import numpy as np
import numpy.typing as npt

from converter.grid import learning_on_grid, settled
from converter.material import Part
from edge.classify import Classifier
from edge.errors import ConfigError
from trainer.features import cached_features
from trainer.heads import Schedule, fit_head
from trainer.recipes import Recipe
from trainer.store import Rows, Store
from trainer.trunk import hash_of

INTERPRETER: Final = "litert"
"""The runtime in which the converter reads features and compares decisions."""
_SHARE_OF_EPOCHS: Final = 5
_SHARE_OF_RATE: Final = 10

KEPT: Final = "kept from the conversion"
SAME: Final = "refitted again, same weights"
OTHER: Final = "refitted again, other weights than the conversion's"


@dataclass(frozen=True, slots=True, eq=False)
class Refitted:
    """A refitted head.

    Attributes:
        head: `(n, 7, 7, C) float32` -> logits, `(n, labels) float32`.
        provenance: `KEPT`, `SAME` or `OTHER`.
    """

    head: Any
    provenance: str


def refit_schedule(recipe: Recipe, seed: int) -> Schedule:
    """A fifth of the recipe's epochs at a tenth of its rate: the start is the trained head, which is nearly right."""
    return Schedule(
        epochs=max(1, recipe.epochs // _SHARE_OF_EPOCHS),
        batch=recipe.batch,
        learning_rate=recipe.learning_rate / _SHARE_OF_RATE,
        seed=seed,
    )


def int8_features(model: bytes, part: Part, cache: Path) -> Rows:
    """What the model file says of some images' features in the real interpreter, `(n, 7, 7, C) float32`."""
    classifier = Classifier(model, runtime=INTERPRETER)

    def compute(pixels: npt.NDArray[np.uint8], _: Sequence[str] = ()) -> npt.NDArray[np.float32]:
        return np.stack([classifier.run(image).features for image in pixels])

    shape = compute(part.pixels.take(slice(0, 1))).shape[1:]
    store = Store(cache / f"features-int8-{sha256(model).hexdigest()[:16]}", shape, np.float32)
    return cached_features(part.pixels, part.keys, compute, store)


def refit(head: Any, features: Rows, targets: npt.NDArray[np.int64], schedule: Schedule) -> Any:
    """Fit a copy of the trained head on the int8 features of the training images, on int8's grid of weights.

    Args:
        head: The trained head.
        features: What `int8_features` says, `(n, 7, 7, C) float32`.
        targets: `(n,)`, index of each image's label.
        schedule: How long and how fast.
    """
    return settled(fit_head(learning_on_grid(head), [features], targets, schedule, what="refitting"), head)


def keep(head: Any, cache: Path) -> str:
    """Keep a head in the cache and return the hash it is found by.

    Raises:
        ConfigError: The disk is full or not writable.
    """
    digest = hash_of(head)
    folder = cache / "refitted"
    partial = folder / f".{digest}.part"
    content = io.BytesIO()
    np.savez(content, *head.get_weights())
    try:
        folder.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(content.getbuffer())
        partial.replace(folder / f"{digest}.npz")
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise ConfigError(
            f"cannot write to the cache {folder}: {error.strerror}; free some space or name another with --cache"
        ) from error
    return digest


def find(digest: str, like: Any, cache: Path) -> Any | None:
    """A head that `keep` kept; None where it is lost or damaged.

    Args:
        digest: What `keep` returned.
        like: A head of the same layers.
        cache: The cache's root.
    """
    path = cache / "refitted" / f"{digest}.npz"
    if not path.is_file():
        return None
    with np.load(path) as arrays:
        head = keras.models.clone_model(like)
        head.set_weights([arrays[name] for name in arrays.files])
    return head if hash_of(head) == digest else None
