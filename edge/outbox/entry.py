"""What the outbox holds: an entry for people to look at, a parcel for the wire, and how far each has come."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from edge.wire.messages import Report, Review


class State(StrEnum):
    """How far the box has got a report."""

    QUEUED = "queued"
    """Nobody but this box has it."""
    SENT = "sent"
    """The broker has acknowledged it, which proves nothing about the doctor."""
    REFUSED = "refused"
    """The broker has refused it, with a reason; it is tried again later."""
    RECEIVED = "received"
    """The doctor's inbox has stored it; nothing is owed any more."""


class Rung(StrEnum):
    """How far a report has come on its way to an answer, as the clinic sees it."""

    QUEUED = "queued"
    """It waits on this box: not sent yet, or refused by the broker."""
    BROKER = "broker"
    """The broker has it, the doctor's inbox has not said so yet."""
    DOCTOR = "doctor"
    """The doctor's inbox has stored it."""
    OPENED = "opened"
    """A doctor has looked at it."""
    ANSWERED = "answered"
    """A doctor has said what they see."""


_RUNG_OF_STATE = {
    State.QUEUED: Rung.QUEUED,
    State.REFUSED: Rung.QUEUED,
    State.SENT: Rung.BROKER,
    State.RECEIVED: Rung.DOCTOR,
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One report in the outbox.

    Attributes:
        report: With its `seq`, and `replayed` set where it may have been sent before.
        state: How far the box has got it.
        attempts: How often it was handed to a broker, or was about to be.
        last_error: Why the broker refused it last, else None.
        stored_at: When it entered the outbox, aware UTC, this box's clock.
        review: The doctor's latest, else None.
        place: Where the original lies on this box, else None. Its name may hold a patient's: never logged, never sent.
    """

    report: Report
    state: State
    attempts: int
    last_error: str | None
    stored_at: datetime
    review: Review | None = None
    place: str | None = field(default=None, repr=False)

    @property
    def rung(self) -> Rung:
        """How far it has come on its way to an answer."""
        return _RUNG_OF_STATE[self.state] if self.review is None else Rung(self.review.state)


@dataclass(frozen=True, slots=True)
class Parcel:
    """A report or a preview, ready for the wire.

    Attributes:
        seq: The report's number.
        id: The report's id.
        payload: JSON of the report, or the preview's JPEG.
        attempts: How often it was handed to a broker before.
    """

    seq: int
    id: str
    payload: bytes = field(repr=False)
    attempts: int
