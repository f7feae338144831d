"""Images -> pixels -> features of a frozen network, each computed once per image and view and kept in the cache.

Invariant: a cached row depends on nothing but the image's bytes and what the cache folder is named after: decoding and
preprocessing, and for features also the view and the network's weights. Decoding is `edge.decoding.decode`, resizing
`edge.preprocess`.
"""

import logging
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from edge.decoding.decode import DECODING, decode
from edge.errors import DataError, UnreadableImageError
from edge.preprocess import PREPROCESSING, SIDE_PX, preprocess
from trainer.dataset import Dataset, Item, named
from trainer.progress import progress
from trainer.store import Rows, Store
from trainer.trunk import fingerprint
from trainer.views import View

BATCH: Final = 32
"""Images that are in memory, and lost by an interruption, at one time."""

log = logging.getLogger(__name__)

Compute = Callable[[npt.NDArray[np.uint8], Sequence[str]], npt.NDArray[np.float32]]
"""`(n, 224, 224, 3) uint8, RGB` and the images' keys -> `(n, H, W, C) float32`."""


def decode_images(dataset: Dataset, cache: Path, *, skip_bad: bool) -> tuple[Dataset, Rows]:
    """Decode and preprocess every image that the cache does not hold yet.

    Args:
        dataset: What to decode.
        cache: The cache's root.
        skip_bad: Leave unreadable images out instead of stopping.

    Returns:
        The dataset of the readable images, and their pixels, `(n, 224, 224, 3) uint8, RGB, 0-255`.

    Raises:
        DataError: Images are unreadable and `skip_bad` is false, or a class has no readable image.
    """
    store = Store(cache / f"pixels-{_digest(DECODING, PREPROCESSING)}", (SIDE_PX, SIDE_PX, 3), np.uint8)
    missing = frozenset(store.missing(dataset.keys))
    items = [item for item in dataset.items if item.sha256 in missing]
    unreadable: dict[str, str] = {}
    for batch in progress(_batches(items), total=-(-len(items) // BATCH), what="decoding", unit="batch"):
        _decode_batch(dataset.root, batch, store, unreadable)
    if unreadable:
        dataset = _without(dataset, unreadable, skip_bad=skip_bad)
    return dataset, store.rows(dataset.keys)


def compute_features(
    pixels: Rows, keys: Sequence[str], trunk: Any, cache: Path, view: View | None = None, *, what: str = "features"
) -> Rows:
    """A network's features of `keys`, `(n, H, W, C) float32`, computed where the cache does not hold them yet.

    Args:
        pixels: `(n, 224, 224, 3) uint8, RGB, 0-255`.
        keys: The images' SHA-256, in the order of `pixels`.
        trunk: `(n, 224, 224, 3) float32` -> `(n, H, W, C) float32`.
        cache: The cache's root.
        view: What the network sees of the images; None for the images themselves.
        what: Said beside the progress bar.
    """
    depends_on = [DECODING, PREPROCESSING, fingerprint(trunk), *([view.name] if view else [])]
    store = Store(cache / f"features-{_digest(*depends_on)}", trunk.output_shape[1:], np.float32)
    return cached_features(pixels, keys, _forward(trunk, view), store, what=what)


def forward(model: Any, pixels: npt.NDArray[np.uint8] | npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """What a network makes of one batch of images, `(n, H, W, C) float32`.

    Compiled, since a network that is called layer by layer keeps all that lies between: 2.2 GB for VGG19, else 1.0.

    Args:
        model: `(n, 224, 224, 3) float32` -> `(n, H, W, C) float32`.
        pixels: `(n, 224, 224, 3), RGB, 0-255`, n up to `BATCH`.
    """
    # A short batch is filled up: a second shape would be compiled anew and may round differently.
    full = np.zeros((BATCH, *pixels.shape[1:]), np.float32)
    full[: len(pixels)] = pixels
    features: npt.NDArray[np.float32] = model.predict_on_batch(full)[: len(pixels)]
    return features


def cached_features(
    pixels: Rows, keys: Sequence[str], compute: Compute, store: Store, *, what: str = "features"
) -> Rows:
    """Features of `keys`, batch by batch from their pixels where the store does not hold them yet."""
    missing = frozenset(store.missing(keys))
    todo = np.array([position for position, key in enumerate(keys) if key in missing], np.int64)
    chunks = [todo[start : start + BATCH] for start in range(0, len(todo), BATCH)]
    for chunk in progress(chunks, total=len(chunks), what=what, unit="batch"):
        batch = [keys[position] for position in chunk]
        store.append(batch, compute(pixels.take(chunk), batch))
    return store.rows(keys)


def _forward(model: Any, view: View | None) -> Compute:
    def compute(pixels: npt.NDArray[np.uint8], keys: Sequence[str]) -> npt.NDArray[np.float32]:
        return forward(model, view(pixels, keys) if view else pixels)

    return compute


def _batches(items: Sequence[Item]) -> list[Sequence[Item]]:
    return [items[start : start + BATCH] for start in range(0, len(items), BATCH)]


def _decode_batch(root: Path, items: Sequence[Item], store: Store, unreadable: dict[str, str]) -> None:
    keys, rows = [], []
    for item in items:
        try:
            rows.append(preprocess(decode((root / item.file).read_bytes())))
            keys.append(item.sha256)
        except UnreadableImageError as error:
            unreadable[item.file] = str(error)
        except OSError as error:
            unreadable[item.file] = f"cannot be read: {error.strerror}"
    if keys:
        store.append(keys, np.stack(rows))


def _without(dataset: Dataset, unreadable: dict[str, str], *, skip_bad: bool) -> Dataset:
    for file, reason in unreadable.items():
        log.warning("%s: %s", file, reason)
    if not skip_bad:
        raise DataError(
            f"{len(unreadable)} of {len(dataset.items)} images are unreadable: {named(unreadable)}; "
            "repair or remove them, or leave them out with --skip-bad"
        )
    readable = dataset.only(item.sha256 for item in dataset.items if item.file not in unreadable)
    empty = [label for label, count in readable.counts().items() if count == 0]
    if empty:
        raise DataError(f"no image of {named(empty)} is readable; add readable ones")
    return readable


def _digest(*parts: str) -> str:
    return sha256("\n".join(parts).encode()).hexdigest()[:16]
