"""What should be read first, and what a reader must be warned of. Pure; nothing is decided about a patient here.

The order: a call-back that a doctor asked for, then what the model takes for the sought disease, then what it is unsure
of, then what it could not assess, then the rest. Among equals the one that has waited longest comes first.
"""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from edge.wire.messages import Report, Review


class Urgency(StrEnum):
    """How soon a report should be read."""

    CALL_BACK = "call-back"
    """A doctor has asked the clinic to call at once."""
    URGENT = "urgent"
    """The model found what it looks for."""
    SOON = "soon"
    """The model is unsure."""
    CHECK = "check"
    """The picture could not be assessed, so nobody has said anything about it."""
    ROUTINE = "routine"
    """The model did not find what it looks for; it may be wrong."""


ORDER: Final = tuple(Urgency)
"""The first comes first; the store keeps the position as `rank`."""

WAIT: Final = {
    Urgency.CALL_BACK: timedelta(minutes=15),
    Urgency.URGENT: timedelta(minutes=30),
    Urgency.SOON: timedelta(hours=2),
    Urgency.CHECK: timedelta(hours=4),
    Urgency.ROUTINE: timedelta(hours=24),
}
"""An unanswered report that has waited longer than this counts as overdue."""


class Mark(StrEnum):
    """Something a reader must know before trusting a finding."""

    UNSIGNED = "unsigned"
    """Nobody whom the box trusts has signed the model."""
    ALLOWED = "allowed"
    """The model decides otherwise than the one it stands for, and somebody let it pass."""
    NOT_VALIDATED = "not-validated"
    """Nobody has said what the model was measured on."""
    CLOCK = "clock"
    """The box did not know the time: its times are a guess."""


def urgency_of(report: Report, review: Review | None = None) -> Urgency:
    """How soon a report should be read, given the review that stands."""
    if review is not None and review.call_back:
        return Urgency.CALL_BACK
    if report.decision == report.positive:
        return Urgency.URGENT
    if report.decision == "inconclusive":
        return Urgency.SOON
    if report.decision == "not-assessable":
        return Urgency.CHECK
    return Urgency.ROUTINE


def reason_of(report: Report, urgency: Urgency) -> str:
    """Why it stands where it does, in words for the reader."""
    match urgency:
        case Urgency.CALL_BACK:
            return "a doctor asked the clinic to call back"
        case Urgency.URGENT:
            return f"the model found {report.positive}"
        case Urgency.SOON:
            return f"the model is unsure whether it sees {report.positive}"
        case Urgency.CHECK:
            return report.reason or "the picture could not be assessed"
        case Urgency.ROUTINE:
            return f"the model did not find {report.positive}"


def marks_of(report: Report) -> tuple[Mark, ...]:
    """What a reader must be warned of."""
    warned = {
        Mark.UNSIGNED: not report.model.signed,
        Mark.ALLOWED: report.model.allowed is not None,
        Mark.NOT_VALIDATED: not report.model.validated_on.strip(),
        Mark.CLOCK: not report.clock_synced,
    }
    return tuple(mark for mark, applies in warned.items() if applies)


def is_overdue(urgency: Urgency, stored_at: datetime, now: datetime) -> bool:
    """Whether a report that nobody has answered has waited too long, by this machine's clock."""
    return now - stored_at > WAIT[urgency]
