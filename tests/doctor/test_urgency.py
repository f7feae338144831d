"""How soon a report should be read, and what its reader is warned of."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from doctor.urgency import ORDER, WAIT, Mark, Urgency, is_overdue, marks_of, reason_of, urgency_of
from edge.wire.messages import Review

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("decision", "urgency", "reason"),
    [
        ("covid", Urgency.URGENT, "the model found covid"),
        ("inconclusive", Urgency.SOON, "the model is unsure whether it sees covid"),
        ("not-assessable", Urgency.CHECK, "too dark"),
        ("normal", Urgency.ROUTINE, "the model did not find covid"),
    ],
)
def test_the_finding_decides(make_report, decision, urgency, reason):
    """And says why in words."""
    report = make_report(decision=decision, reason="too dark" if decision == "not-assessable" else None)

    assert urgency_of(report) is urgency
    assert reason_of(report, urgency) == reason


def test_a_call_back_comes_before_everything(make_report):
    """Whatever the finding."""
    review = Review(
        id=make_report().id, revision=1, state="answered", at=NOW, reader="A", verdict="agree", call_back=True
    )

    assert urgency_of(make_report(decision="normal"), review) is Urgency.CALL_BACK
    assert ORDER[0] is Urgency.CALL_BACK


def test_the_more_urgent_may_wait_the_shorter():
    """In the order of the list."""
    waits = [WAIT[urgency] for urgency in ORDER]

    assert waits == sorted(waits)


def test_overdue_begins_after_the_wait():
    """Not at it."""
    wait = WAIT[Urgency.SOON]

    assert not is_overdue(Urgency.SOON, NOW - wait, NOW)
    assert is_overdue(Urgency.SOON, NOW - wait - timedelta(microseconds=1), NOW)


def test_marks(make_report):
    """What a reader must know before trusting a finding."""
    plain = make_report()
    signed = msgspec.structs.replace(plain.model, signed=True)
    odd = msgspec.structs.replace(plain.model, validated_on=" ", allowed="the clinic wanted it")

    assert marks_of(plain) == (Mark.UNSIGNED,)
    assert marks_of(make_report(model=signed)) == ()
    assert marks_of(make_report(model=odd, clock_synced=False)) == tuple(Mark)
