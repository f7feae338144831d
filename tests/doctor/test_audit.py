"""The audit log shows what was done to it."""

import contextlib

import msgspec
import pytest
import sqlalchemy as sa

from doctor import audit
from doctor.audit import Deed
from edge.database import DatabaseError


@pytest.fixture
def log(store):
    """A store with five entries."""
    for number in range(5):
        with store.database.writing() as writing:
            audit.append(writing, account="ada", deed=Deed.OPENED, subject=f"clinic/box-1/{number}")
    return store


@pytest.fixture
def tamper(log):
    """Change the log as somebody can who owns the database: with its guards taken away."""

    def run(statement: str, **values: object) -> None:
        with log.database.writing() as writing:
            connection = writing.connection
            if connection.dialect.name == "postgresql":
                connection.execute(sa.text("ALTER TABLE audit DISABLE TRIGGER ALL"))
            else:
                for event in ("update", "delete"):
                    connection.execute(sa.text(f"DROP TRIGGER audit_stays_{event}"))
            connection.execute(sa.text(statement), values)

    return run


def verdict(store) -> audit.Verdict:
    """What `verify` finds."""
    with store.database.reading() as connection:
        return audit.verify(connection)


def test_a_log_that_nobody_touched_fits(log):
    """Each entry, and none missing."""
    found = verdict(log)

    assert (found.entries, found.broken) == (5, None)
    with log.database.reading() as connection:
        assert [entry.number for entry in audit.entries(connection)] == [1, 2, 3, 4, 5]
        assert [entry.number for entry in audit.entries(connection, last=2)] == [4, 5]


def test_an_empty_log_fits(store):
    """There is nothing to find."""
    assert verdict(store).entries == 0


@pytest.mark.parametrize(
    "statement", ["UPDATE audit SET entry = entry WHERE number = 3", "DELETE FROM audit WHERE number = 5"]
)
def test_the_database_refuses_to_change_or_remove_an_entry(log, statement):
    """Before anything is broken."""
    with pytest.raises(DatabaseError, match="stay as they are"), log.database.writing() as writing:
        writing.connection.execute(sa.text(statement))

    assert verdict(log).broken is None


@pytest.mark.parametrize(
    ("statement", "broken", "reason"),
    [
        ("DELETE FROM audit WHERE number = 2", 2, "missing"),
        ("DELETE FROM audit WHERE number = 5", 5, "ends before"),
        ("DELETE FROM audit", 1, "ends before"),
        ("UPDATE audit SET sha256 = 'ab' WHERE number = 3", 3, "changed"),
        ("UPDATE audit SET number = 9 WHERE number = 5", 5, "missing"),
    ],
)
def test_what_was_broken_is_named(log, tamper, statement, broken, reason):
    """The first entry that does not fit."""
    tamper(statement)

    found = verdict(log)

    assert (found.broken, found.entries) == (broken, broken - 1)
    assert reason in found.reason


def test_an_entry_whose_hash_was_made_anew_breaks_the_next(log, tamper):
    """Its own hash fits, the one after it names another."""
    with log.database.reading() as connection:
        third = list(audit.entries(connection))[2]
    forged = msgspec.json.encode(msgspec.structs.replace(third, account="ben"))
    tamper(
        "UPDATE audit SET entry = :entry, sha256 = :digest WHERE number = 3",
        entry=forged,
        digest=audit.sha256(forged).hexdigest(),
    )

    found = verdict(log)

    assert (found.broken, found.reason) == (4, "it does not follow the one before it")


def test_an_entry_stands_only_with_its_deed(log):
    """A transaction that fails logs nothing."""

    def log_and_fail() -> None:
        with log.database.writing() as writing:
            audit.append(writing, account="ada", deed=Deed.ANSWERED, subject="x")
            raise RuntimeError("on purpose")

    with contextlib.suppress(RuntimeError):
        log_and_fail()

    assert verdict(log).entries == 5
