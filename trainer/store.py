"""A growing array on disk, one row per image, found again by the image's key. Used for pixels and for features.

Rows are written batch by batch: first the rows, then their keys, each flushed to the disk. An interruption therefore
loses at most the batch under way; the next batch overwrites a row without a key. Reading goes through a memory map and
gives its pages back after every read, so memory grows with the batch and not with the dataset.
"""

import fcntl
import mmap
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from edge.errors import ConfigError

_KEY_LINE_BYTES: Final = 65


def default_cache() -> Path:
    """The user's cache folder, after the XDG base directory specification."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edge-xray"


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Rows of a store in an order of one's own; nothing is read before it is asked for.

    Attributes:
        stored: `(rows, ...)`, the memory-mapped store.
        index: `(n,) int64`, where each of these rows lies in it.
    """

    stored: npt.NDArray[Any]
    index: npt.NDArray[np.int64]

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.index)

    def take(self, positions: npt.NDArray[np.int64] | slice) -> npt.NDArray[Any]:
        """Read some rows into memory, `(len(positions), ...)`."""
        rows: npt.NDArray[Any] = np.asarray(self.stored[self.index[positions]])  # a copy, since the index is an array
        mapped: Any = self.stored.base
        if isinstance(mapped, mmap.mmap):
            mapped.madvise(mmap.MADV_DONTNEED)  # else every page ever read counts as this process's memory
        return rows

    def select(self, chosen: npt.NDArray[np.bool_]) -> "Rows":
        """Those of these rows where `chosen`, `(n,) bool`, is true."""
        return Rows(self.stored, self.index[chosen])

    def batches(self, size: int) -> Iterator[npt.NDArray[Any]]:
        """Read all rows in order, up to `size` at a time."""
        for start in range(0, len(self), size):
            yield self.take(slice(start, start + size))

    @property
    def row_shape(self) -> tuple[int, ...]:
        """Shape of one row."""
        return tuple(self.stored.shape[1:])


class Store:
    """One array on disk.

    Args:
        folder: Where it lies; made where it is missing. Whatever changes the rows' meaning belongs into its name.
        row_shape: Shape of one row.
        dtype: Of the rows.

    Raises:
        ConfigError: The folder cannot be made or written.
    """

    def __init__(self, folder: Path, row_shape: Sequence[int], dtype: npt.DTypeLike) -> None:
        self._folder = folder
        self._row_shape = tuple(row_shape)
        self._dtype = np.dtype(dtype)
        self._row_bytes = prod(self._row_shape) * self._dtype.itemsize
        with _clear(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self._rows_path, self._keys_path = folder / "rows.bin", folder / "keys.txt"
            self._rows_path.touch()
            self._keys_path.touch()
        self._known: dict[str, int] = {}

    def missing(self, keys: Sequence[str]) -> list[str]:
        """Those of `keys` that have no row yet, in order."""
        known = self._positions()
        return [key for key in keys if key not in known]

    def append(self, keys: Sequence[str], rows: npt.NDArray[Any]) -> None:
        """Add rows; a key that has one already keeps it.

        Raises:
            ConfigError: The disk is full or not writable.
        """
        if rows.shape != (len(keys), *self._row_shape) or rows.dtype != self._dtype:
            raise ValueError(f"expected {(len(keys), *self._row_shape)} {self._dtype}, got {rows.shape} {rows.dtype}")
        with _clear(self._folder), self._locked():
            known = self._positions()
            new = {key: position for position, key in enumerate(keys) if key not in known}
            _append(self._rows_path, rows[list(new.values())].tobytes(), at=len(known) * self._row_bytes)
            _append(self._keys_path, "".join(f"{key}\n" for key in new).encode(), at=len(known) * _KEY_LINE_BYTES)

    def rows(self, keys: Sequence[str]) -> Rows:
        """The rows of these keys, in this order; every key must have one."""
        known = self._positions()
        index = np.array([known[key] for key in keys], np.int64)
        if not known:
            return Rows(np.empty((0, *self._row_shape), self._dtype), index)
        stored = np.memmap(self._rows_path, self._dtype, "r", shape=(len(known), *self._row_shape))
        return Rows(stored, index)

    def _positions(self) -> dict[str, int]:
        """Key to row. Written lines never change, so only those that came since the last look are read."""
        with self._keys_path.open("rb") as file:
            file.seek(len(self._known) * _KEY_LINE_BYTES)
            content = file.read()
        whole = len(content) // _KEY_LINE_BYTES * _KEY_LINE_BYTES  # a half-written line is a key not written
        for key in content[:whole].decode().split():
            self._known[key] = len(self._known)
        return self._known

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with (self._folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _append(path: Path, content: bytes, *, at: int) -> None:
    with path.open("r+b") as file:
        file.truncate(at)
        file.seek(at)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def _clear(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigError(
            f"cannot write to the cache {folder}: {error.strerror}; free some space or name another with --cache"
        ) from error
