"""What was put is owed until the doctor's inbox has it."""

import sqlite3
import tempfile
from collections import deque
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from edge.database import DatabaseError
from edge.outbox.entry import Rung, State
from edge.outbox.outbox import Outbox
from edge.settings.delivery import OutboxConfig
from edge.wire.messages import ModelIdentity, Report, Review, decode, encode
from edge.wire.topics import Kind

NOW = datetime(2026, 1, 2, 12, tzinfo=UTC)


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
        assert outbox.entry(a_report(1).id).state is State.SENT
        outbox.mark_refused(1, "Not authorized")
        assert outbox.entry(a_report(1).id).last_error == "Not authorized"
        assert outbox.mark_received(a_report(1).id) == 1
        outbox.mark_sent(1)

        assert outbox.parcel(Kind.REPORT, 1) is None
        assert outbox.count_owed() == 0


def test_an_unknown_receipt_settles_nothing(path: Path):
    """A receipt for a report this box never made is no news."""
    with Outbox(path) as outbox:
        assert outbox.mark_received("f" * 32) is None


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


def a_review(number: int, revision: int, **changes: object) -> Review:
    """What a doctor did with a report; an answer where a verdict is among the changes."""
    state = "answered" if "verdict" in changes else "opened"
    return Review(id=a_report(number).id, revision=revision, state=state, at=NOW, reader="Dr. A. Reader", **changes)


def test_a_preview_is_owed_from_its_report_s_receipt_until_its_own(path: Path):
    """A picture holds up no finding, and a receipt that speaks of the report alone does not settle it."""
    with Outbox(path) as outbox:
        outbox.put(a_report(1), preview=b"jpeg")
        before = outbox.parcels(Kind.PREVIEW, after_seq=0, limit=9)
        outbox.mark_received(a_report(1).id)
        [owed] = outbox.parcels(Kind.PREVIEW, after_seq=0, limit=9)
        outbox.mark_received(a_report(1).id, preview=True)

        assert before == []
        assert (owed.seq, owed.id, owed.payload) == (1, a_report(1).id, b"jpeg")
        assert outbox.parcel(Kind.PREVIEW, 1) is None
        assert outbox.preview(a_report(1).id) == b"jpeg"


def test_report_and_preview_are_durable_together(path: Path):
    """Where the disk takes only one of the two it keeps neither, so the image stays where it is and comes again."""
    with Outbox(path) as outbox:
        pages = outbox.execute("PRAGMA page_count").fetchone()[0]
        outbox.execute(f"PRAGMA max_page_count = {pages + 10}")

        with pytest.raises(DatabaseError, match="full"):
            outbox.put(a_report(1), preview=bytes(100_000))

        assert outbox.entry(a_report(1).id) is None
        assert outbox.put(a_report(1), preview=b"jpeg")


def test_a_parcel_is_the_report_as_it_goes_over_the_wire(path: Path):
    """With its number, and saying from the second attempt on that it may have been sent before."""
    with Outbox(path) as outbox:
        outbox.put(a_report(1))
        [first] = outbox.parcels(Kind.REPORT, after_seq=0, limit=9)
        outbox.mark_tried([1])
        again = outbox.parcel(Kind.REPORT, 1)

    assert [(report.seq, report.replayed) for report in (decode(p.payload, Report) for p in (first, again))] == [
        (1, False),
        (1, True),
    ]


def test_what_goes_out_is_the_report_to_the_byte(path: Path):
    """The short cut past decoding and encoding gives the same bytes, also where a text looks like what it looks for."""
    report = msgspec.structs.replace(a_report(1), reason='"seq":0,"replayed":false')
    with Outbox(path) as outbox:
        outbox.put(report)
        parcels = [outbox.parcel(Kind.REPORT, 1)]
        outbox.mark_tried([1])
        parcels.append(outbox.parcel(Kind.REPORT, 1))

    expected = [msgspec.structs.replace(report, seq=1, replayed=replayed) for replayed in (False, True)]
    assert [parcel.payload for parcel in parcels] == [encode(report) for report in expected]


def test_the_ladder_is_climbed_rung_by_rung(path: Path):
    """Queued, with the broker, with the doctor, opened, answered."""
    rungs = []
    with Outbox(path) as outbox:
        outbox.put(a_report(1))
        for step in (
            lambda: outbox.mark_refused(1, "no"),
            lambda: outbox.mark_sent(1),
            lambda: outbox.mark_received(a_report(1).id),
            lambda: outbox.add_review(a_review(1, 1)),
            lambda: outbox.add_review(a_review(1, 2, verdict="agree")),
        ):
            step()
            rungs.append(outbox.entry(a_report(1).id).rung)

    assert rungs == list(Rung)


def test_the_highest_revision_of_a_review_stands(path: Path):
    """An older one that comes late, the same one again, and one of a report that never was change nothing."""
    with Outbox(path) as outbox:
        outbox.put(a_report(1))
        added = [
            outbox.add_review(a_review(number, revision, verdict="agree", text=f"{revision}"))
            for number, revision in ((1, 2), (1, 1), (1, 2), (2, 1), (1, 3))
        ]

        entry = outbox.entry(a_report(1).id)

    assert added == [True, False, False, False, True]
    assert (entry.review.text, entry.state) == ("3", State.RECEIVED)


def test_what_nobody_has_answered_for_a_while_is_known(path: Path):
    """Whether it waits on the box or at the doctor's end; an answer ends it, a look does not."""
    ages = iter([timedelta(hours=3), timedelta(hours=2), timedelta(minutes=5)])
    with Outbox(path, clock=lambda: NOW - next(ages)) as outbox:
        for number in (1, 2, 3):
            outbox.put(a_report(number))
        outbox.add_review(a_review(2, 1))

        def late() -> list[int]:
            assert outbox.count_unanswered(timedelta(hours=1), NOW) == len(outbox.unanswered(timedelta(hours=1), NOW))
            return [entry.report.seq for entry in outbox.unanswered(timedelta(hours=1), NOW)]

        assert late() == [1, 2]
        outbox.add_review(a_review(2, 2, verdict="cannot-judge"))
        assert late() == [1]


def test_what_the_doctor_asks_for_is_known(path: Path):
    """A call or a new picture, newest first; a plain answer asks for nothing, nor does what lies too far back."""
    wishes = [{"new_image": True}, {"call_back": True}, {}, {"call_back": True, "new_image": True}]
    with Outbox(path) as outbox:
        assert outbox.asked_for(among=10) == []
        for number, wish in enumerate(wishes, start=1):
            outbox.put(a_report(number))
            outbox.add_review(msgspec.structs.replace(a_review(number, 1, verdict="agree"), **wish))

        assert [entry.report.seq for entry in outbox.asked_for(among=10)] == [4, 2, 1]
        assert [entry.report.seq for entry in outbox.asked_for(among=3)] == [4, 2]


def test_recent_reports_come_newest_first_page_by_page(path: Path):
    """From the last number on, and none from before a moment."""
    hours = iter(range(5))
    with Outbox(path, clock=lambda: NOW + timedelta(hours=next(hours))) as outbox:
        for number in range(5):
            outbox.put(a_report(number), place=Path(f"/archive/{number}.png"))

        first = outbox.recent(limit=2)
        second = outbox.recent(limit=9, before_seq=first[-1].report.seq, since=NOW + timedelta(hours=1))

    assert [entry.report.seq for entry in first] == [5, 4]
    assert [(entry.report.seq, entry.place) for entry in second] == [(3, "/archive/2.png"), (2, "/archive/1.png")]


def test_what_is_asked_for_again_is_owed_again(path: Path):
    """A report and its picture although the doctor has them; the publisher is told that there is something to do."""
    with Outbox(path) as outbox:
        for number in (1, 2):
            outbox.put(a_report(number), preview=b"jpeg")
            outbox.mark_received(a_report(number).id, preview=True)
        rounds = outbox.rounds()

        assert outbox.resend(a_report(2).id) == 1
        assert outbox.resend("f" * 32) == 0
        assert [entry.report.seq for entry in outbox.owed(limit=9)] == [2]
        assert outbox.resend() == 2
        assert [entry.report.seq for entry in outbox.owed(limit=9)] == [1, 2]
        assert outbox.rounds() > rounds


def test_a_full_outbox_says_so_and_drops_nothing_that_is_owed(path: Path):
    """Pictures that the doctor's end has make room; when none is left, no new work is taken."""
    limits = OutboxConfig(max_bytes=2**20, min_free_bytes=0)
    with Outbox(path, limits=limits) as outbox:
        for number in range(20):
            outbox.put(a_report(number), preview=bytes(80_000))
        full = outbox.is_full()
        for number in range(10):
            outbox.mark_received(a_report(number).id, preview=True)
        room = outbox.is_full()

        assert "20 reports wait for the doctor's inbox" in full
        assert room is None
        assert [outbox.preview(a_report(number).id) is None for number in (0, 9, 10, 19)] == [True, True, False, False]
        assert outbox.count_owed() == 10
        assert outbox.entry(a_report(0).id) is not None


def test_a_disk_that_is_nearly_full_is_left_alone(path: Path):
    """The outbox stops before the disk does, so that what is owed can still be marked and sent."""
    with Outbox(path, limits=OutboxConfig(min_free_bytes=2**60)) as outbox:
        assert "free disk space" in outbox.is_full()


def test_an_outbox_of_the_first_version_is_brought_up_to_date(path: Path):
    """What an older agent left is owed as before, and can be seen, answered and asked for."""
    path.parent.mkdir()
    old = sqlite3.connect(path)
    old.executescript(files("edge.outbox").joinpath("outbox.sql").read_text(encoding="utf-8"))
    for number, state in ((1, "received"), (2, "queued")):
        old.execute("INSERT INTO report (id, document, state) VALUES (?, ?, ?)", (
            a_report(number).id, encode(a_report(number)), state,
        ))  # fmt: skip
    old.commit()
    old.close()

    with Outbox(path) as outbox:
        [owed] = outbox.owed(limit=9)
        outbox.add_review(a_review(1, 1, verdict="agree"))
        entries = outbox.recent(limit=9)

    assert owed.report.id == a_report(2).id
    assert [(entry.report.seq, entry.rung, entry.stored_at) for entry in entries] == [
        (2, Rung.QUEUED, a_report(2).received_at),
        (1, Rung.ANSWERED, a_report(1).received_at),
    ]


def test_an_outbox_of_a_later_version_is_left_alone(path: Path):
    """Going back to an older program does not spoil what a newer one wrote."""
    with Outbox(path) as outbox:
        outbox.execute("PRAGMA user_version = 99")

    with pytest.raises(DatabaseError, match=r"it has version 99.*install the newer program"):
        Outbox(path)


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
        assert (self.outbox.mark_received(a_report(number).id) is not None) == owed
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
