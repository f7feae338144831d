"""The inbox's memory: every report exactly once, in order of arrival. SQLite, one file.

Invariant: a report that `add` returned for survives a power cut. Only then may its receipt be sent.
"""

import uuid
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

import msgspec

from edge.database import Database
from edge.messages import Report, encode


class Stored(msgspec.Struct, frozen=True):
    """A report as stored.

    Attributes:
        number: Order of arrival, from 1.
        report: As it came.
        stored_at: Aware UTC, this machine's clock.
    """

    number: int
    report: Report
    stored_at: datetime


class Store(Database):
    """An open store.

    Args:
        path: The SQLite file, on a local disk; made if absent.

    Raises:
        DatabaseError: The file is no store, is damaged, or the disk is full or read-only.
    """

    def __init__(self, path: Path) -> None:
        schema = files("doctor").joinpath("store.sql").read_text(encoding="utf-8")
        super().__init__(path, schema=schema, what="the store", elsewhere="--store FILE")

    @property
    def inbox_id(self) -> str:
        """This store's own name, 32 hex digits, chosen once."""
        self.execute("INSERT INTO fact VALUES ('inbox_id', ?) ON CONFLICT DO NOTHING", (uuid.uuid4().hex,))
        return str(self.execute("SELECT value FROM fact WHERE name = 'inbox_id'").fetchone()[0])

    def add(self, report: Report) -> datetime:
        """Make a report durable. Adding it again changes nothing.

        Returns:
            When it was stored first.
        """
        key = (report.site, report.device, report.id)
        self.execute(
            "INSERT INTO report (site, device, id, document, stored_at) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (*key, encode(report), datetime.now(UTC).isoformat()),
        )
        row = self.execute("SELECT stored_at FROM report WHERE site = ? AND device = ? AND id = ?", key).fetchone()
        return datetime.fromisoformat(row[0])

    def unshown(self) -> list[Stored]:
        """Reports nobody has been shown yet, in order of arrival."""
        rows = self.execute("SELECT number, document, stored_at FROM report WHERE shown = 0 ORDER BY number")
        return [
            Stored(number, msgspec.json.decode(document, type=Report), datetime.fromisoformat(stored_at))
            for number, document, stored_at in rows
        ]

    def mark_shown(self, number: int) -> None:
        """Note that a report has been shown."""
        self.execute("UPDATE report SET shown = 1 WHERE number = ?", (number,))
