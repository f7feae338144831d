"""DATA -> Material: every readable image with its pixels, and which of them belong together."""

import logging
from dataclasses import dataclass
from pathlib import Path

from trainer.dataset import Dataset, read_dataset
from trainer.features import decode_images
from trainer.groups import Group
from trainer.near_duplicates import near_duplicates
from trainer.store import Rows

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """What a run works with.

    Attributes:
        dataset: The readable images.
        pixels: `(n, 224, 224, 3) uint8, RGB, 0-255`, in the dataset's order.
        together: Groups of keys that show the same picture; no split may part them.
        skipped: Unreadable files left out.
    """

    dataset: Dataset
    pixels: Rows
    together: tuple[Group, ...]
    skipped: int


def open_data(data: Path, cache: Path, *, skip_bad: bool) -> Material:
    """Read a folder, decode what the cache does not hold yet, and find the pictures that occur more than once.

    Raises:
        DataError: The folder is not usable, or images are unreadable and `skip_bad` is false.
    """
    found = read_dataset(data)
    dataset, pixels = decode_images(found, cache, skip_bad=skip_bad)
    together = near_duplicates(pixels, dataset.keys)
    log.info(
        "%d images; %d files repeat another's bytes and are left out; %d images look the same as another",
        len(dataset.items),
        dataset.duplicates,
        sum(map(len, together)),
    )
    return Material(dataset, pixels, together, skipped=len(found.items) - len(dataset.items))
