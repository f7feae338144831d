"""The short version of the inbox's campaign; the long one is a command."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

CAMPAIGN = Path(__file__).with_name("inbox_kills.py")


@pytest.mark.parametrize(("store", "kills"), [("sqlite", 8), ("postgresql", 4)])
def test_killed_at_random_moments_the_inbox_loses_nothing_and_keeps_nothing_twice(store: str, kills: int):
    """Reports, pictures, reviews and the audit log: both ends tell the same."""
    done = subprocess.run(
        [sys.executable, CAMPAIGN, "--kills", str(kills), "--store", store],
        capture_output=True, text=True, check=False, timeout=250,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert (found["lost"], found["twice"]) == (0, 0)
    assert found["reports"] > kills
    assert found["reviews"] > 0
