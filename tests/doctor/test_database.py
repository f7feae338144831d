"""Where a store may lie, and how older stores are brought up to date."""

import json
import sqlite3
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from doctor import schema
from doctor.database import Database, StoreAwayError
from doctor.migrations import HEAD
from doctor.store import Store
from edge.database import DatabaseError
from edge.errors import ConfigError

OLD_LAYOUT = """
CREATE TABLE report (
    number INTEGER PRIMARY KEY AUTOINCREMENT, site TEXT NOT NULL, device TEXT NOT NULL, id TEXT NOT NULL,
    document BLOB NOT NULL, stored_at TEXT NOT NULL, shown INTEGER NOT NULL DEFAULT 0 CHECK (shown IN (0, 1)),
    UNIQUE (site, device, id)
) STRICT;
CREATE INDEX unshown ON report (number) WHERE shown = 0;
CREATE TABLE fact (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
INSERT INTO fact VALUES ('inbox_id', '0123456789abcdef0123456789abcdef');
"""


def test_the_tables_are_those_the_code_expects(place):
    """The migrations lead to the very schema, on both databases."""
    with Database(place) as database, database.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": False})

        assert compare_metadata(context, schema.metadata) == []


def test_the_last_migration_is_named():
    """Or a store would be opened without it."""
    config = Config()
    config.set_main_option("script_location", "doctor:migrations")

    assert ScriptDirectory.from_config(config).get_current_head() == HEAD


def test_a_store_from_before_the_migrations_is_taken_over(tmp_path: Path, make_report):
    """Reports, their order, what was shown, and the name at the broker stay."""
    path = tmp_path / "inbox.sqlite3"
    reports = [make_report(1), make_report(2, decision="inconclusive"), make_report(3, decision="normal")]
    with sqlite3.connect(path) as old:
        old.executescript(OLD_LAYOUT)
        old.executemany(
            "INSERT INTO report (site, device, id, document, stored_at, shown) VALUES (?, ?, ?, ?, ?, ?)",
            [
                (one.site, one.device, one.id, msgspec.json.encode(one), "2026-11-23T15:50:00.340159+00:00", shown)
                for one, shown in zip(reports, (1, 0, 0), strict=True)
            ],
        )
    old.close()

    with Store.open(path) as store:
        assert store.inbox_id == "0123456789abcdef0123456789abcdef"
        assert [stored.report for stored in store.unshown()] == reports[1:]
        assert store.item(1).stored_at.isoformat() == "2026-11-23T15:50:00.340159+00:00"
        assert [store.item(number).urgency for number in (1, 2, 3)] == ["urgent", "soon", "routine"]
        assert store.add(make_report(4)).number == 4


def test_a_store_of_a_newer_version_is_left_alone(place):
    """The error says so."""
    with Database(place) as database, database.writing() as writing:
        writing.connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))

    with pytest.raises(DatabaseError, match="newer version"):
        Database(place)


def test_a_file_that_is_no_store_is_left_alone(tmp_path: Path):
    """The error names the file and the way out."""
    path = tmp_path / "inbox.sqlite3"
    path.write_text(json.dumps({"precious": True}) * 100)

    with pytest.raises(DatabaseError, match=r"inbox\.sqlite3 cannot be used .*--store"):
        Database(path)

    assert "precious" in path.read_text()


def test_a_server_that_is_not_there_is_named_without_its_password():
    """A password in a URL is in no message."""
    with pytest.raises(StoreAwayError, match=r"127\.0\.0\.1:1/inbox does not answer") as told:
        Database("postgresql://ada:secret@127.0.0.1:1/inbox")

    assert "secret" not in str(told.value)


@pytest.mark.parametrize("url", ["mysql://host/name", "http://host", "sqlite://", "://"])
def test_other_databases_are_refused(url: str):
    """With what would do."""
    with pytest.raises(ConfigError, match="postgresql://"):
        Database(url)


def test_a_failed_transaction_leaves_nothing(store):
    """An error inside takes all of it back."""

    def write_and_fail() -> None:
        with store.database.writing() as writing:
            writing.connection.execute(schema.fact.insert().values(name="half", value="done"))
            raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"):
        write_and_fail()

    with store.database.reading() as connection:
        assert connection.scalar(sa.select(schema.fact.c.value).where(schema.fact.c.name == "half")) is None
