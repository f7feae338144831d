"""`edge-agent quarantine`: why files were set aside, and having them tried again."""

import json
from pathlib import Path

import pytest

from edge.cli import main


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A box on which a watched file and one that came over HTTP were set aside."""
    for folder, name in ((tmp_path / "in", "film.png"), (tmp_path / "state" / "spool" / "http", "0a.png")):
        (folder / "quarantine").mkdir(parents=True)
        (folder / "quarantine" / name).write_bytes(b"x")
        (folder / "quarantine" / f"{name}.reason.txt").write_text("the box stopped 3 times\n")
    return tmp_path / "state"


def test_list_names_file_and_reason(state: Path, capsys: pytest.CaptureFixture[str]):
    """Of the watched folders and of the spools, for a person and for a program."""
    where = ("--watch", str(state.parent / "in"), "--state", str(state))

    assert main(["quarantine", "list", *where]) == 0
    shown = capsys.readouterr()
    assert main(["quarantine", "list", "--json", *where]) == 0
    documents = [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    assert "2 files are set aside" in shown.err
    assert all("the box stopped 3 times" in line for line in shown.out.splitlines())
    assert {Path(one["place"]).name for one in documents} == {"film.png", "0a.png"}
    assert {one["id"] for one in documents} == {line.split()[0] for line in shown.out.splitlines()}


def test_retry_moves_one_or_all_back(state: Path, capsys: pytest.CaptureFixture[str]):
    """An id that is none, or none any more, is refused with what to do."""
    where = ("--watch", str(state.parent / "in"), "--state", str(state))
    main(["quarantine", "list", *where])
    [first] = [line.split()[0] for line in capsys.readouterr().out.splitlines() if "film.png" in line]

    assert main(["quarantine", "retry", first, *where]) == 0
    assert (state.parent / "in" / "film.png").exists()
    assert main(["quarantine", "retry", first, *where]) == 78
    assert "`edge-agent quarantine list` shows the ids" in capsys.readouterr().err
    assert main(["quarantine", "retry", *where]) == 0
    assert (state / "spool" / "http" / "0a.png").exists()
