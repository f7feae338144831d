"""`--help` is part of the interface: a change of it is a change people will see."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

GOLDEN = Path(__file__).parent / "golden"
COMMANDS = {
    "edge-agent": ("edge.cli",),
    "edge-agent-bench": ("edge.cli", "bench"),
    "edge-agent-check": ("edge.cli", "check"),
    "edge-agent-classify": ("edge.cli", "classify"),
    "edge-agent-demo": ("edge.cli", "demo"),
    "edge-agent-outbox": ("edge.cli", "outbox"),
    "edge-agent-quarantine-list": ("edge.cli", "quarantine", "list"),
    "edge-agent-quarantine-retry": ("edge.cli", "quarantine", "retry"),
    "edge-agent-whois": ("edge.cli", "whois"),
    "edge-doctor": ("doctor.cli",),
    "edge-doctor-account": ("doctor.cli", "account"),
    "edge-doctor-account-add": ("doctor.cli", "account", "add"),
    "edge-doctor-audit-verify": ("doctor.cli", "audit", "verify"),
    "edge-doctor-watch": ("doctor.cli", "watch"),
    "edge-trainer-train": ("trainer.cli", "train"),
    "edge-converter-convert": ("converter.cli", "convert"),
    "edge-converter-golden": ("converter.cli", "golden"),
    "edge-converter-guard": ("converter.cli", "guard"),
    "edge-converter-keygen": ("converter.cli", "keygen"),
    "edge-converter-sign": ("converter.cli", "sign"),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_help_is_golden(name: str):
    """Write the files anew with GOLDEN=write and read the difference."""
    module, *arguments = COMMANDS[name]
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments, "--help"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "COLUMNS": "110"},
    )
    golden = GOLDEN / f"{name}.txt"
    if os.environ.get("GOLDEN") == "write":
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(done.stdout)

    assert done.stdout.startswith("usage: ")
    assert done.stdout == golden.read_text()
