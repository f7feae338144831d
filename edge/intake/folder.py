"""Watched folders: a generator of `Capture`. Works by polling, because change events are missing on network shares.

Invariant: a file leaves its place only through `settle`, after its report is durable, or through `set_aside`, with the
reason in a file beside it. A file that is still being written is left alone: it is read once it has not changed for
`settle_s`; if it then cannot be decoded it may still be arriving, and is set aside only once it has not changed for
`patience_s`.
"""

import logging
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Final

from edge.decode import MAX_SIZE_BYTES
from edge.errors import ConfigError, QuarantineError
from edge.study import Capture

ARCHIVE: Final = "archive"
QUARANTINE: Final = "quarantine"
POLL_S: Final = 0.25

_UNFINISHED: Final = (".part", ".partial", ".tmp", ".crdownload", ".filepart", "~")
_NOT_IMAGES: Final = frozenset({"thumbs.db", "desktop.ini"})

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Sighting:
    """A file as last seen.

    Attributes:
        signature: Inode, size and modification time; any change starts the waiting anew.
        since_s: Monotonic time from which on it has looked like this.
        tried: Whether it was read since.
        done: Whether nothing more is to be done with it, though it could not be moved away.
    """

    signature: tuple[int, int, int]
    since_s: float
    tried: bool = False
    done: bool = False


class FolderIntake:
    """Takes images out of watched folders, oldest first.

    Args:
        folders: Watched, not descended into.
        settle_s: A file is read once unchanged for this long.
        patience_s: An undecodable file is set aside once unchanged for this long.

    Raises:
        ConfigError: A folder does not exist or cannot be written to.
    """

    def __init__(self, folders: Sequence[Path], *, settle_s: float, patience_s: float) -> None:
        for folder in folders:
            if not folder.is_dir() or not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
                raise ConfigError(
                    f"expected a folder to watch that this user may read and write, got {folder}; "
                    "make it, or mind its owner and mode"
                )
        self._folders = tuple(folders)
        self._settle_s = settle_s
        self._patience_s = patience_s
        self._seen: dict[Path, _Sighting] = {}
        self._warned: set[Path] = set()

    def captures(self, stop: Event) -> Iterator[Capture]:
        """Yield each image as it becomes readable, until stopped."""
        while not stop.is_set():
            for path, sighting in self._scan():
                if stop.is_set():
                    return
                if self._is_due(sighting) and (capture := self._read(path, sighting)) is not None:
                    yield capture
            stop.wait(POLL_S)

    def settle(self, capture: Capture) -> None:
        """Move an original to the archive. Call it only once its report is durable."""
        self._move(capture, ARCHIVE)

    def set_aside(self, capture: Capture, error: QuarantineError) -> bool:
        """Quarantine a file that cannot be used, with the reason beside it.

        Returns:
            False where the file may still be arriving; it is then offered again after a change, or when patience ends.
        """
        sighting = self._seen.get(capture.path)
        if sighting is None or time.monotonic() - sighting.since_s < self._patience_s:
            return False
        return self._move(capture, QUARANTINE, reason=f"{error}\n")

    def _scan(self) -> list[tuple[Path, _Sighting]]:
        """What is there now and not yet done, oldest first."""
        found: dict[Path, _Sighting] = {}
        for folder in self._folders:
            try:
                entries = list(os.scandir(folder))
            except OSError as error:
                log.warning("cannot read a watched folder (%s); trying again", error.strerror)
                continue
            for entry in entries:
                path = Path(entry.path)
                if (sighting := self._sight(entry, path)) is not None:
                    found[path] = sighting
        self._seen = found
        return sorted(
            ((path, sighting) for path, sighting in found.items() if not sighting.done),
            key=lambda item: (item[1].signature[2], item[0].name),
        )

    def _sight(self, entry: os.DirEntry[str], path: Path) -> _Sighting | None:
        name = entry.name.lower()
        if name.startswith(".") or name.endswith(_UNFINISHED) or name in _NOT_IMAGES:
            return None
        try:
            if entry.is_dir():
                self._warn_of_folder(path)
                return None
            signature = _signature(entry.stat())
        except OSError:
            return None  # gone since the folder was listed, or not readable yet: the next look tells
        sighting = self._seen.get(path)
        if sighting is None or sighting.signature != signature:
            sighting = _Sighting(signature, time.monotonic())
        return sighting

    def _warn_of_folder(self, path: Path) -> None:
        if path.name not in {ARCHIVE, QUARANTINE} and path not in self._warned:
            self._warned.add(path)
            log.warning("a folder inside the watched folder is not read; put the image files themselves there")

    def _is_due(self, sighting: _Sighting) -> bool:
        unchanged_s = time.monotonic() - sighting.since_s
        if sighting.tried:
            return unchanged_s >= self._patience_s
        # A file that was there before us has settled already, as far as the clock can be trusted.
        age_s = time.time() - sighting.signature[2] / 1e9
        return max(unchanged_s, age_s) >= self._settle_s

    def _read(self, path: Path, sighting: _Sighting) -> Capture | None:
        self._seen[path] = replace(sighting, tried=True)
        try:
            with path.open("rb") as file:
                content = file.read(MAX_SIZE_BYTES + 1)
        except OSError as error:
            if not sighting.tried:
                log.warning("cannot read a file in a watched folder (%s); trying again", error.strerror)
            return None
        return Capture(content=content, path=path, received_at=datetime.now(UTC), origin="folder")

    def _move(self, capture: Capture, folder: str, reason: str | None = None) -> bool:
        sighting = self._seen.get(capture.path)
        try:
            if sighting is None or sighting.signature != _signature(capture.path.stat()):
                return False  # it has changed since it was read: a new image under an old name, so it is read again
            place = _free_place(capture, folder)
            if reason is not None:
                place.with_name(f"{place.name}.reason.txt").write_text(reason, encoding="utf-8")
            capture.path.rename(place)
        except FileNotFoundError:
            return False  # somebody took it away
        except OSError as error:
            # The trace says no more than this line.
            log.error("cannot move a file to %s: %s; it stays, and is not read again", folder, error.strerror)  # noqa: TRY400
            if sighting is not None:
                self._seen[capture.path] = replace(sighting, done=True)
            return False
        del self._seen[capture.path]
        return True


def count_quarantined(folders: Sequence[Path]) -> int:
    """How many files are set aside in watched folders and still lie there."""
    return sum(1 for folder in folders for _ in (folder / QUARANTINE).glob("*.reason.txt"))


def _signature(stat: os.stat_result) -> tuple[int, int, int]:
    return stat.st_ino, stat.st_size, stat.st_mtime_ns


def _free_place(capture: Capture, folder: str) -> Path:
    place = capture.path.parent / folder / capture.path.name
    place.parent.mkdir(exist_ok=True)
    if place.exists():  # another image under the same name; the same image twice may replace itself
        place = place.with_name(f"{place.stem}-{capture.sha256[:12]}{place.suffix}")
    return place
