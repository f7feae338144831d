"""The doctor's store -> what this package computes from. Read only."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from doctor.learning.answered import Answered
from doctor.learning.export import Exhibit
from doctor.learning.outline import Outline
from doctor.schema import document, report, review
from doctor.store import Store
from edge.wire.messages import Report, Review

_AT_ONCE: Final = 500


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


def answered(store: Store, selection: Selection) -> Iterator[Answered]:
    """Answered reports with the answers that stand, in order of arrival."""
    for row in _rows(store, _standing().where(*selection.conditions)):
        yield _answered(row)


def exhibits(store: Store, selection: Selection) -> Iterator[Exhibit]:
    """The same, each with its picture: in full resolution where somebody has asked the box for it, else the preview."""
    for row in _rows(store, _standing(report.c.number).where(*selection.conditions)):
        picture = store.image_content(row.number) or store.preview(row.number)
        yield Exhibit(_answered(row), picture)


def outlines(store: Store, selection: Selection) -> Iterator[tuple[Outline, datetime]]:
    """Of all reports, and when they were stored, in order of arrival."""
    query = sa.select(document.c.content, report.c.stored_at).select_from(report.join(document))
    read = msgspec.json.Decoder(Outline)
    for content, stored_at in _rows(store, query.where(*selection.conditions)):
        yield read.decode(content), stored_at


def references(store: Store) -> dict[tuple[str, str], dict[str, tuple[float, ...]]]:
    """Clinic and box to what its model's card tells of the training images: statistic to its deciles."""
    cards = {(clinic.site, clinic.device): clinic.card for clinic in store.clinics() if clinic.card is not None}
    return {
        box: msgspec.convert(card.get("reference", {}), dict[str, tuple[float, ...]]) for box, card in cards.items()
    }


def _standing(*columns: sa.ColumnElement[Any]) -> sa.Select[Any]:
    """Answered reports, each with the answer that stands."""
    query = sa.select(document.c.content, review.c.document.label("said"), report.c.stored_at, *columns)
    joined = report.join(document).join(
        review, sa.and_(review.c.number == report.c.number, review.c.revision == report.c.revision)
    )
    return query.select_from(joined).where(report.c.answered)


def _rows(store: Store, query: sa.Select[Any]) -> Iterator[Any]:
    with (
        store.database.reading() as connection,
        connection.execute(query.order_by(report.c.number), execution_options={"yield_per": _AT_ONCE}) as rows,
    ):
        yield from rows


def _answered(row: Any) -> Answered:
    said = msgspec.json.decode(row.said, type=Review)
    return Answered(msgspec.json.decode(row.content, type=Report), said, row.stored_at)
