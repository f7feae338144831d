"""The inbox's memory: every report exactly once, and all that became of it.

Each method is one transaction. Invariant: what a method returned for survives a power cut; only then may anybody be
told.
"""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Self

import sqlalchemy as sa

from doctor import changes, clinics, images, rejected, reports, requests, reviews, schema, worklist
from doctor.accounts import Account
from doctor.changes import Changes
from doctor.clinics import Clinic
from doctor.database import Database
from doctor.images import Image
from doctor.people import People
from doctor.rejected import Fault, Rejected
from doctor.reports import Stored
from doctor.requests import Asked, Command
from doctor.reviews import Answer
from doctor.schema import fact, preview, report
from doctor.worklist import Counts, Filter, Item, Known, Page
from edge.errors import ConfigError
from edge.wire.messages import Report, Review

_UNSHOWN_AT_ONCE = 100
_CLEARED = "reviews_cleared_until"


class Store(People):
    """An open store, shared by threads; close it, or use it as a context manager."""

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
            return reports.add(writing, new)

    def add_preview(self, site: str, device: str, report_id: str, jpeg: bytes) -> Stored | None:
        """Make a report's picture durable, once; None where the report is not here yet."""
        with self.database.writing() as writing:
            return reports.add_preview(writing, site, device, report_id, jpeg)

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
                found = reports.unshown(connection, after=after, limit=_UNSHOWN_AT_ONCE)
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

    def known(self) -> Known:
        """Which clinics and findings there are."""
        with self.database.reading() as connection:
            return worklist.known(connection)

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

    def reviews_of(self, number: int) -> list[Review]:
        """Every review of a report, the first first."""
        with self.database.reading() as connection:
            return reviews.history(connection, number)

    def reviews_owed(self, *, after: int = 0) -> list[reviews.Owed]:
        """The standing reviews that the boxes have not confirmed; see `doctor.reviews.owed`."""
        with self.database.reading() as connection:
            return reviews.owed(connection, after=after)

    def confirm(self, site: str, device: str, report_id: str, revision: int) -> int | None:
        """Note that the box has a review; the revision that stands, or None if no such review was made."""
        with self.database.writing() as writing:
            return reviews.confirm(writing, site, device, report_id, revision)

    def reviews_to_clear(self) -> list[tuple[str, str, str]]:
        """Site, device and id of reports whose review may lie at the broker still, although the box has it."""
        with self.database.reading() as connection:
            until = connection.scalar(sa.select(fact.c.value).where(fact.c.name == _CLEARED))
            return reviews.confirmed(connection, after=int(until or 0))

    def mark_cleared(self, tick: int) -> None:
        """Note that the broker holds no review that was confirmed up to a tick."""
        with self.database.writing() as writing:
            known = fact.update().where(fact.c.name == _CLEARED).values(value=str(tick))
            if writing.connection.execute(known).rowcount == 0:
                writing.connection.execute(fact.insert().values(name=_CLEARED, value=str(tick)))

    def clinics(self) -> list[Clinic]:
        """The boxes as they last told."""
        with self.database.reading() as connection:
            return clinics.clinics(connection)

    def rejected(self, *, limit: int = 100) -> list[Rejected]:
        """Messages that were kept aside, newest first."""
        with self.database.reading() as connection:
            return rejected.newest(connection, limit=limit)

    def rejections(self) -> Mapping[Fault, int]:
        """How many messages could not be taken, by what was wrong with them."""
        with self.database.reading() as connection:
            return rejected.counts(connection)

    def ask(self, number: int, command: Command, account: Account) -> str:
        """Ask a report's box for its picture, or for it again; see `doctor.requests`."""
        with self.database.writing() as writing:
            return requests.ask(writing, number, command, account)

    def ask_box(self, site: str, device: str, command: Command, account: Account) -> str:
        """Ask a box to do something; returns the transaction."""
        with self.database.writing() as writing:
            return requests.ask_box(writing, site, device, command, account)

    def asked_about(self, number: int, *, limit: int = 10) -> list[Asked]:
        """What was asked about a report, newest first."""
        with self.database.reading() as connection:
            return requests.asked(connection, schema.request.c.number == number, limit=limit)

    def asked_of(self, site: str, device: str, *, limit: int = 10) -> list[Asked]:
        """What a box was asked, newest first."""
        box = (schema.request.c.site == site, schema.request.c.device == device)
        with self.database.reading() as connection:
            return requests.asked(connection, *box, limit=limit)

    def requests_owed(self) -> list[requests.Owed]:
        """What has not been answered."""
        with self.database.reading() as connection:
            return requests.owed(connection)

    def give_up_requests(self, now: datetime) -> int:
        """Take back what has waited too long for its box; returns how many."""
        with self.database.writing() as writing:
            return requests.give_up(writing, now)

    def image(self, number: int) -> Image | None:
        """How far a report's picture in full resolution has come."""
        with self.database.reading() as connection:
            return images.progress(connection, number)

    def image_content(self, number: int) -> bytes | None:
        """That picture, once it is whole."""
        with self.database.reading() as connection:
            return images.content(connection, number)

    def changes_since(self, cursor: int | None) -> Changes:
        """What has changed since; see `doctor.changes`."""
        with self.database.reading() as connection:
            return changes.since(connection, cursor)
