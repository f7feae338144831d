"""A SQLite file that keeps what it was told: write-ahead logging, and a sync to the disk at every commit.

The box's outbox stands on it.
"""

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from edge.closing import Closing
from edge.errors import StopError

_BUSY_TIMEOUT_S: Final = 30.0
_LOOK_AGAIN_S: Final = 0.01


class DatabaseError(StopError):
    """The file cannot be used; a person has to look at the disk."""


class Database(Closing):
    """An open SQLite file. Used by one thread; close it, or use it as a context manager.

    Args:
        path: Made if absent, with its folder. It must lie on a local disk: write-ahead logging needs shared memory.
        schema: SQL that makes the first version's tables where they are not there.
        migrations: SQL that leads from each version of the tables to the next; the file remembers how many it has seen.
        what: What the file is, for messages: `the outbox`.
        elsewhere: What to say to use another file: `--state FOLDER`.

    Raises:
        DatabaseError: The file is something else, is damaged, comes from a later version of this program, or the disk
            is full or read-only.
    """

    def __init__(self, path: Path, *, schema: str, migrations: Sequence[str] = (), what: str, elsewhere: str) -> None:
        self._trouble = (
            f"{what} {path} cannot be used (%s); free disk space and mind owner and mode; "
            f"if the file is damaged, keep it and name another place with {elsewhere}"
        )
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(path, timeout=_BUSY_TIMEOUT_S, isolation_level=None)
            _write_ahead(self._connection)
            # With WAL's default, NORMAL, a power cut may take the last commits with it.
            self._connection.execute("PRAGMA synchronous = FULL")
        except (sqlite3.Error, OSError) as error:
            raise DatabaseError(self._trouble % error) from error
        try:
            self._migrate([schema, *migrations])
        except DatabaseError:
            self.close()
            raise

    def _migrate(self, steps: Sequence[str]) -> None:
        """Bring the tables up to date; several processes may try at once, and a kill leaves a whole version."""
        if self._version() == len(steps):
            return
        with self.transaction():
            version = self._version()  # anew: another process may have been faster
            if version > len(steps):
                found = f"it has version {version}, this program knows {len(steps)}; install the newer program again"
                raise DatabaseError(self._trouble % found)
            for statement in (one for step in steps[version:] for one in _statements(step)):
                self.execute(statement)
            self.execute(f"PRAGMA user_version = {len(steps)}")

    def _version(self) -> int:
        return int(self.execute("PRAGMA user_version").fetchone()[0])

    def close(self) -> None:
        """Close the file; what was committed stays."""
        self._connection.close()

    def execute(self, statement: str, values: tuple[object, ...] = ()) -> sqlite3.Cursor:
        """Run one statement, in a transaction of its own unless one is open.

        Raises:
            DatabaseError: It did not reach the disk.
        """
        try:
            return self._connection.execute(statement, values)
        except sqlite3.Error as error:
            raise DatabaseError(self._trouble % error) from error

    @contextmanager
    def transaction(self, *, synced: bool = True) -> Iterator[None]:
        """Make the statements inside durable together, with one sync to the disk, or not at all.

        Args:
            synced: Unless set, a power cut may take the transaction, wholly; the end of the process does not.

        Raises:
            DatabaseError: They did not reach the disk; nothing has changed.
        """
        if not synced:
            self.execute("PRAGMA synchronous = NORMAL")
        try:
            self.execute("BEGIN IMMEDIATE")
            yield
            self.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:  # SQLite has rolled back by itself where the disk was full
                self._connection.execute("ROLLBACK")
            raise
        finally:
            if not synced:
                self.execute("PRAGMA synchronous = FULL")


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Switch to write-ahead logging. SQLite itself waits for nobody there: of two that begin at once it refuses one."""
    deadline_s = time.monotonic() + _BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline_s:
                raise
            time.sleep(_LOOK_AGAIN_S)
        else:
            return


def _statements(script: str) -> Iterator[str]:
    """A script's statements; `executescript` would commit before it runs them."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
