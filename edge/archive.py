"""Originals whose reports are delivered make room in the archives, by size and by age. A thread of its own.

Invariant: an original is deleted only if the doctor's inbox has sent a receipt for its report, and only out of an
archive folder of this box. Whatever else lies there is counted and left alone.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Thread
from typing import Final

from edge.clock import clock_synced
from edge.intake.folder import ARCHIVE
from edge.outbox.entry import Entry
from edge.outbox.outbox import Outbox
from edge.settings.intake import ArchiveConfig

LOOK_S: Final = 600.0
"""How often the archives are looked through."""
_PAGE: Final = 200

log = logging.getLogger(__name__)


def trim(
    outbox: Outbox, archives: Sequence[Path], limits: ArchiveConfig, *, now: datetime, clock_trusted: bool
) -> tuple[int, int]:
    """Delete the oldest originals that may go, as far as the limits ask for it.

    Args:
        outbox: Knows which reports are delivered, and where their originals lie.
        archives: The archive folders.
        limits: 0 stands for no limit.
        now: Aware UTC.
        clock_trusted: Whether ages can be told from it.

    Returns:
        How many were deleted, and how many bytes the archives then hold.
    """
    used_bytes = sum(_size_bytes(folder) for folder in archives)
    oldest = now - timedelta(days=limits.max_age_days) if limits.max_age_days and clock_trusted else None
    deleted = 0
    for entry in _delivered(outbox):
        path = Path(str(entry.place))
        too_old = oldest is not None and entry.report.clock_synced and entry.report.received_at < oldest
        too_much = bool(limits.max_bytes) and used_bytes > limits.max_bytes
        if not too_old and not too_much:
            break
        if path.parent not in archives:
            continue
        if path.exists():
            used_bytes -= path.stat().st_size
            path.unlink()
            deleted += 1
        outbox.set_place(entry.report.id, None)
    return deleted, used_bytes


@contextmanager
def keeping_room(
    open_outbox: Callable[[], Outbox], folders: Sequence[Path], limits: ArchiveConfig, stop: Event
) -> Iterator[None]:
    """Trim the archives now and every few minutes, in a thread, until the context ends; without limits never."""
    if not limits.max_bytes and not limits.max_age_days:
        yield
        return
    ended, archives = Event(), [folder / ARCHIVE for folder in folders]

    def work() -> None:
        while not ended.is_set() and not stop.is_set():
            _trim_and_tell(open_outbox, archives, limits)
            ended.wait(LOOK_S)

    thread = Thread(target=work, name="archive")
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _trim_and_tell(open_outbox: Callable[[], Outbox], archives: Sequence[Path], limits: ArchiveConfig) -> None:
    try:
        with open_outbox() as outbox:
            deleted, used_bytes = trim(outbox, archives, limits, now=datetime.now(UTC), clock_trusted=clock_synced())
    except OSError as error:
        log.error("cannot make room in the archive: %s; trying again", error.strerror)  # noqa: TRY400 - says it all
        return
    if deleted:
        log.info("deleted %d delivered originals from the archive", deleted)
    if limits.max_bytes and used_bytes > limits.max_bytes:
        log.warning(
            "the archives hold %d MB, more than archive.max_bytes: the reports of the rest are not delivered yet",
            used_bytes // 2**20,
        )


def _delivered(outbox: Outbox) -> Iterator[Entry]:
    """Delivered reports whose originals are known, oldest first; one page at a time, because there may be many."""
    after_seq = 0
    while page := outbox.delivered(after_seq=after_seq, limit=_PAGE):
        yield from page
        after_seq = page[-1].report.seq


def _size_bytes(folder: Path) -> int:
    try:
        return sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
    except FileNotFoundError:
        return 0
