"""What doctors did with a report: each step is a revision, the highest stands, none is ever changed.

Invariant: two people never answer the same report unknowingly. An answer names the revision it was given on, and takes
effect only if no other answer stands by then.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec
import sqlalchemy as sa

from doctor import audit
from doctor.accounts import Account
from doctor.audit import Deed
from doctor.database import Writing
from doctor.schema import document, report, review
from doctor.urgency import ORDER, urgency_of
from edge.errors import EdgeXrayError
from edge.wire.messages import Report, Review, decode, encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a reader says; the fields are those of `edge.wire.messages.Review`."""

    verdict: Literal["agree", "disagree", "cannot-judge"]
    label: str | None = None
    new_image: bool = False
    call_back: bool = False
    text: str = ""


@dataclass(frozen=True, slots=True)
class Owed:
    """A review that the box has not confirmed, and the tick at which it was made."""

    site: str
    device: str
    review: Review
    changed: int


class UnknownReportError(EdgeXrayError):
    """No report has this number."""

    def __init__(self, number: int) -> None:
        super().__init__(f"there is no report number {number}")


class ConflictError(EdgeXrayError):
    """Somebody else has answered meanwhile.

    Attributes:
        standing: The review that stands.
    """

    def __init__(self, standing: Review) -> None:
        self.standing = standing
        super().__init__(
            f"{standing.reader} answered this report on {standing.at:%Y-%m-%d at %H:%M:%S} UTC, after you opened it. "
            "Nothing of yours was saved: read that answer, then answer again if you see it differently."
        )


def open_report(writing: Writing, number: int, account: Account) -> Review:
    """Note that somebody looks at a report; the first to do so makes its first review.

    Raises:
        UnknownReportError: No report has this number.
    """
    stands = _row(writing.connection, number)
    audit.append(writing, account=account.name, deed=Deed.OPENED, subject=_subject(stands))
    if (standing := current(writing.connection, number)) is not None:
        return standing
    opened = Review(id=stands.id, revision=1, state="opened", at=datetime.now(UTC), reader=account.reader)
    _store(writing, number, opened, account, {"read": True})
    return opened


def answer_report(writing: Writing, number: int, answer: Answer, account: Account, expected_revision: int) -> Review:
    """Answer a report, on the review that the reader has seen.

    Raises:
        ConflictError: Another review stands by now.
        UnknownReportError: No report has this number.
        MessageError: A text of the answer is longer than a box takes.
    """
    connection = writing.connection
    stands = _row(connection, number)
    standing = current(connection, number)
    if standing is not None and standing.state == "answered" and standing.revision != expected_revision:
        raise ConflictError(standing)
    given = Review(
        id=stands.id,
        revision=stands.revision + 1,
        state="answered",
        at=datetime.now(UTC),
        reader=account.reader,
        verdict=answer.verdict,
        label=answer.label,
        new_image=answer.new_image,
        call_back=answer.call_back,
        text=answer.text,
    )
    said = msgspec.json.decode(
        connection.execute(sa.select(document.c.content).where(document.c.number == number)).scalar_one(), type=Report
    )
    rank = ORDER.index(urgency_of(said, given))
    _store(writing, number, given, account, {"read": True, "answered": True, "rank": rank})
    detail = f"revision {given.revision}: {answer.verdict} {answer.label or ''}".rstrip()
    audit.append(writing, account=account.name, deed=Deed.ANSWERED, subject=_subject(stands), detail=detail)
    return given


def current(connection: sa.Connection, number: int) -> Review | None:
    """The review that stands, or None."""
    query = sa.select(review.c.document).where(review.c.number == number).order_by(review.c.revision.desc()).limit(1)
    content = connection.scalar(query)
    return None if content is None else msgspec.json.decode(content, type=Review)


def history(connection: sa.Connection, number: int) -> list[Review]:
    """Every review of a report, the first first."""
    query = sa.select(review.c.document).where(review.c.number == number).order_by(review.c.revision)
    return [msgspec.json.decode(content, type=Review) for content in connection.scalars(query)]


def owed(connection: sa.Connection, *, after: int = 0) -> list[Owed]:
    """The standing reviews that the boxes have not confirmed, of reports that changed after a tick, in that order."""
    query = (
        sa.select(report.c.site, report.c.device, review.c.document, report.c.changed)
        .join(review, (review.c.number == report.c.number) & (review.c.revision == report.c.revision))
        .where(report.c.revision > report.c.confirmed, report.c.changed > after)
        .order_by(report.c.changed, report.c.number)
    )
    return [
        Owed(row.site, row.device, msgspec.json.decode(row.document, type=Review), row.changed)
        for row in connection.execute(query)
    ]


def confirmed(connection: sa.Connection, *, after: int) -> list[tuple[str, str, str]]:
    """Site, device and id of reports whose standing review the box has, of those that changed after a tick."""
    query = sa.select(report.c.site, report.c.device, report.c.id).where(
        report.c.changed > after, report.c.revision > 0, report.c.confirmed == report.c.revision
    )
    return [(row.site, row.device, row.id) for row in connection.execute(query)]


def confirm(writing: Writing, site: str, device: str, report_id: str, revision: int) -> int | None:
    """Note that the box has a review; None if no such review was made, else the revision that stands.

    An old confirmation that comes again changes nothing.
    """
    whose = (report.c.site == site) & (report.c.device == device) & (report.c.id == report_id)
    standing = writing.connection.scalar(sa.select(report.c.revision).where(whose))
    if standing is None or not 0 < revision <= standing:
        return None
    writing.connection.execute(
        report.update().where(whose, report.c.confirmed < revision).values(confirmed=revision, changed=writing.tick)
    )
    return int(standing)


def _row(connection: sa.Connection, number: int) -> sa.Row[*tuple[Any, ...]]:
    columns = (report.c.site, report.c.device, report.c.id, report.c.revision)
    row = connection.execute(sa.select(*columns).where(report.c.number == number)).one_or_none()
    if row is None:
        raise UnknownReportError(number)
    return row


def _subject(row: sa.Row[*tuple[Any, ...]]) -> str:
    return f"{row.site}/{row.device}/{row.id}"


def _store(writing: Writing, number: int, made: Review, account: Account, columns: dict[str, object]) -> None:
    content = encode(made)
    decode(content, Review)  # checks what building one does not: how long each text may be
    values = {"number": number, "revision": made.revision, "at": made.at, "account": account.name}
    writing.connection.execute(review.insert().values(document=content, **values))
    writing.connection.execute(
        report.update().where(report.c.number == number).values(revision=made.revision, changed=writing.tick, **columns)
    )
