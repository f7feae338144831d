"""A SQLite file that keeps what it was told: write-ahead logging, and a sync to the disk at every commit.

The box's outbox and the doctor's store stand on it.
"""

import sqlite3
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from edge.errors import StopError

_BUSY_TIMEOUT_S: Final = 30.0


class DatabaseError(StopError):
    """The file cannot be used; a person has to look at the disk."""


class Database:
    """An open SQLite file. Used by one thread; close it, or use it as a context manager.

    Args:
        path: Made if absent, with its folder. It must lie on a local disk: write-ahead logging needs shared memory.
        schema: SQL that may be run again and again.
        what: What the file is, for messages: `the outbox`.
        elsewhere: What to say to use another file: `--state FOLDER`.

    Raises:
        DatabaseError: The file is something else, is damaged, or the disk is full or read-only.
    """

    def __init__(self, path: Path, *, schema: str, what: str, elsewhere: str) -> None:
        self._trouble = (
            f"{what} {path} cannot be used (%s); free disk space and mind owner and mode; "
            f"if the file is damaged, keep it and name another place with {elsewhere}"
        )
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(path, timeout=_BUSY_TIMEOUT_S, isolation_level=None)
            self._connection.execute("PRAGMA journal_mode = WAL")
            # With WAL's default, NORMAL, a power cut may take the last commits with it.
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.executescript(schema)
        except (sqlite3.Error, OSError) as error:
            raise DatabaseError(self._trouble % error) from error

    def __enter__(self) -> Self:
        """Return the open file."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Close the file; what was committed stays."""
        self._connection.close()

    def execute(self, statement: str, values: tuple[object, ...] = ()) -> sqlite3.Cursor:
        """Run one statement in a transaction of its own.

        Raises:
            DatabaseError: It did not reach the disk.
        """
        try:
            return self._connection.execute(statement, values)
        except sqlite3.Error as error:
            raise DatabaseError(self._trouble % error) from error
