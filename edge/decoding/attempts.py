"""Which files are in hand, and which have ended a process before.

Kept on the disk, so that it also holds across the agent's own death. Invariant: whoever is in hand when a process dies
is blamed for it once. A file that was blamed `MAX_TRIES` times is poison. A file is in hand while it is decoded and
while it is assessed; what fails in between, while it waits for the file before it or for room in the outbox, or
afterwards, is not its fault.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import msgspec

from edge.durable import write_durably
from edge.errors import EdgeXrayError, unusable

MAX_TRIES: Final = 3
_MARK_BYTES: Final = 256
"""Room for the few files that are in hand at once."""
_IN_HAND: Final = "in-hand"
_TRIES: Final = "tries.json"

log = logging.getLogger(__name__)


class Attempts:
    """The memory of what went wrong with which file. Opening it blames what was in hand when the last process died.

    A mark is written for each image, so it is synced to the disk only after a start that followed a death: then a file
    that takes the whole machine down is remembered, too, from the second time on.

    Args:
        folder: The state folder, on a local disk.

    Raises:
        DiskError: The disk does not take it; so do the methods below.
        ConfigError: The folder is not this user's to write.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._in_hand: dict[str, None] = {}  # in order
        with _used(folder):
            self._tries = _read_tries(folder / _TRIES)
            self._mark = os.open(folder / _IN_HAND, os.O_RDWR | os.O_CREAT, 0o600)
            left = os.read(self._mark, 4096).decode("ascii", "replace").split()
        self._cautious = bool(left)
        for key in left:
            log.warning("the last run ended with a file in hand; it is read again, alone and behind the others")
            self.blame(key)
        self._write_mark()

    def __enter__(self) -> Self:
        """Return the open memory."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close it: only an error that nobody foresaw blames what is in hand."""
        if not isinstance(error, Exception) or isinstance(error, EdgeXrayError):
            self._in_hand.clear()
            self._write_mark()
        os.close(self._mark)

    def tries(self, key: str) -> int:
        """How often a file was in hand when a process died."""
        return self._tries.get(key, 0)

    def begin(self, key: str) -> None:
        """Note that a file is in hand."""
        self._in_hand[key] = None
        self._write_mark()

    def rest(self, key: str) -> None:
        """Note that a file waits, with nothing being done to it."""
        if key in self._in_hand:
            del self._in_hand[key]
            self._write_mark()

    def end(self, key: str) -> None:
        """Note that nothing more can happen through this file."""
        self.rest(key)
        if self._tries.pop(key, None) is not None:
            self._write_tries()

    def blame(self, key: str) -> int:
        """Note that a process died with this file in hand; return how often by now."""
        self._tries[key] = self.tries(key) + 1
        self._write_tries()
        return self._tries[key]

    def _write_mark(self) -> None:
        text = "\n".join(self._in_hand).encode("ascii")
        try:
            # One write of one length: nothing of an earlier mark stays, and there is no moment without one.
            os.pwrite(self._mark, text.ljust(_MARK_BYTES), 0)
            if self._cautious:
                os.fdatasync(self._mark)
        except OSError as error:  # not `_used`: this happens four times an image
            raise unusable(f"the state folder {self._folder}", error) from error

    def _write_tries(self) -> None:
        with _used(self._folder):
            write_durably(self._folder / _TRIES, msgspec.json.encode(self._tries))


@contextmanager
def _used(folder: Path) -> Iterator[None]:
    """What the disk does not take ends the agent in order: without the memory a file could end it for ever."""
    try:
        yield
    except OSError as error:
        raise unusable(f"the state folder {folder}", error) from error


def _read_tries(path: Path) -> dict[str, int]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, int])
    except FileNotFoundError:
        return {}
    except msgspec.MsgspecError:
        log.warning("the count of failed tries was damaged; counting anew")
        return {}
