"""Dataset -> Split: which images are learned from and which are held out.

Invariant: the two parts share no image bytes. They may share patients, as in the paper; the split says how many do.
"""

import logging

import msgspec
import numpy as np

from edge.errors import DataError
from trainer.dataset import Dataset

log = logging.getLogger(__name__)


class Split(msgspec.Struct, frozen=True, kw_only=True):
    """A drawn split; it travels with the model, so the converter never shows it a held-out image.

    Attributes:
        name: How it was drawn.
        seed: Of the draw.
        train: SHA-256 of the images learned from, sorted.
        held_out: SHA-256 of the held-out images, sorted.
        patients_on_both_sides: None where the data names no patients.
    """

    name: str
    seed: int
    train: tuple[str, ...]
    held_out: tuple[str, ...]
    patients_on_both_sides: int | None


def random_split(dataset: Dataset, *, test_share: float, seed: int) -> Split:
    """Hold out a share of each class, drawn at random as in the paper.

    The draw depends on the images' content and the seed, not on file names or their order.

    Raises:
        DataError: A class is too small to have an image on both sides.
    """
    generator = np.random.default_rng(seed)
    held_out: list[str] = []
    for label in dataset.labels:
        keys = sorted(item.sha256 for item in dataset.items if item.label == label)
        count = round(len(keys) * test_share)
        if not 0 < count < len(keys):
            raise DataError(
                f"expected enough images of {label!r} to hold out {test_share:.0%} of them, "
                f"got {len(keys)}; add images of this class"
            )
        held_out += [keys[index] for index in generator.permutation(len(keys))[:count]]
    train = set(dataset.keys).difference(held_out)
    return Split(
        name="random",
        seed=seed,
        train=tuple(sorted(train)),
        held_out=tuple(sorted(held_out)),
        patients_on_both_sides=_shared_patients(dataset, train),
    )


def _shared_patients(dataset: Dataset, train: set[str]) -> int | None:
    learned = {item.patient for item in dataset.items if item.patient and item.sha256 in train}
    tested = {item.patient for item in dataset.items if item.patient and item.sha256 not in train}
    return len(learned & tested) if learned or tested else None
