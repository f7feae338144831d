"""Reports and their pictures in the store: each exactly once. Functions of an open transaction."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

import msgspec
import sqlalchemy as sa

from doctor import rejected
from doctor.database import Writing
from doctor.rejected import Fault
from doctor.schema import document, preview, report
from doctor.urgency import ORDER, urgency_of
from edge.errors import MessageError
from edge.messages import Report, encode

HEATMAP_ROWS: Final = 7
"""And columns: the last feature map of every network that the project's boxes run."""
_JPEG: Final = b"\xff\xd8\xff"


@dataclass(frozen=True, slots=True)
class Stored:
    """A report as stored.

    Attributes:
        number: Order of arrival, from 1.
        report: As it came first.
        stored_at: When it was stored first, aware UTC, this machine's clock.
        has_preview: Whether its picture is here, too.
    """

    number: int
    report: Report
    stored_at: datetime
    has_preview: bool


def check(new: Report) -> None:
    """Refuse a report that could not be kept or drawn.

    Raises:
        HeatmapError: Its heatmap is no 7 rows of 7 numbers from 0 to 1.
        MessageError: A text is too long, or holds what no text holds.
    """
    for name, column, value in (
        ("decision", report.c.decision, new.decision),
        ("model.id", report.c.model, new.model.id),
        ("patient", report.c.patient, new.patient or ""),
        ("study", report.c.study, new.study or ""),
    ):
        longest = column.type.length  # type: ignore[attr-defined] # all of them are texts
        if len(value) > longest or "\0" in value:
            raise MessageError(f"expected {name} to be a text of at most {longest} characters, got {value[:40]!r}")
    rows = new.heatmap
    if rows is None:
        return
    if len(rows) != HEATMAP_ROWS or any(len(row) != HEATMAP_ROWS for row in rows):
        sizes = f"{len(rows)} rows of {len(rows[0]) if rows else 0}"
        raise HeatmapError(f"expected a heatmap of {HEATMAP_ROWS} rows of {HEATMAP_ROWS} numbers, got {sizes}")
    if not all(0 <= value <= 1 for row in rows for value in row):
        raise HeatmapError("expected a heatmap of numbers from 0 to 1, got others")


class HeatmapError(MessageError):
    """A heatmap that cannot be laid over its picture."""


def add(writing: Writing, new: Report) -> Stored:
    """Keep a report; adding it again changes nothing but the count of repeats."""
    known = find(writing.connection, *_is_report(new.site, new.device, new.id))
    if not known:
        return _insert(writing, new)
    mine = report.c.number == known[0].number
    writing.connection.execute(report.update().where(mine).values(repeats=report.c.repeats + 1))
    rejected.count(writing, Fault.REPEATED)
    return known[0]


def add_preview(writing: Writing, site: str, device: str, report_id: str, jpeg: bytes) -> Stored | None:
    """Keep a report's picture, once; None where the report is not here yet.

    Raises:
        MessageError: It is no JPEG.
    """
    if not jpeg.startswith(_JPEG):
        raise MessageError(f"expected a JPEG, got {len(jpeg)} bytes of something else")
    known = find(writing.connection, *_is_report(site, device, report_id))
    if not known:
        return None
    if not known[0].has_preview:
        mine = report.c.number == known[0].number
        writing.connection.execute(preview.insert().values(number=known[0].number, content=jpeg))
        writing.connection.execute(report.update().where(mine).values(has_preview=True, changed=writing.tick))
    return replace(known[0], has_preview=True)


def find(connection: sa.Connection, *conditions: sa.ColumnElement[bool], limit: int = 1) -> list[Stored]:
    """Reports that fulfil conditions, in order of arrival."""
    query = (
        sa.select(report.c.number, document.c.content, report.c.stored_at, report.c.has_preview)
        .join(document)
        .where(*conditions)
        .order_by(report.c.number)
        .limit(limit)
    )
    return [
        Stored(row.number, msgspec.json.decode(row.content, type=Report), row.stored_at, row.has_preview)
        for row in connection.execute(query)
    ]


def _is_report(site: str, device: str, report_id: str) -> tuple[sa.ColumnElement[bool], ...]:
    return report.c.site == site, report.c.device == device, report.c.id == report_id


def _insert(writing: Writing, new: Report) -> Stored:
    stored_at = datetime.now(UTC)
    columns = {
        "site": new.site,
        "device": new.device,
        "id": new.id,
        "stored_at": stored_at,
        "shown": False,
        "repeats": 0,
        "rank": ORDER.index(urgency_of(new)),
        "decision": new.decision,
        "model": new.model.id,
        "patient": new.patient,
        "study": new.study,
        "has_preview": False,
        "read": False,
        "answered": False,
        "revision": 0,
        "confirmed": 0,
        "changed": writing.tick,
    }
    number = writing.connection.execute(report.insert().values(columns).returning(report.c.number)).scalar_one()
    writing.connection.execute(document.insert().values(number=number, content=encode(new)))
    return Stored(number, new, stored_at, has_preview=False)
