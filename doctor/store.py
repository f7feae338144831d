"""The inbox's memory: every report exactly once, and all that became of it.

Each method is one transaction. Invariant: what a method returned for survives a power cut; only then may anybody be
told.
"""

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
import sqlalchemy as sa

from doctor import reviews, worklist
from doctor.accounts import Account
from doctor.database import Database, Writing
from doctor.reviews import Answer, Owed
from doctor.schema import document, fact, preview, report
from doctor.urgency import ORDER, urgency_of
from doctor.worklist import Counts, Filter, Item, Page
from edge.errors import ConfigError
from edge.messages import Report, Review, encode

_UNSHOWN_AT_ONCE = 100


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


class Store:
    """An open store, shared by threads; close it, or use it as a context manager.

    Args:
        database: Where it lies; closed with the store.
    """

    def __init__(self, database: Database) -> None:
        self.database = database

    @classmethod
    def open(cls, place: Path | str, *, make: bool = True) -> Self:
        """Open a store: a SQLite file, made if absent unless `make` is off, or `postgresql://user@host/name`.

        Raises:
            ConfigError: No such kind of database, or no such file.
            DatabaseError: It cannot be used.
        """
        if not make and "://" not in str(place) and not Path(place).is_file():
            raise ConfigError(f"expected an inbox's store at {place}, found none; `edge-doctor` says where it keeps it")
        return cls(Database(place))

    def __enter__(self) -> Self:
        """Return the open store."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Close the database."""
        self.database.close()

    @property
    def inbox_id(self) -> str:
        """This store's own name, 32 hex digits, chosen once."""
        query = sa.select(fact.c.value).where(fact.c.name == "inbox_id")
        with self.database.writing() as writing:
            if (known := writing.connection.scalar(query)) is not None:
                return str(known)
            chosen = uuid.uuid4().hex
            writing.connection.execute(fact.insert().values(name="inbox_id", value=chosen))
            return chosen

    def add(self, new: Report) -> Stored:
        """Make a report durable; adding it again changes nothing but the count of its repeats."""
        with self.database.writing() as writing:
            known = _stored(writing.connection, *_is_report(new.site, new.device, new.id))
            if not known:
                return _insert(writing, new)
            writing.connection.execute(
                report.update().where(report.c.number == known[0].number).values(repeats=report.c.repeats + 1)
            )
            return known[0]

    def add_preview(self, site: str, device: str, report_id: str, jpeg: bytes) -> Stored | None:
        """Make a report's picture durable, once; None where the report is not here yet."""
        with self.database.writing() as writing:
            known = _stored(writing.connection, *_is_report(site, device, report_id))
            if not known:
                return None
            if not known[0].has_preview:
                writing.connection.execute(preview.insert().values(number=known[0].number, content=jpeg))
                writing.connection.execute(
                    report.update()
                    .where(report.c.number == known[0].number)
                    .values(has_preview=True, changed=writing.tick)
                )
            return Stored(known[0].number, known[0].report, known[0].stored_at, has_preview=True)

    def preview(self, number: int) -> bytes | None:
        """A report's picture, a JPEG."""
        with self.database.reading() as connection:
            content = connection.scalar(sa.select(preview.c.content).where(preview.c.number == number))
            return None if content is None else bytes(content)

    def unshown(self) -> Iterator[Stored]:
        """Reports that `watch` has not printed yet, in order of arrival; mark each before taking the next."""
        after = 0
        while True:
            with self.database.reading() as connection:
                found = _stored(connection, ~report.c.shown, report.c.number > after, limit=_UNSHOWN_AT_ONCE)
            if not found:
                return
            yield from found
            after = found[-1].number

    def mark_shown(self, number: int) -> None:
        """Note that `watch` has printed a report."""
        with self.database.writing() as writing:
            writing.connection.execute(report.update().where(report.c.number == number).values(shown=True))

    def worklist(self, wanted: Filter, *, limit: int, after: str | None = None) -> Page:
        """A part of what is to be read; see `doctor.worklist.page`."""
        with self.database.reading() as connection:
            return worklist.page(connection, wanted, limit=limit, after=after)

    def counts(self) -> Counts:
        """How much there is."""
        with self.database.reading() as connection:
            return worklist.counts(connection)

    def item(self, number: int) -> Item | None:
        """One report, or None."""
        return self.items([number]).get(number)

    def items(self, numbers: Sequence[int]) -> dict[int, Item]:
        """Reports by number; unknown numbers are left out."""
        with self.database.reading() as connection:
            return worklist.items(connection, numbers)

    def earlier(self, item: Item, *, limit: int = 20) -> list[Item]:
        """Other reports of the same patient, as far as the box can tell, newest first."""
        with self.database.reading() as connection:
            return worklist.earlier(connection, item, limit=limit)

    def open_report(self, number: int, account: Account) -> Review:
        """Note that somebody looks at a report, and return the review that stands; see `doctor.reviews`."""
        with self.database.writing() as writing:
            return reviews.open_report(writing, number, account)

    def answer(self, number: int, answer: Answer, account: Account, expected_revision: int) -> Review:
        """Answer a report; see `doctor.reviews`.

        Raises:
            ConflictError: Somebody has answered after that revision; nothing was saved.
        """
        with self.database.writing() as writing:
            return reviews.answer_report(writing, number, answer, account, expected_revision)

    def reviews(self, number: int) -> list[Review]:
        """Every review of a report, the first first."""
        with self.database.reading() as connection:
            return reviews.history(connection, number)

    def reviews_owed(self) -> list[Owed]:
        """The standing reviews that the boxes have not confirmed, the oldest report first."""
        with self.database.reading() as connection:
            return list(reviews.owed(connection))

    def confirm(self, site: str, device: str, report_id: str, revision: int) -> int | None:
        """Note that the box has a review; the revision that stands, or None if no such review was made."""
        with self.database.writing() as writing:
            return reviews.confirm(writing, site, device, report_id, revision)


def _is_report(site: str, device: str, report_id: str) -> tuple[sa.ColumnElement[bool], ...]:
    return report.c.site == site, report.c.device == device, report.c.id == report_id


def _stored(connection: sa.Connection, *conditions: sa.ColumnElement[bool], limit: int = 1) -> list[Stored]:
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
