"""`edge-doctor statistics` and `export` say what the store holds."""

import json

import pytest

from doctor.cli import main
from doctor.learning.answered import CAVEAT
from doctor.reviews import Answer
from doctor.store import Store
from edge.wire.messages import NOTICE
from tests.doctor.learning.answers import report


@pytest.fixture
def path(tmp_path, reader):
    """A store with two answers, one of them right."""
    path = tmp_path / "inbox.sqlite3"
    with Store.open(path) as store:
        for image, label in ((1, "covid"), (2, "normal")):
            number = store.add(report(image, "covid")).number
            verdict = "agree" if label == "covid" else "disagree"
            opened = store.open_report(number, reader)
            store.answer(number, Answer(verdict=verdict, label=label), reader, opened.revision)
    return path


def test_statistics_are_a_table_with_its_caveat(path, capsys):
    """A person reads the shares with their intervals, and what they are worth."""
    assert main(["statistics", "--store", str(path)]) == 0

    out = capsys.readouterr().out
    assert "0.50 (0.09-0.91, n 2)" in out
    assert "1.00 (0.21-1.00, n 1)" in out
    assert CAVEAT in out
    assert NOTICE in out


def test_statistics_are_one_json_document(path, capsys):
    """For a program."""
    assert main(["statistics", "--store", str(path), "--json"]) == 0

    document = json.loads(capsys.readouterr().out)
    (row,) = document["by_clinic"]
    assert (row["site"], row["model"], row["answered"]) == ("clinic", "m", 2)
    assert (row["agreement"]["value"], row["agreement"]["n"]) == (0.5, 2)
    assert row["specificity"]["hits"] == 0


def test_an_empty_store_says_so(tmp_path, capsys):
    """No table of nothing."""
    Store.open(tmp_path / "new.sqlite3").close()

    assert main(["statistics", "--store", str(tmp_path / "new.sqlite3")]) == 0

    assert "Nobody has answered a report yet." in capsys.readouterr().out


def test_an_export_says_what_it_left_out(path, tmp_path, capsys):
    """With the reason, on stderr."""
    assert main(["export", str(tmp_path / "data"), "--store", str(path)]) == 0

    said = capsys.readouterr()
    assert "0 answered reports written" in said.out
    assert "2 left out: its picture has not arrived" in said.err


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["statistics", "--days", "0"], "--days must be 1 or more, got 0"),
        (["export", "."], "exists and is never overwritten"),
    ],
)
def test_what_cannot_be_done_is_said(path, capsys, arguments, expected):
    """In one line, with exit code 78."""
    assert main([*arguments, "--store", str(path)]) == 78

    assert expected in capsys.readouterr().err


def test_a_store_that_is_not_there_is_not_made(tmp_path, capsys):
    """A wrong name must not look like an inbox nobody has answered."""
    assert main(["statistics", "--store", str(tmp_path / "typo.sqlite3")]) == 78

    assert "typo.sqlite3" in capsys.readouterr().err
    assert not (tmp_path / "typo.sqlite3").exists()
