"""What the page shows, put together from the outbox: frozen values in words, which the templates only lay out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal

from edge.alarm import age
from edge.clinic.words import Answer, Said, Step, answered, ladder, origin, said, trouble
from edge.outbox.entry import Entry, Rung
from edge.outbox.outbox import Outbox

PAGE_LENGTH: Final = 24
"""Pictures on one page."""
LOOK_BACK: Final = 2000
"""What a doctor asks for is called out on top for so many pictures back; an older one still shows it itself."""

Ask = Literal["call", "again"]
"""What a doctor can ask the clinic for: to be called, or for a new picture."""
ASKS: Final[tuple[Ask, ...]] = ("call", "again")
Patient = Callable[[str], str | None]
"""A patient's token to the number that only this box knows; None where it is not to be shown, or unknown."""


@dataclass(frozen=True, slots=True)
class Card:
    """One picture on the page.

    Attributes:
        id: The report's.
        number: Its running number, which people can name on the telephone.
        at: When it entered the outbox, in the box's own time zone.
        origin: How it came.
        said: What the box found.
        steps: The way to an answer.
        trouble: Why it does not come on, or None.
        late: For how long it has been without an answer, where that is longer than it should be; else None.
        answer: The doctor's, or None.
        answered_at: When, else None.
        revision: Of the doctor's latest review; 0 without one.
        asks: What the doctor asks for and nobody has done yet.
        has_preview: Whether the picture is kept.
        has_heatmap: Whether the box can show where the network looked.
        width_px: Of the picture; 0 where not known.
        height_px: Likewise.
        patient: The patient's number, or None.
    """

    id: str
    number: int
    at: datetime
    origin: str
    said: Said
    steps: tuple[Step, ...]
    trouble: str | None
    late: str | None
    answer: Answer | None
    answered_at: datetime | None
    revision: int
    asks: tuple[Ask, ...]
    has_preview: bool
    has_heatmap: bool
    width_px: int
    height_px: int
    patient: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Day:
    """The pictures of one day.

    Attributes:
        title: `Today`, `Yesterday`, or the date.
        cards: Newest first.
    """

    title: str
    cards: tuple[Card, ...]


@dataclass(frozen=True, slots=True)
class Overview:
    """The first page.

    Attributes:
        days: Newest first.
        earlier: The number to go on from, or None at the end.
    """

    days: tuple[Day, ...]
    earlier: int | None


@dataclass(frozen=True, slots=True)
class Teller:
    """Turns entries of an outbox into cards.

    Attributes:
        outbox: Read, and asked what somebody has done.
        unanswered_after: When a picture without an answer is late; None for never.
        patient: Tells a patient's number.
        now: Aware.
    """

    outbox: Outbox
    unanswered_after: timedelta | None
    patient: Patient
    now: datetime

    def overview(self, before: int | None) -> Overview:
        """The pictures before a number, or the newest."""
        entries = self.outbox.recent(limit=PAGE_LENGTH + 1, before_seq=before)
        cards = [self.card(entry) for entry in entries[:PAGE_LENGTH]]
        earlier = cards[-1].number if len(entries) > PAGE_LENGTH else None
        return Overview(days_of(cards, self.now), earlier)

    def asked(self) -> list[Card]:
        """Pictures for which the doctor asks for something that nobody has done, of any day; calls first."""
        asking = map(self.card, self.outbox.asked_for(among=LOOK_BACK))
        return sorted((card for card in asking if card.asks), key=lambda card: ASKS.index(card.asks[0]))

    def card(self, entry: Entry) -> Card:
        """One entry."""
        report, picture, review = entry.report, entry.report.picture, entry.review
        return Card(
            id=report.id,
            number=report.seq,
            at=entry.stored_at.astimezone(),
            origin=origin(report),
            said=said(report),
            steps=ladder(entry),
            trouble=trouble(entry),
            late=self._late(entry),
            answer=answered(review),
            answered_at=review.at.astimezone() if review is not None and review.verdict is not None else None,
            revision=0 if review is None else review.revision,
            asks=self._asks(entry),
            has_preview=picture is not None and picture.preview_bytes > 0,
            has_heatmap=report.heatmap is not None,
            width_px=0 if picture is None else picture.width_px,
            height_px=0 if picture is None else picture.height_px,
            patient=None if report.patient is None else self.patient(report.patient),
        )

    def _late(self, entry: Entry) -> str | None:
        waited = self.now - entry.stored_at
        if self.unanswered_after is None or entry.rung is Rung.ANSWERED or waited <= self.unanswered_after:
            return None
        return age(waited)

    def _asks(self, entry: Entry) -> tuple[Ask, ...]:
        review = entry.review
        if review is None:
            return ()
        wanted: list[Ask] = []
        if review.call_back:
            wanted.append("call")
        if review.new_image:
            wanted.append("again")
        return tuple(
            ask for ask in wanted if self.outbox.fact(done_fact(entry.report.id, review.revision, ask)) is None
        )


def done_fact(report_id: str, revision: int, ask: Ask) -> str:
    """Under which name the outbox remembers that somebody has done what the doctor asked for."""
    return f"done {ask} {report_id} {revision}"


def days_of(cards: Sequence[Card], now: datetime) -> tuple[Day, ...]:
    """Cards by day, in their order."""
    today = now.astimezone().date()
    titles = {today: "Today", today - timedelta(days=1): "Yesterday"}
    days: dict[str, list[Card]] = {}
    for card in cards:
        date = card.at.date()
        days.setdefault(titles.get(date, f"{date:%A, %d %B %Y}"), []).append(card)
    return tuple(Day(title, tuple(of_day)) for title, of_day in days.items())
