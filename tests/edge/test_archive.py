"""Delivered originals make room, the oldest first; what is owed stays, and so does what is nobody's."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event

import msgspec
import pytest

from edge.archive import keeping_room, trim
from edge.outbox.outbox import Outbox
from edge.settings.intake import ArchiveConfig
from edge.wire.messages import Report

GOLDEN = Path(__file__).parent / "golden" / "report.json"
NOW = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A watched folder's archive."""
    folder = tmp_path / "in" / "archive"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def outbox(tmp_path: Path):
    """An outbox."""
    with Outbox(tmp_path / "outbox.sqlite3") as outbox:
        yield outbox


def keep(outbox: Outbox, place: Path, number: int, *, delivered: bool, age_days: float = 0, synced: bool = True) -> str:
    """An original of 100 bytes in its place, and its report in the outbox."""
    place.write_bytes(bytes(100))
    report = msgspec.structs.replace(
        msgspec.json.decode(GOLDEN.read_bytes(), type=Report),
        id=f"{number:032x}",
        received_at=NOW - timedelta(days=age_days),
        clock_synced=synced,
    )
    outbox.put(report, place=place)
    if delivered:
        outbox.mark_received(report.id)
    return report.id


def left(archive: Path) -> list[str]:
    """The originals that are there."""
    return sorted(path.name for path in archive.iterdir())


def test_the_oldest_delivered_make_room_and_what_is_owed_stays(outbox: Outbox, archive: Path):
    """Down to the limit and no further; the outbox forgets their place."""
    ids = [keep(outbox, archive / f"{n}.png", n, delivered=n != 1) for n in range(5)]

    outcome = trim(outbox, [archive], ArchiveConfig(max_bytes=300), now=NOW, clock_trusted=True)

    assert outcome == (2, 300)
    assert left(archive) == ["1.png", "3.png", "4.png"]
    assert [outbox.place(id_) is None for id_ in ids] == [True, False, True, False, False]


def test_nothing_that_is_owed_is_deleted_however_full_the_archive_is(outbox: Outbox, archive: Path):
    """The archive grows beyond its limit rather than lose an original whose report nobody has."""
    for number in range(3):
        keep(outbox, archive / f"{number}.png", number, delivered=False, age_days=1000)

    outcome = trim(outbox, [archive], ArchiveConfig(max_bytes=1, max_age_days=1), now=NOW, clock_trusted=True)

    assert outcome == (0, 300)


def test_old_ones_go_by_age(outbox: Outbox, archive: Path):
    """One that was received when the clock was wrong has no age."""
    keep(outbox, archive / "ancient.png", 1, delivered=True, age_days=31)
    keep(outbox, archive / "young.png", 2, delivered=True, age_days=29)

    deleted, _ = trim(outbox, [archive], ArchiveConfig(max_age_days=30), now=NOW, clock_trusted=True)

    assert (deleted, left(archive)) == (1, ["young.png"])


@pytest.mark.parametrize(("synced", "trusted"), [(False, True), (True, False)])
def test_a_clock_that_is_not_in_step_tells_no_age(outbox: Outbox, archive: Path, *, synced: bool, trusted: bool):
    """A jump of twenty years must not empty the archive."""
    keep(outbox, archive / "a.png", 1, delivered=True, age_days=7000, synced=synced)

    assert trim(outbox, [archive], ArchiveConfig(max_age_days=30), now=NOW, clock_trusted=trusted) == (0, 100)


def test_what_is_nobody_s_and_what_lies_elsewhere_stays(outbox: Outbox, archive: Path, tmp_path: Path):
    """Files that a person put there count, and are left alone; so is an original outside the archives."""
    keep(outbox, tmp_path / "elsewhere.png", 1, delivered=True)
    (archive / "by-hand.png").write_bytes(bytes(100))

    outcome = trim(outbox, [archive, tmp_path / "absent"], ArchiveConfig(max_bytes=1), now=NOW, clock_trusted=True)

    assert outcome == (0, 100)
    assert (tmp_path / "elsewhere.png").exists()


def test_the_thread_trims_and_ends(outbox: Outbox, archive: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """It looks at once, says what it did, and ends with its context."""
    caplog.set_level("INFO")
    keep(outbox, archive / "a.png", 1, delivered=True)
    keep(outbox, archive / "b.png", 2, delivered=False)

    with keeping_room(
        lambda: Outbox(tmp_path / "outbox.sqlite3"), [archive.parent], ArchiveConfig(max_bytes=50), Event()
    ):
        while len(caplog.records) < 2:
            Event().wait(0.02)

    assert left(archive) == ["b.png"]
    assert [record.message for record in caplog.records] == [
        "deleted 1 delivered originals from the archive",
        "the archives hold 0 MB, more than archive.max_bytes: the reports of the rest are not delivered yet",
    ]
