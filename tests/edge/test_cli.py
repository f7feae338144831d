"""The command `edge-agent` itself."""

import os
import subprocess
import sys

import pytest


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="on one core, NumPy starts no further thread anyhow")
def test_linear_algebra_takes_no_core_beside_the_network() -> None:
    """NumPy has no thread of its own in a process that runs `edge-agent`; it would spin on a core of its own."""
    script = (
        "import contextlib, os, edge.cli\n"
        "with contextlib.suppress(SystemExit): edge.cli.main(['--version'])\n"
        "import numpy\n"
        "print(len(os.listdir('/proc/self/task')))"
    )
    environ = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}

    run = subprocess.run([sys.executable, "-c", script], env=environ, capture_output=True, text=True, check=True)

    assert run.stdout.splitlines()[-1] == "1"
