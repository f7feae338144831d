"""What is read next: queries over the stored reports, each a function of an open connection.

Open reports come in the order of their urgency, the longest waiting first; others come newest first. Images of one
study stand together: its first report in that order leads, and carries the others.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from doctor.schema import document, report, review
from doctor.urgency import ORDER, WAIT, Urgency, is_overdue
from edge.errors import ConfigError
from edge.wire.messages import Report, Review


class Show(StrEnum):
    """Which reports a list holds."""

    OPEN = "open"
    """Nobody has answered them."""
    UNREAD = "unread"
    """Nobody has opened them."""
    OVERDUE = "overdue"
    """Nobody has answered them, and they have waited too long."""
    ANSWERED = "answered"
    """Somebody has."""
    ALL = "all"
    """Whatever became of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """What is wanted; None wants all.

    Attributes:
        show: How far reports have come.
        site: The clinic.
        device: The box.
        urgency: How soon to be read.
        decision: The finding.
        patient: Token of a patient; means that of a box, so give site and device, too.
        since: Stored then or later.
        until: Stored before then.
    """

    show: Show = Show.OPEN
    site: str | None = None
    device: str | None = None
    urgency: Urgency | None = None
    decision: str | None = None
    patient: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A report as the worklist shows it.

    Attributes:
        number: Order of arrival, from 1.
        report: As it came.
        stored_at: Aware UTC, this machine's clock.
        urgency: How soon it should be read.
        review: The one that stands, or None.
        unread: Nobody has opened it.
        overdue: Nobody has answered it for longer than its urgency allows.
        has_preview: Whether its picture is here.
        delivered: Whether the box has the review that stands; True where there is none.
        study: The other reports of its study that the list would hold, in order; empty outside a list.
    """

    number: int
    report: Report
    stored_at: datetime
    urgency: Urgency
    review: Review | None
    unread: bool
    overdue: bool
    has_preview: bool
    delivered: bool
    study: tuple["Item", ...] = field(default=())

    @property
    def revision(self) -> int:
        """Of the review that stands; 0 for none."""
        return self.review.revision if self.review is not None else 0


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list.

    Attributes:
        items: In order.
        next: What to ask the next part with, or None at the end.
    """

    items: tuple[Item, ...]
    next: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How much there is.

    Attributes:
        open: Unanswered reports by urgency.
        unread: Of them, those that nobody has opened.
        overdue: Of them, those that have waited too long.
        answered: Answered reports.
    """

    open: Mapping[Urgency, int]
    unread: int
    overdue: int
    answered: int


@dataclass(frozen=True, slots=True)
class Known:
    """What stored reports name.

    Attributes:
        sites: Their clinics, by name.
        decisions: Their findings, by name.
    """

    sites: tuple[str, ...]
    decisions: tuple[str, ...]


_COLUMNS: Final = (
    report.c.number,
    report.c.stored_at,
    report.c.rank,
    report.c.read,
    report.c.answered,
    report.c.has_preview,
    (report.c.confirmed >= report.c.revision).label("delivered"),
    document.c.content.label("document"),
    review.c.document.label("review"),
)
_JOINED: Final = report.join(document).outerjoin(
    review, (review.c.number == report.c.number) & (review.c.revision == report.c.revision)
)


def page(connection: sa.Connection, wanted: Filter, *, limit: int, after: str | None = None) -> Page:
    """A part of the worklist; `after` is the `next` of the part before.

    Raises:
        ConfigError: `after` is not what a part of a list gave.
    """
    now = datetime.now(UTC)
    by_urgency = wanted.show not in {Show.ANSWERED, Show.ALL}
    earlier = report.alias("earlier")
    precedes = (_precedes(earlier, by_urgency=by_urgency), *_conditions(earlier, wanted, now))
    follows = sa.exists().where(*_same_study(earlier), _looked_at_late(*precedes))
    query = sa.select(report.c.number, report.c.rank).where(*_conditions(report, wanted, now))
    query = query.where(report.c.study.is_(None) | ~follows)
    if after is not None:
        query = query.where(_lies_after(after, by_urgency=by_urgency))
    order = (report.c.rank, report.c.number) if by_urgency else (report.c.number.desc(),)
    found = connection.execute(query.order_by(*order).limit(limit + 1)).all()
    leading = [row.number for row in found[:limit]]
    groups = _groups(connection, leading, wanted, now, by_urgency=by_urgency)
    shown = items(connection, [*leading, *(number for group in groups.values() for number in group)])
    made = tuple(
        replace(shown[lead], study=tuple(shown[number] for number in groups.get(lead, ()))) for lead in leading
    )
    last = found[limit - 1] if len(found) > limit else None
    return Page(made, None if last is None else f"{last.rank}-{last.number}")


def items(connection: sa.Connection, numbers: Sequence[int]) -> dict[int, Item]:
    """Reports by their number; unknown numbers are left out."""
    now = datetime.now(UTC)
    rows = connection.execute(sa.select(*_COLUMNS).select_from(_JOINED).where(report.c.number.in_(numbers)))
    return {row.number: _item(row, now) for row in rows}


def earlier(connection: sa.Connection, item: Item, *, limit: int) -> list[Item]:
    """Other reports of the same patient, as far as the box can tell, newest first."""
    if item.report.patient is None:
        return []
    query = sa.select(report.c.number).where(
        report.c.site == item.report.site,
        report.c.device == item.report.device,
        report.c.patient == item.report.patient,
        report.c.number != item.number,
    )
    numbers = list(connection.scalars(query.order_by(report.c.number.desc()).limit(limit)))
    found = items(connection, numbers)
    return [found[number] for number in numbers]


def counts(connection: sa.Connection) -> Counts:
    """How much there is, by urgency."""
    overdue = sa.func.count().filter(_is_overdue(report, datetime.now(UTC)))
    unread = sa.func.count().filter(~report.c.read)
    query = sa.select(report.c.answered, report.c.rank, sa.func.count(), unread, overdue)
    rows = connection.execute(query.group_by(report.c.answered, report.c.rank)).all()
    waiting = [row for row in rows if not row.answered]
    by_rank = {row.rank: row[2] for row in waiting}
    return Counts(
        open={urgency: by_rank.get(rank, 0) for rank, urgency in enumerate(ORDER)},
        unread=sum(row[3] for row in waiting),
        overdue=sum(row[4] for row in waiting),
        answered=sum(row[2] for row in rows if row.answered),
    )


def known(connection: sa.Connection) -> Known:
    """What a filter can ask for."""
    sites = connection.scalars(sa.select(report.c.site).distinct().order_by(report.c.site))
    decisions = connection.scalars(sa.select(report.c.decision).distinct().order_by(report.c.decision))
    return Known(tuple(sites), tuple(decisions))


def _conditions(table: sa.FromClause, wanted: Filter, now: datetime) -> list[sa.ColumnElement[bool]]:
    columns = table.c
    conditions: list[sa.ColumnElement[bool]] = []
    match wanted.show:
        case Show.OPEN:
            conditions.append(~columns.answered)
        case Show.UNREAD:
            conditions += [~columns.answered, ~columns.read]
        case Show.OVERDUE:
            conditions += [~columns.answered, _is_overdue(table, now)]
        case Show.ANSWERED:
            conditions.append(columns.answered)
        case Show.ALL:
            pass
    for column, value in (
        (columns.site, wanted.site),
        (columns.device, wanted.device),
        (columns.rank, None if wanted.urgency is None else ORDER.index(wanted.urgency)),
        (columns.decision, wanted.decision),
        (columns.patient, wanted.patient),
    ):
        if value is not None:
            conditions.append(column == value)
    if wanted.since is not None:
        conditions.append(columns.stored_at >= wanted.since)
    if wanted.until is not None:
        conditions.append(columns.stored_at < wanted.until)
    return conditions


def _is_overdue(table: sa.FromClause, now: datetime) -> sa.ColumnElement[bool]:
    waited = [(table.c.rank == rank) & (table.c.stored_at < now - WAIT[urgency]) for rank, urgency in enumerate(ORDER)]
    return sa.and_(~table.c.answered, sa.or_(*waited))


def _same_study(table: sa.FromClause) -> tuple[sa.ColumnElement[bool], ...]:
    return tuple(table.c[name] == report.c[name] for name in ("site", "device", "study"))


def _looked_at_late(*conditions: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    """Conditions that no index may be chosen for: a study has few reports, and SQLite guesses otherwise."""
    return sa.case((sa.and_(*conditions), 1), else_=0) == 1


def _precedes(table: sa.FromClause, *, by_urgency: bool) -> sa.ColumnElement[bool]:
    if by_urgency:
        return sa.tuple_(table.c.rank, table.c.number) < sa.tuple_(report.c.rank, report.c.number)
    return table.c.number > report.c.number


def _lies_after(after: str, *, by_urgency: bool) -> sa.ColumnElement[bool]:
    try:
        rank, number = map(int, after.split("-"))
    except ValueError:
        raise ConfigError("a list goes on after the mark that its last part gave; begin it anew") from None
    if by_urgency:
        return sa.tuple_(report.c.rank, report.c.number) > sa.tuple_(sa.literal(rank), sa.literal(number))
    return report.c.number < number


def _groups(
    connection: sa.Connection, leading: Sequence[int], wanted: Filter, now: datetime, *, by_urgency: bool
) -> dict[int, list[int]]:
    """Numbers of the other reports of each leading report's study, in order."""
    other = report.alias("other")
    query = sa.select(report.c.number, other.c.number).where(
        report.c.number.in_(leading),
        *_same_study(other),
        _looked_at_late(other.c.number != report.c.number, *_conditions(other, wanted, now)),
    )
    order = (other.c.rank, other.c.number) if by_urgency else (other.c.number.desc(),)
    groups: dict[int, list[int]] = {}
    for lead, number in connection.execute(query.order_by(*order)):
        groups.setdefault(lead, []).append(number)
    return groups


def _item(row: sa.Row[*tuple[Any, ...]], now: datetime) -> Item:
    urgency = ORDER[row.rank]
    return Item(
        number=row.number,
        report=msgspec.json.decode(row.document, type=Report),
        stored_at=row.stored_at,
        urgency=urgency,
        review=None if row.review is None else msgspec.json.decode(row.review, type=Review),
        unread=not row.read,
        overdue=not row.answered and is_overdue(urgency, row.stored_at, now),
        has_preview=row.has_preview,
        delivered=bool(row.delivered),
    )
