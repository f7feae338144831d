"""Reports and their pictures in the store: each exactly once. Functions of an open transaction."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from doctor import rejected
from doctor.database import Writing
from doctor.rejected import Fault
from doctor.schema import document, preview, report
from doctor.urgency import ORDER, urgency_of
from edge.errors import MessageError
from edge.wire.messages import Report, encode

HEATMAP_ROWS: Final = 7
"""And columns: the last feature map of every network that the project's boxes run."""
OF_A_STUDY: Final = 50
"""Reports that the worklist shows together; what a study has beyond that stands alone. X-ray studies have a few."""
_STORED: Final = sa.select(report.c.number, document.c.content, report.c.stored_at, report.c.has_preview).join(document)
# What runs for each report is built once: building it takes SQLAlchemy longer than the database needs to do it.
_FIND: Final = _STORED.where(*(report.c[name] == sa.bindparam(name) for name in ("site", "device", "id")))
_COUNT_STUDY: Final = sa.select(sa.func.count()).where(
    *(report.c[name] == sa.bindparam(name) for name in ("site", "device", "study"))
)
_INSERT: Final = report.insert().returning(report.c.number)
_INSERT_DOCUMENT: Final = document.insert()
_INSERT_PREVIEW: Final = preview.insert()
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
    known = _find(writing.connection, new.site, new.device, new.id)
    if known is None:
        return _insert(writing, new)
    mine = report.c.number == known.number
    writing.connection.execute(report.update().where(mine).values(repeats=report.c.repeats + 1))
    rejected.count(writing, Fault.REPEATED)
    return known


def add_preview(writing: Writing, site: str, device: str, report_id: str, jpeg: bytes) -> Stored | None:
    """Keep a report's picture, once; None where the report is not here yet.

    Raises:
        MessageError: It is no JPEG.
    """
    if not jpeg.startswith(_JPEG):
        raise MessageError(f"expected a JPEG, got {len(jpeg)} bytes of something else")
    known = _find(writing.connection, site, device, report_id)
    if known is None:
        return None
    if not known.has_preview:
        mine = report.c.number == known.number
        writing.connection.execute(_INSERT_PREVIEW, {"number": known.number, "content": jpeg})
        writing.connection.execute(report.update().where(mine).values(has_preview=True, changed=writing.tick))
    return replace(known, has_preview=True)


def unshown(connection: sa.Connection, *, after: int, limit: int) -> list[Stored]:
    """Reports that nobody has been shown in a terminal, in order of arrival."""
    query = _STORED.where(~report.c.shown, report.c.number > after).order_by(report.c.number).limit(limit)
    return [_stored(row) for row in connection.execute(query)]


def _find(connection: sa.Connection, site: str, device: str, report_id: str) -> Stored | None:
    row = connection.execute(_FIND, {"site": site, "device": device, "id": report_id}).one_or_none()
    return None if row is None else _stored(row)


def _stored(row: sa.Row[*tuple[Any, ...]]) -> Stored:
    return Stored(row.number, msgspec.json.decode(row.content, type=Report), row.stored_at, row.has_preview)


def _insert(writing: Writing, new: Report) -> Stored:
    stored_at = datetime.now(UTC)
    study = {"site": new.site, "device": new.device, "study": new.study}
    members: int = writing.connection.execute(_COUNT_STUDY, study).scalar_one()
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
        "study": new.study if members < OF_A_STUDY else None,
        "has_preview": False,
        "read": False,
        "answered": False,
        "revision": 0,
        "confirmed": 0,
        "changed": writing.tick,
    }
    number: int = writing.connection.execute(_INSERT, columns).scalar_one()
    writing.connection.execute(_INSERT_DOCUMENT, {"number": number, "content": encode(new)})
    return Stored(number, new, stored_at, has_preview=False)
