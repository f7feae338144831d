"""Accounts and the audit log from the command line."""

import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from doctor.accounts import Account
from doctor.store import Store


@pytest.fixture
def command(tmp_path: Path):
    """Run `edge-doctor` with a home of its own."""

    def run(*arguments: str, line: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "doctor.cli", *map(str, arguments)],
            input=line, capture_output=True, text=True, check=False, timeout=60,
            env={"XDG_STATE_HOME": str(tmp_path / "home"), "PYTHONPATH": str(Path(__file__).parents[2])},
        )  # fmt: skip

    return run


@pytest.fixture
def inbox(tmp_path: Path, make_report) -> Path:
    """A store where edge-doctor keeps it, with a report that somebody has read."""
    path = tmp_path / "home" / "edge-xray" / "inbox-localhost-1883.sqlite3"
    with Store.open(path) as store:
        store.add(make_report())
        for _ in range(3):
            store.open_report(1, Account("ada", "Dr. Ada Reader"))
    return path


@pytest.mark.usefixtures("inbox")
def test_an_account_is_made_listed_changed_and_disabled(command):
    """The password comes from standard input, never from the command line."""
    made = command("account", "add", "ada", "--reader", "Dr. Ada", "--admin", line="correct horse battery\n")
    short = command("account", "add", "ben", "--reader", "Dr. Ben", line="short\n")
    command("account", "add", "ben", "--reader", "Dr. Ben", line="correct horse battery\n")
    changed = command("account", "password", "ben", line="another good password\n")
    disabled = command("account", "disable", "ben")
    listed = command("account", "list")

    assert (made.returncode, made.stdout) == (0, "ada may log in as admin; the clinics see Dr. Ada.\n")
    assert (short.returncode, "12 to 200 characters" in short.stderr) == (1, True)
    assert (changed.returncode, disabled.returncode) == (0, 0)
    assert [line.split() for line in listed.stdout.splitlines()] == [
        ["ada", "admin", "Dr.", "Ada"], ["ben", "disabled", "Dr.", "Ben"],
    ]  # fmt: skip


def test_a_log_that_fits_says_so_and_one_that_does_not_names_the_entry(command, inbox):
    """Exit code 1, so that a timer can tell."""
    good = command("audit", "verify", "--json")
    head = json.loads(good.stdout)["head"]
    noted = command("audit", "verify", "--noted", head)
    unknown = command("audit", "verify", "--noted", "0" * 64)
    with sqlite3.connect(inbox) as database:
        database.execute("DROP TRIGGER audit_stays_update")
        database.execute(
            "UPDATE audit SET entry = CAST(replace(CAST(entry AS TEXT), 'ada', 'eve') AS BLOB) WHERE number = 2"
        )
    database.close()
    bad = command("audit", "verify")

    assert (good.returncode, noted.returncode, unknown.returncode) == (0, 0, 1)
    assert "3 entries, each fits" in noted.stdout
    assert "written anew" in unknown.stdout
    assert (bad.returncode, bad.stdout) == (
        1, "entry 2 does not fit: it was changed after it was written. The 1 before it do.\n",
    )  # fmt: skip


@pytest.mark.usefixtures("inbox")
def test_the_log_can_be_read(command):
    """As lines for people, and as JSON."""
    text = command("audit", "show", "--last", "2")
    documents = command("audit", "show", "--json")

    assert [line.split()[0] for line in text.stdout.splitlines()] == ["2", "3"]
    assert "ada" in text.stdout
    assert [json.loads(line)["deed"] for line in documents.stdout.splitlines()] == ["opened"] * 3


def test_which_store_is_meant_is_never_guessed(command, inbox, tmp_path: Path):
    """None and several are errors that say what to do."""
    Store.open(inbox.with_name("inbox-other-1883.sqlite3")).close()
    several = command("audit", "verify")
    named = command("audit", "verify", "--store", str(inbox))
    inbox.unlink()
    inbox.with_name("inbox-other-1883.sqlite3").unlink()
    none = command("audit", "verify")
    missing = command("audit", "verify", "--store", str(tmp_path / "nothing.sqlite3"))

    assert (several.returncode, "say with --store which is meant" in several.stderr) == (78, True)
    assert named.returncode == 0
    assert (none.returncode, "found no inbox" in none.stderr) == (78, True)
    assert (missing.returncode, "expected an inbox's store" in missing.stderr) == (78, True)
    assert not (tmp_path / "nothing.sqlite3").exists()
