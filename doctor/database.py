"""The doctor's database: SQLite in a file with no setup, or PostgreSQL by URL, brought up to date when it is opened.

One writer at a time, on both: a transaction that writes first takes the `tick`, which numbers the changes in the order
in which they become visible. So a page that follows along misses none, and the audit log is one chain.
Invariant: what a transaction wrote survives a power cut once its `with` block has been left.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.pool import ConnectionPoolEntry

from doctor.migrations import HEAD
from doctor.schema import tick
from edge.closing import Closing
from edge.database import DatabaseError
from edge.errors import ConfigError

_BUSY_TIMEOUT_S: Final = 30.0
_NEXT_TICK: Final = sa.update(tick).values(value=tick.c.value + 1).returning(tick.c.value)
_MIGRATION_LOCK: Final = 0x78726179
"""PostgreSQL's advisory lock under which one process brings the tables up to date while others wait."""


class StoreAwayError(DatabaseError):
    """The database's server does not answer; the same call may succeed later."""


@dataclass(frozen=True, slots=True)
class Writing:
    """A transaction that writes.

    Attributes:
        connection: To write with.
        tick: Number of this transaction among all that wrote.
    """

    connection: sa.Connection
    tick: int


class Database(Closing):
    """An open database. Threads may share it; close it, or use it as a context manager.

    Args:
        place: A SQLite file on a local disk, made if absent, or a URL: `postgresql://user@host/name`.

    Raises:
        ConfigError: A URL of a database that is not supported, or its library is missing.
        DatabaseError: It cannot be used, is damaged, or was written by a newer version.
        StoreAwayError: Its server does not answer.
    """

    def __init__(self, place: Path | str) -> None:
        url = _url(place)
        self.name = url.database if url.drivername == "sqlite" else url.render_as_string(hide_password=True)
        self._engine = _engine(url)
        self._writer = self._engine.execution_options(writing=True)
        try:
            with self._translated():
                _make_folder(url)
                if not self._is_up_to_date():
                    self._bring_up_to_date()
        except OSError as error:
            raise self._unusable(error) from error
        except BaseException:
            self._engine.dispose()
            raise

    def close(self) -> None:
        """Close every connection; what was committed stays."""
        self._engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A transaction that sees one state of the database.

        Raises:
            DatabaseError: The database cannot be used.
        """
        with self._translated(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Writing]:
        """A transaction that writes; an error inside takes all of it back.

        Raises:
            DatabaseError: It did not reach the disk.
        """
        with self._translated(), self._writer.begin() as connection:
            yield Writing(connection, connection.execute(_NEXT_TICK).scalar_one())

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (sa.exc.OperationalError, sa.exc.InterfaceError) as error:
            if self._engine.dialect.name == "postgresql":
                raise StoreAwayError(
                    f"the store {self.name} does not answer ({_in_one_line(error)}); see whether the server runs"
                ) from error
            raise self._unusable(error) from error
        except sa.exc.SQLAlchemyError as error:
            raise self._unusable(error) from error

    def _unusable(self, error: Exception) -> DatabaseError:
        return DatabaseError(
            f"the store {self.name} cannot be used ({_in_one_line(error)}); free disk space and mind owner and mode; "
            "if it is damaged, keep it and name another place with --store"
        )

    def _is_up_to_date(self) -> bool:
        with self._engine.begin() as connection:
            known = sa.inspect(connection).has_table("alembic_version")
            return known and connection.scalar(sa.text("SELECT version_num FROM alembic_version")) == HEAD

    def _bring_up_to_date(self) -> None:
        from alembic.command import upgrade  # noqa: PLC0415 - takes as long as everything else together
        from alembic.config import Config  # noqa: PLC0415
        from alembic.util import CommandError  # noqa: PLC0415

        config = Config()
        config.set_main_option("script_location", "doctor:migrations")
        config.set_main_option("path_separator", "os")
        with self._writer.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
            config.attributes["connection"] = connection
            try:
                upgrade(config, "head")
            except CommandError as error:
                raise DatabaseError(
                    f"the store {self.name} was written by a newer version of edge-doctor ({error}); use that version, "
                    "or name another place with --store"
                ) from error


def _url(place: Path | str) -> sa.URL:
    if isinstance(place, Path) or "://" not in place:
        return sa.URL.create("sqlite", database=str(place))
    try:
        url = sa.make_url(place)
    except sa.exc.ArgumentError as error:
        raise ConfigError("--store must be a file or a URL such as postgresql://user@host/name") from error
    match url.get_backend_name():
        case "sqlite" if url.database:
            return sa.URL.create("sqlite", database=url.database)
        case "postgresql" | "postgres":
            return url.set(drivername="postgresql+psycopg")
        case other:
            raise ConfigError(f"--store must be a SQLite file or a postgresql:// URL, got one of {other!r}")


def _make_folder(url: sa.URL) -> None:
    if url.drivername == "sqlite":
        Path(str(url.database)).parent.mkdir(parents=True, exist_ok=True)


def _in_one_line(error: Exception) -> str:
    return " ".join(str(getattr(error, "orig", None) or error).split())


def _engine(url: sa.URL) -> sa.Engine:
    if url.drivername != "sqlite":
        try:
            engine = sa.create_engine(url, pool_pre_ping=True)
        except ImportError as error:
            raise ConfigError(f"PostgreSQL needs the extra 'postgres': {error}") from error
        sa.event.listen(engine, "connect", _prepare_postgresql)
        return engine
    engine = sa.create_engine(url, connect_args={"timeout": _BUSY_TIMEOUT_S})
    sa.event.listen(engine, "connect", _prepare_sqlite)
    sa.event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _entry: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # Python's own transactions leave out what changes tables; `_begin_sqlite` begins
    connection.execute("PRAGMA journal_mode = WAL")
    # With WAL's default, NORMAL, a power cut may take the last commits with it.
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA cache_size = -32768")


def _begin_sqlite(connection: sa.Connection) -> None:
    # A writer that began as a reader could be refused in the middle; one that waits at the start never is.
    writing = connection.get_execution_options().get("writing", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


def _prepare_postgresql(connection: Any, _entry: ConnectionPoolEntry) -> None:
    connection.autocommit = True
    connection.execute("SET synchronous_commit = on")  # whatever the server's default: receipts stand on it
    connection.execute("SET timezone = 'UTC'")
    connection.autocommit = False
