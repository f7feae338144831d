"""Watched folders: a generator of `Arrival`. Works by polling, because change events are missing on network shares.

Invariant: an original reaches the archive only through `settle`, after its report is durable, and leaves its folder
otherwise only through `set_aside`, with the reason in a file beside it. A file that is still being written is left
alone: it is read once it has not changed for `settle_s`; if it then cannot be decoded it may still be arriving, and is
set aside only once it has not changed for `patience_s`. A file that could be decoded is claimed by an atomic rename
into `claimed/<device>/`, so that another box on the same share leaves it alone; what lies there after a crash comes
first.
"""

import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Final

from edge.decoding.attempts import Attempts
from edge.errors import ConfigError, PoisonError, QuarantineError
from edge.intake.quarantine import QUARANTINE, reason_path
from edge.study import Arrival, Capture, sha256_of

ARCHIVE: Final = "archive"
CLAIMED: Final = "claimed"
POLL_S: Final = 0.25
MOVE_AGAIN_S: Final = 30.0
"""A file that could not be moved is taken up again after this, then after twice this, and so on,"""
LONGEST_S: Final = 3600.0
"""but never later than this: a disk that was full has room again, a share is there again."""

_OURS: Final = frozenset({ARCHIVE, CLAIMED, QUARANTINE})
_UNFINISHED: Final = (".part", ".partial", ".tmp", ".crdownload", ".filepart", "~")
_NOT_IMAGES: Final = frozenset({"thumbs.db", "desktop.ini"})

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Watched:
    """A folder to take images from.

    Attributes:
        folder: Not descended into.
        origin: How its images arrive: `folder`, or the spool's.
        settle_s: A file is read once unchanged for this long; 0 where files appear whole.
        patience_s: An undecodable file is set aside once unchanged for this long.
        shared: Whether others write there, too, so that a file is claimed before it is used.
    """

    folder: Path
    origin: str = "folder"
    settle_s: float = 0.0
    patience_s: float = 0.0
    shared: bool = False


@dataclass(frozen=True, slots=True)
class _Sighting:
    """A file as last seen.

    Attributes:
        watched: The folder it came to.
        signature: Inode, size and modification time; any change starts the waiting anew.
        since_s: Monotonic time from which on it has looked like this.
        settled: Whether it needs no settling: it was whole before this process saw it.
        tried: Whether it was read since.
        claimed: Whether it is this box's.
        failures: How often it could not be moved.
        put_off_s: Nothing is done with it before this monotonic time, because it could not be moved.
    """

    watched: Watched
    signature: tuple[int, int, int]
    since_s: float
    settled: bool
    tried: bool = False
    claimed: bool = False
    failures: int = 0
    put_off_s: float = 0.0


def check_watchable(folders: Sequence[str]) -> None:
    """Refuse folders that cannot be watched.

    Raises:
        ConfigError: One does not exist or cannot be written to.
    """
    for folder in folders:
        if not Path(folder).is_dir() or not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
            raise ConfigError(
                f"expected a folder to watch that this user may read and write, got {folder}; "
                "make it, or mind its owner and mode"
            )


class FolderIntake:
    """Takes images out of watched folders, oldest first; files that ended a process before come last.

    Args:
        watched: The folders.
        device: This box's name, for the folder of its claims.
        attempts: Which files ended a process before.
    """

    def __init__(self, watched: Sequence[Watched], *, device: str, attempts: Attempts) -> None:
        self._watched = tuple(watched)
        self._claims = f"{CLAIMED}/{device}"
        self._attempts = attempts
        self._seen: dict[Path, _Sighting] = {}
        self._warned: set[Path] = set()
        self._made: set[Path] = set()
        self._scans = 0

    def arrivals(self, stop: Event, *, at_rest: Callable[[], None] = lambda: None) -> Iterator[Arrival | None]:
        """Files that are due, and None whenever nothing more is due for now, until stopped.

        A file comes once; it comes again only after `set_aside` put it off, or after a change.

        Args:
            stop: Ends this.
            at_rest: Called when nothing more is due, before the folders are looked at again. Where another thread
                claims and settles it waits for that thread: a file on its way would be taken for a new one.
        """
        while not stop.is_set():
            for path, sighting, key in self._due():
                if stop.is_set():
                    return
                self._seen[path] = replace(sighting, tried=True)
                yield Arrival(path, datetime.now(UTC), sighting.watched.origin, key)
            yield None
            at_rest()
            stop.wait(POLL_S)

    def claim(self, capture: Capture) -> Capture | None:
        """Make a file that could be read this box's own.

        Returns:
            The capture at its new place; None where the file has changed since it was read, or another box was quicker.
        """
        arrival = capture.arrival
        sighting = self._unchanged(arrival.path)
        if sighting is None:
            return None
        if sighting.claimed or not sighting.watched.shared:
            return capture
        place = _free_place(sighting.watched.folder / self._claims, arrival.path, capture.sha256)
        if not self._move(arrival.path, sighting, place):
            return None
        claimed = replace(sighting, tried=True, claimed=True)
        self._seen[place] = claimed
        if _signature(place.stat())[1:] != sighting.signature[1:]:
            # Replaced between the look and the rename: a new image, to be read at the next look.
            self._seen[place] = replace(claimed, signature=_signature(place.stat()), tried=False)
            return None
        return replace(capture, arrival=replace(arrival, path=place))

    def archive_place(self, capture: Capture, *, known: Path | None = None) -> Path:
        """Where a claimed original is to go: over the same image if `known` says where, else beside the others."""
        path, sighting = capture.arrival.path, self._seen[capture.arrival.path]
        archive = sighting.watched.folder / ARCHIVE
        return known if known is not None and known.parent == archive else _free_place(archive, path, capture.sha256)

    def settle(self, capture: Capture, place: Path) -> None:
        """Move an original to its place in the archive. Call it only once its report is durable."""
        self._move(capture.arrival.path, self._seen[capture.arrival.path], place)

    def set_aside(self, arrival: Arrival, error: QuarantineError) -> bool:
        """Quarantine a file that cannot be used, with the reason beside it.

        Returns:
            False where the file may still be arriving; it is then offered again after a change, or when patience ends.
        """
        sighting = self._unchanged(arrival.path)
        if sighting is None:
            return False
        waited_s = time.monotonic() - sighting.since_s
        if waited_s < sighting.watched.patience_s and not isinstance(error, PoisonError):
            return False
        place = _free_place(sighting.watched.folder / QUARANTINE, arrival.path, arrival.key)
        return self._move(arrival.path, sighting, place, reason=f"{error}\n")

    def _due(self) -> list[tuple[Path, _Sighting, str]]:
        """What is there now and to be read, oldest first."""
        self._seen = dict(self._scan())
        self._scans += 1
        due = [(path, sighting, _key(path, sighting)) for path, sighting in self._seen.items() if _is_due(sighting)]
        return sorted(due, key=lambda item: (self._attempts.tries(item[2]) > 0, item[1].signature[2], item[0].name))

    def _scan(self) -> Iterator[tuple[Path, _Sighting]]:
        for watched in self._watched:
            if watched.shared:
                yield from self._scan_folder(watched, watched.folder / self._claims, claimed=True)
            yield from self._scan_folder(watched, watched.folder, claimed=False)

    def _scan_folder(self, watched: Watched, folder: Path, *, claimed: bool) -> Iterator[tuple[Path, _Sighting]]:
        try:
            entries = list(os.scandir(folder))
        except OSError as error:
            if not (claimed and isinstance(error, FileNotFoundError)):
                log.warning("cannot read a watched folder (%s); trying again", error.strerror)
            return
        for entry in entries:
            path = Path(entry.path)
            if (sighting := self._sight(entry, path, watched, claimed=claimed)) is not None:
                yield path, sighting

    def _sight(self, entry: os.DirEntry[str], path: Path, watched: Watched, *, claimed: bool) -> _Sighting | None:
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
            # What was there before us has settled already, as far as the clock can be trusted.
            old = self._scans == 0 and time.time() - signature[2] / 1e9 >= watched.settle_s
            sighting = _Sighting(watched, signature, time.monotonic(), settled=claimed or old, claimed=claimed)
        return sighting

    def _warn_of_folder(self, path: Path) -> None:
        if path.name not in _OURS and path not in self._warned:
            self._warned.add(path)
            log.warning("a folder inside the watched folder is not read; put the image files themselves there")

    def _unchanged(self, path: Path) -> _Sighting | None:
        """The sighting of a file that still is what was read; else None: it is then read again, as a new image."""
        sighting = self._seen.get(path)
        try:
            return sighting if sighting is not None and sighting.signature == _signature(path.stat()) else None
        except OSError:
            return None  # somebody took it away, or the share is gone

    def _move(self, path: Path, sighting: _Sighting, place: Path, reason: str | None = None) -> bool:
        try:
            if place.parent not in self._made:
                place.parent.mkdir(parents=True, exist_ok=True)
                self._made.add(place.parent)
            if reason is not None:
                reason_path(place).write_text(reason, encoding="utf-8")
            path.rename(place)
        except FileNotFoundError:
            self._made.discard(place.parent)  # which may be gone itself
            return False  # another box has it, or somebody took it away
        except OSError as error:
            again_s = min(LONGEST_S, MOVE_AGAIN_S * 2**sighting.failures)
            # The trace says no more than this line.
            log.error("cannot move a file: %s; it stays, and is taken up again in %g s", error.strerror, again_s)  # noqa: TRY400
            put_off = {"failures": sighting.failures + 1, "put_off_s": time.monotonic() + again_s}
            self._seen[path] = replace(sighting, settled=True, tried=False, **put_off)
            return False
        del self._seen[path]
        return True


def _is_due(sighting: _Sighting) -> bool:
    if time.monotonic() < sighting.put_off_s:
        return False
    unchanged_s = time.monotonic() - sighting.since_s
    if sighting.tried:
        return unchanged_s >= sighting.watched.patience_s
    return sighting.settled or unchanged_s >= sighting.watched.settle_s


def _signature(stat: os.stat_result) -> tuple[int, int, int]:
    return stat.st_ino, stat.st_size, stat.st_mtime_ns


def _key(path: Path, sighting: _Sighting) -> str:
    """Name, size and time of change outlive a restart and a claim; the inode of a share need not."""
    return sha256_of(f"{path.name}:{sighting.signature[1]}:{sighting.signature[2]}".encode(errors="surrogateescape"))[
        :32
    ]


def _free_place(folder: Path, path: Path, distinction: str) -> Path:
    place = folder / path.name
    if place.exists():  # another image under the same name; the same image twice may replace itself
        place = place.with_name(f"{place.stem}-{distinction[:12]}{place.suffix}")
    return place
