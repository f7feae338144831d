"""The doctor's store -> what this package computes from. Read only."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from doctor.learning.answered import Answered
from doctor.learning.export import Exhibit
from doctor.schema import clinic, document, preview, report, review
from doctor.store import Store
from edge.messages import Report, Review

_AT_ONCE: Final = 500
_STANDING: Final = report.join(document).join(
    review, sa.and_(review.c.number == report.c.number, review.c.revision == report.c.revision)
)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which reports are meant.

    Attributes:
        site: Of one clinic only.
        since: Stored from then on, aware UTC.
    """

    site: str | None = None
    since: datetime | None = None

    @property
    def conditions(self) -> list[sa.ColumnElement[bool]]:
        """As SQL."""
        wanted = [] if self.site is None else [report.c.site == self.site]
        return wanted if self.since is None else [*wanted, report.c.stored_at >= self.since]


class _Card(msgspec.Struct):
    """The one thing that is asked of a card here."""

    reference: dict[str, tuple[float, ...]] = {}


def answered(store: Store, selection: Selection) -> Iterator[Answered]:
    """Answered reports with the answers that stand, in order of arrival."""
    columns = (document.c.content, review.c.document, report.c.stored_at)
    for row in _rows(store, sa.select(*columns).select_from(_STANDING).where(report.c.answered, *selection.conditions)):
        yield _answered(*row)


def exhibits(store: Store, selection: Selection) -> Iterator[Exhibit]:
    """The same, each with its picture."""
    columns = (document.c.content, review.c.document, report.c.stored_at, preview.c.content)
    joined = _STANDING.outerjoin(preview, preview.c.number == report.c.number)
    for row in _rows(store, sa.select(*columns).select_from(joined).where(report.c.answered, *selection.conditions)):
        yield Exhibit(_answered(*row[:3]), None if row[3] is None else bytes(row[3]))


def reports(store: Store, selection: Selection) -> Iterator[tuple[Report, datetime]]:
    """All reports and when they were stored, in order of arrival."""
    query = sa.select(document.c.content, report.c.stored_at).select_from(report.join(document))
    for content, stored_at in _rows(store, query.where(*selection.conditions)):
        yield msgspec.json.decode(content, type=Report), stored_at


def references(store: Store) -> dict[tuple[str, str], dict[str, tuple[float, ...]]]:
    """Clinic and box to what its model's card tells of the training images: statistic to its deciles."""
    with store.database.reading() as connection:
        rows = connection.execute(sa.select(clinic.c.site, clinic.c.device, clinic.c.card)).all()
    cards = {(row.site, row.device): row.card for row in rows if row.card is not None}
    return {box: msgspec.json.decode(card, type=_Card).reference for box, card in cards.items()}


def _rows(store: Store, query: sa.Select[Any]) -> Iterator[Any]:
    with (
        store.database.reading() as connection,
        connection.execute(query.order_by(report.c.number), execution_options={"yield_per": _AT_ONCE}) as rows,
    ):
        yield from rows


def _answered(content: bytes, said: bytes, stored_at: datetime) -> Answered:
    return Answered(msgspec.json.decode(content, type=Report), msgspec.json.decode(said, type=Review), stored_at)
