"""What the doctor's tests share: a store on each of the two databases, and made-up reports."""

import dataclasses
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa

from doctor import schema
from doctor.accounts import Account
from doctor.store import Store
from edge.wire.messages import Report

GOLDEN = Path(__file__).parents[1] / "edge" / "golden" / "report.json"


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """Where a fresh store may lie: a file, and a database of a real server."""
    if request.param == "sqlite":
        return tmp_path / "state" / "inbox.sqlite3"
    return request.getfixturevalue("postgresql").new_place()


@pytest.fixture
def store(place: Path | str) -> Iterator[Store]:
    """A fresh store, on each of the two databases."""
    with Store.open(place) as store:
        yield store


@pytest.fixture
def make_report() -> Callable[..., Report]:
    """A report that differs from the golden one in its id and whatever is given."""
    golden = msgspec.json.decode(GOLDEN.read_bytes(), type=Report)

    def make(number: int = 0, **changes: object) -> Report:
        alone = {"patient": f"p-{number:016x}", "study": f"s-{number:016x}"}
        return msgspec.structs.replace(golden, id=f"{number:032x}", **{"seq": number, **alone, **changes})

    return make


@pytest.fixture
def reader() -> Account:
    """Somebody who reads."""
    return Account("ada", "Dr. Ada Reader")


@pytest.fixture
def other(reader: Account) -> Account:
    """Somebody else."""
    return dataclasses.replace(reader, name="ben", reader="Dr. Ben Other")


@pytest.fixture
def age(store: Store) -> Callable[[int, timedelta], None]:
    """Make a report older than it is."""

    def make_older(number: int, by: timedelta) -> None:
        with store.database.writing() as writing:
            older = {"stored_at": datetime.now(UTC) - by}
            writing.connection.execute(sa.update(schema.report).where(schema.report.c.number == number).values(older))

    return make_older
