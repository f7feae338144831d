"""Chatter is held against a list; what is not on it comes through."""

import subprocess
import sys

SCRIPT = r"""
import os, sys
from trainer.native_log import without_chatter
with without_chatter():
    os.write(2, b"I0000 00:00:1.1 1 port.cc:153] oneDNN custom operations are on.\n")
    os.write(2, b"E0000 00:00:1.1 1 cuda_platform.cc:52] failed call to cuInit: INTERNAL\n")
    os.write(2, b"W0000 00:00:1.1 1 allocator.cc:1] memory is short\n")
    print("from python", file=sys.stderr)
    os.write(2, b"no newline at the end")
print("after", file=sys.stderr)
"""


def test_only_known_lines_are_dropped():
    """A real warning, Python's own lines and a last line without an end are all there."""
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)

    lines = done.stderr.replace("end", "end\n").splitlines()
    assert sorted(line for line in lines if line) == [
        "W0000 00:00:1.1 1 allocator.cc:1] memory is short",
        "after",
        "from python",
        "no newline at the end",
    ]


def test_importing_tensorflow_is_silent():
    """Nothing of what TensorFlow says of itself at its start reaches the terminal."""
    script = "from trainer.native_log import without_chatter\nwith without_chatter():\n    import trainer.train"

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert (done.stdout, done.stderr) == ("", "")
