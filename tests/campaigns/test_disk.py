"""A few of the agent's calls to the disk; docs/reliability.md has the figures of all."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CAMPAIGN = Path(__file__).with_name("disk.py")
needs_compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")


@needs_compiler
def test_whatever_call_fails_everything_is_in_its_place(tmp_path: Path):
    """SQLite's page writes and Python's renames alike, from the first call to the last."""
    sample = ("--every", "120", "--actions", "ENOSPC", "killed after")

    done = subprocess.run(
        [sys.executable, CAMPAIGN, *sample, "--folder", tmp_path],
        capture_output=True, text=True, check=False, timeout=250,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(done.stdout)
    assert result["calls of an undisturbed life"] > 100
    assert result["something happened"].keys() == {"ENOSPC", "killed after"}
    assert min(result["something happened"].values()) >= 2


CARELESS = """
import sys
import disk
disk.Surroundings.recover = lambda around, box, status: []
sys.exit(disk.main())
"""


@needs_compiler
def test_the_campaign_can_fail(tmp_path: Path):
    """An agent that nobody starts again after a kill has delivered nothing, and that is found out."""
    sample = ("--every", "150", "--actions", "killed before")

    done = subprocess.run(
        [sys.executable, "-c", CARELESS, *sample, "--folder", tmp_path],
        capture_output=True, text=True, check=False, timeout=120, cwd=CAMPAIGN.parent,
    )  # fmt: skip

    assert done.returncode == 1, done.stdout + done.stderr
    assert json.loads(done.stdout)["wrong"]["lost"] > 0


@needs_compiler
def test_a_failure_of_sqlite_s_own_writes_reaches_the_program(tmp_path: Path):
    """The library stands where SQLite writes its pages: the insert fails, and says why."""
    build = "import shim, sys, pathlib; shim.build(pathlib.Path(sys.argv[1]))"
    program = (
        "import sqlite3, sys, shim; "
        "connection = sqlite3.connect(sys.argv[1] + '/a.sqlite3'); connection.execute('CREATE TABLE t (x)'); "
        "shim.arm(shim.Call(root=sys.argv[1], ledger=sys.argv[2], at=3, error=28)); "
        "connection.execute('INSERT INTO t VALUES (1)'); connection.commit()"
    )
    (tmp_path / "box").mkdir()
    subprocess.run([sys.executable, "-c", build, tmp_path], check=True, cwd=CAMPAIGN.parent)

    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "box", tmp_path / "ledger"],
        capture_output=True, text=True, check=False, cwd=CAMPAIGN.parent,
        env={**os.environ, "LD_PRELOAD": str(tmp_path / "disk.so")},
    )  # fmt: skip

    assert "sqlite3.OperationalError: database or disk is full" in done.stderr
    assert (tmp_path / "ledger").read_text().split()[0].startswith("pwrite")
