"""The inbox keeps each report once, in order of arrival."""

import json
from pathlib import Path

import msgspec
import pytest

from doctor.store import Store
from edge.database import DatabaseError
from edge.messages import Report

GOLDEN = Path(__file__).parents[1] / "edge" / "golden" / "report.json"
REPORT = msgspec.json.decode(GOLDEN.read_bytes(), type=Report)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the store lies."""
    return tmp_path / "state" / "inbox.sqlite3"


def test_a_report_is_stored_once(path: Path):
    """Adding it again gives the time it was stored first, and nothing new to show."""
    with Store(path) as store:
        first = store.add(REPORT)
        second = store.add(msgspec.structs.replace(REPORT, replayed=True))

        assert first == second
        assert [stored.report for stored in store.unshown()] == [REPORT]


def test_the_same_id_of_another_box_is_another_report(path: Path):
    """Two clinics may see the same image."""
    with Store(path) as store:
        store.add(REPORT)
        store.add(msgspec.structs.replace(REPORT, device="box-2"))

        assert [stored.report.device for stored in store.unshown()] == ["box-1", "box-2"]


def test_what_was_shown_is_not_shown_again_after_a_restart(path: Path):
    """And what was not shown is."""
    with Store(path) as store:
        store.add(REPORT)
        store.add(msgspec.structs.replace(REPORT, device="box-2"))
        store.mark_shown(1)

    with Store(path) as store:
        assert [stored.number for stored in store.unshown()] == [2]


def test_an_inbox_keeps_its_name(path: Path):
    """The broker knows the inbox by it."""
    with Store(path) as store:
        name = store.inbox_id

    with Store(path) as store:
        assert store.inbox_id == name
        assert len(name) == 32


def test_a_file_that_is_no_store_is_left_alone(path: Path):
    """The error names the file and the way out."""
    path.parent.mkdir()
    path.write_text(json.dumps({"precious": True}) * 100)

    with pytest.raises(DatabaseError, match=r"inbox\.sqlite3 cannot be used .*--store"):
        Store(path)

    assert "precious" in path.read_text()
