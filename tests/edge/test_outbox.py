"""What was put is owed until the doctor's inbox has it."""

import tempfile
from collections import deque
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from edge.database import DatabaseError
from edge.messages import ModelIdentity, Report
from edge.outbox import Outbox, State


def a_report(number: int) -> Report:
    """A small report."""
    return Report(
        id=f"{number:032x}",
        site="clinic",
        device="box",
        received_at=datetime(2026, 1, 2, tzinfo=UTC),
        clock_synced=False,
        origin="folder",
        decision="not-assessable",
        probabilities={},
        positive="covid",
        threshold=0.5,
        heatmap=None,
        guard={},
        reason="blank",
        model=ModelIdentity(
            id="m", sha256="0" * 64, signed=False, runtime="litert", validated_on="-", not_validated_on="-"
        ),
        timings_ms={},
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the outbox lies."""
    return tmp_path / "state" / "outbox.sqlite3"


def test_what_was_put_is_there_after_a_restart(path: Path):
    """Another process reads the same reports, numbered in order."""
    with Outbox(path) as outbox:
        assert outbox.put(a_report(1))
        assert outbox.put(a_report(2))

    with Outbox(path) as outbox:
        owed = outbox.owed(limit=10)

    assert [(entry.report.seq, entry.report.id, entry.state) for entry in owed] == [
        (1, a_report(1).id, State.QUEUED),
        (2, a_report(2).id, State.QUEUED),
    ]


def test_putting_twice_changes_nothing(path: Path):
    """The same id is one report, also after it was delivered."""
    with Outbox(path) as outbox:
        outbox.put(a_report(1))
        outbox.mark_received(a_report(1).id)

        assert not outbox.put(a_report(1))
        assert outbox.owed(limit=10) == []
        assert outbox.put(a_report(2))
        assert outbox.owed(limit=10)[0].report.seq == 2  # no number was used up


def test_a_report_that_was_tried_says_so(path: Path):
    """`replayed` is true from the second attempt on, whatever came of the first."""
    with Outbox(path) as outbox:
        outbox.put(a_report(1))
        before = outbox.owed(limit=1)[0].report.replayed
        outbox.mark_tried([1])
        after = outbox.owed(limit=1)[0].report.replayed

    assert (before, after) == (False, True)


def test_a_broker_alone_settles_nothing(path: Path):
    """Sent and refused reports stay owed; a receipt ends it, and nothing leads back."""
    with Outbox(path) as outbox:
        outbox.put(a_report(1))
        outbox.mark_sent(1)
        assert outbox.still_owed(1).state is State.SENT
        outbox.mark_refused(1, "Not authorized")
        assert outbox.still_owed(1).last_error == "Not authorized"
        assert outbox.mark_received(a_report(1).id)
        outbox.mark_sent(1)

        assert outbox.still_owed(1) is None
        assert outbox.count_owed() == 0


def test_an_unknown_receipt_settles_nothing(path: Path):
    """A receipt for a report this box never made is no news."""
    with Outbox(path) as outbox:
        assert not outbox.mark_received("f" * 32)


def test_a_commit_reaches_the_disk(path: Path):
    """Write-ahead logging with a sync at every commit: an outbox that survives a power cut."""
    with Outbox(path) as outbox:
        pragmas = {name: outbox.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")}

    assert pragmas == {"journal_mode": "wal", "synchronous": 2}


def test_a_file_that_is_no_outbox_is_left_alone(path: Path):
    """The error names the file and the way out, and the file stays as it was."""
    path.parent.mkdir()
    path.write_bytes(b"this is somebody's precious file, not SQLite" * 40)

    with pytest.raises(DatabaseError, match=r"outbox\.sqlite3 cannot be used .*--state"):
        Outbox(path)

    assert path.read_bytes().startswith(b"this is somebody's")


def test_a_full_disk_is_told(path: Path):
    """A report the disk did not take raises, so that the original stays."""
    with Outbox(path) as outbox:
        pages = outbox.execute("PRAGMA page_count").fetchone()[0]
        outbox.execute(f"PRAGMA max_page_count = {pages}")

        with pytest.raises(DatabaseError, match="full"):
            deque((outbox.put(a_report(number)) for number in range(1000)), maxlen=0)


class OutboxMachine(RuleBasedStateMachine):
    """Any order of events, with restarts, against a plain model."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "outbox.sqlite3"
        self.outbox = Outbox(self.path)
        self.put_ids: list[str] = []
        self.received: set[str] = set()

    @rule(number=st.integers(0, 5))
    def put(self, number: int) -> None:
        """Put a report, perhaps again."""
        report = a_report(number)
        assert self.outbox.put(report) == (report.id not in self.put_ids)
        if report.id not in self.put_ids:
            self.put_ids.append(report.id)

    @rule(seq=st.integers(1, 6), event=st.sampled_from(["tried", "sent", "refused"]))
    def broker(self, seq: int, event: str) -> None:
        """Something happens between box and broker."""
        {
            "tried": lambda: self.outbox.mark_tried([seq]),
            "sent": lambda: self.outbox.mark_sent(seq),
            "refused": lambda: self.outbox.mark_refused(seq, "no"),
        }[event]()

    @rule(number=st.integers(0, 5))
    def receipt(self, number: int) -> None:
        """A receipt arrives, perhaps for nothing."""
        owed = a_report(number).id in self.put_ids and a_report(number).id not in self.received
        assert self.outbox.mark_received(a_report(number).id) == owed
        if owed:
            self.received.add(a_report(number).id)

    @rule()
    def restart(self) -> None:
        """The process ends, and another one opens the file."""
        self.outbox.close()
        self.outbox = Outbox(self.path)

    @invariant()
    def owes_what_was_put_and_not_received(self) -> None:
        """The promise."""
        expected = [report for report in self.put_ids if report not in self.received]
        assert [entry.report.id for entry in self.outbox.owed(limit=100)] == expected

    def teardown(self) -> None:
        """Close the file and remove it."""
        self.outbox.close()
        self.folder.cleanup()


TestOutboxMachine = OutboxMachine.TestCase
TestOutboxMachine.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)
