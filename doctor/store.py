"""The inbox's memory: every report exactly once, in order of arrival. SQLite, one file.

Invariant: a report that `add` returned for survives a power cut. Only then may its receipt be sent.
"""

import sqlite3
import uuid
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from edge.errors import StopError
from edge.messages import Report, encode


class StoreError(StopError):
    """The store's file cannot be used; a person has to look at the disk."""


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


class Store:
    """An open store. Used by one thread; close it, or use it as a context manager.

    Args:
        path: The SQLite file, made if absent.

    Raises:
        StoreError: The file is no store, is damaged, or the disk is full or read-only.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=30, isolation_level=None)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.executescript(files("doctor").joinpath("store.sql").read_text(encoding="utf-8"))
        except (sqlite3.Error, OSError) as error:
            raise self._unusable(error) from error

    def __enter__(self) -> Self:
        """Return the open store."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close it."""
        self._db.close()

    @property
    def inbox_id(self) -> str:
        """This store's own name, 32 hex digits, chosen once."""
        self._execute("INSERT INTO fact VALUES ('inbox_id', ?) ON CONFLICT DO NOTHING", (uuid.uuid4().hex,))
        return str(self._execute("SELECT value FROM fact WHERE name = 'inbox_id'").fetchone()[0])

    def add(self, report: Report) -> datetime:
        """Make a report durable. Adding it again changes nothing.

        Returns:
            When it was stored first.
        """
        key = (report.site, report.device, report.id)
        self._execute(
            "INSERT INTO report (site, device, id, document, stored_at) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (*key, encode(report), datetime.now(UTC).isoformat()),
        )
        row = self._execute("SELECT stored_at FROM report WHERE site = ? AND device = ? AND id = ?", key).fetchone()
        return datetime.fromisoformat(row[0])

    def unshown(self) -> list[Stored]:
        """Reports nobody has been shown yet, in order of arrival."""
        rows = self._execute("SELECT number, document, stored_at FROM report WHERE shown = 0 ORDER BY number")
        return [
            Stored(number, msgspec.json.decode(document, type=Report), datetime.fromisoformat(stored_at))
            for number, document, stored_at in rows
        ]

    def mark_shown(self, number: int) -> None:
        """Note that a report has been shown."""
        self._execute("UPDATE report SET shown = 1 WHERE number = ?", (number,))

    def _execute(self, statement: str, values: tuple[object, ...] = ()) -> sqlite3.Cursor:
        try:
            return self._db.execute(statement, values)
        except sqlite3.Error as error:
            raise self._unusable(error) from error

    def _unusable(self, error: Exception) -> StoreError:
        return StoreError(
            f"the store {self._path} cannot be used ({error}); "
            "free disk space and mind owner and mode; if the file is damaged, keep it and name another --store"
        )
