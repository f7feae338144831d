"""`edge-agent outbox` and `edge-agent whois`: looking into a box's state, also while the agent runs."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from edge.cli import main
from edge.outbox.entry import State
from edge.outbox.outbox import Outbox
from edge.pseudonym import Pseudonyms
from edge.wire.messages import ModelIdentity, Report, Review, decode

AT = datetime(2026, 1, 2, tzinfo=UTC)


def a_report(number: int) -> Report:
    """A small report."""
    return Report(
        id=f"{number:032x}", site="clinic", device="box-1", received_at=AT, clock_synced=False, origin="folder",
        decision="covid", probabilities={"covid": 1.0}, positive="covid", threshold=0.5, heatmap=None, guard={},
        reason=None, timings_ms={},
        model=ModelIdentity(
            id="m", sha256="0" * 64, signed=False, runtime="litert", validated_on="-", not_validated_on="-"
        ),
    )  # fmt: skip


@pytest.fixture
def outbox(tmp_path: Path):
    """An outbox with an answered, a refused and a queued report."""
    with Outbox(tmp_path / "outbox.sqlite3", clock=lambda: AT) as outbox:
        for number in (1, 2, 3):
            outbox.put(a_report(number), preview=b"jpeg", place=Path("/archive/Erika.png"))
        outbox.mark_received(a_report(1).id, preview=True)
        outbox.add_review(
            Review(id=a_report(1).id, revision=1, state="answered", at=AT, reader="Dr. A", verdict="agree")
        )
        outbox.mark_refused(2, "Not authorized")
        yield outbox


@pytest.mark.usefixtures("outbox")
def test_list_shows_how_far_each_report_has_come(tmp_path: Path, capsys):
    """Newest first, with the broker's reason where it refused."""
    code = main(["outbox", "list", "--state", str(tmp_path)])

    shown = capsys.readouterr()
    assert code == 0
    assert [line.split()[0] for line in shown.out.splitlines()] == ["3", "2", "1"]
    assert "queued" in shown.out
    assert "answered" in shown.out
    assert "refused by the broker: Not authorized" in shown.out
    assert "2 of them wait" in shown.err
    assert "Not a diagnosis." in shown.err


@pytest.mark.usefixtures("outbox")
def test_list_can_show_only_what_waits(tmp_path: Path, capsys):
    """Oldest first, as it will be sent; as JSON one document per report."""
    main(["outbox", "list", "--waiting", "--json", "--state", str(tmp_path)])

    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(entry["report"]["seq"], entry["state"]) for entry in found] == [(2, "refused"), (3, "queued")]


@pytest.mark.usefixtures("outbox")
def test_show_tells_all_of_a_report(tmp_path: Path, capsys):
    """The answer, and where the original lies on this box."""
    main(["outbox", "show", a_report(1).id, "--state", str(tmp_path)])

    shown = capsys.readouterr().out
    assert "/archive/Erika.png" in shown
    assert '"verdict": "agree"' in shown
    assert '"decision": "covid"' in shown


def test_retry_has_a_report_sent_again(outbox, tmp_path: Path):
    """By its id also one that was received; without an id all that waits, at once."""
    rounds = outbox.rounds()
    main(["outbox", "retry", "--state", str(tmp_path)])
    assert (outbox.rounds(), outbox.count_owed()) == (rounds + 1, 2)

    main(["outbox", "retry", a_report(1).id, "--state", str(tmp_path)])

    assert outbox.entry(a_report(1).id).state is State.QUEUED
    assert outbox.rounds() == rounds + 2


@pytest.mark.usefixtures("outbox")
def test_export_writes_reports_pictures_and_answers(tmp_path: Path):
    """Whole messages, and nothing that names a patient or a file."""
    main(["outbox", "export", str(tmp_path / "out"), "--state", str(tmp_path)])

    files = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert [name.split("-")[0] for name in files] == ["00000001"] * 3 + ["00000002"] * 2 + ["00000003"] * 2
    assert decode((tmp_path / "out" / files[1]).read_bytes(), Report).seq == 1
    assert not any(b"Erika" in path.read_bytes() for path in (tmp_path / "out").iterdir())


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["outbox", "list"], "where is the agent's state?"),
        (["outbox", "list", "--state", "/nowhere"], "expected /nowhere/outbox.sqlite3, found nothing"),
        (["whois", "p-0", "--state", "/nowhere"], "expected /nowhere/pseudonyms.sqlite3, found nothing"),
    ],
)
def test_a_state_that_is_not_there_is_not_made(capsys, monkeypatch, arguments, told):
    """Looking makes no empty outbox."""
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)

    assert main(arguments) == 78

    assert told in capsys.readouterr().err


@pytest.mark.usefixtures("outbox")
def test_an_unknown_report_is_told(tmp_path: Path, capsys):
    """With where to find the ids."""
    assert main(["outbox", "show", "f" * 32, "--state", str(tmp_path)]) == 78
    assert "outbox list" in capsys.readouterr().err


def test_whois_tells_whom_a_token_stands_for(tmp_path: Path, capsys):
    """And says which token is not of this box."""
    with Pseudonyms(tmp_path) as pseudonyms:
        token = pseudonyms.token("p", "1234", "clinic")

    known = main(["whois", token, "--state", str(tmp_path)])
    told = capsys.readouterr().out
    unknown = main(["whois", "p-0000000000000000", "--state", str(tmp_path), "--json"])

    assert (known, told) == (0, f"{token}  PatientID=1234  IssuerOfPatientID=clinic\n")
    assert unknown == 1
    assert json.loads(capsys.readouterr().out) == {"token": "p-0000000000000000", "meaning": None}
