"""A bar is seen on every terminal and does not flood a file."""

import contextlib
import os
import signal
import subprocess
import sys
import termios

import pytest

from trainer.progress import interruptible, progress

SCRIPT = """
import sys, time
import trainer.progress
trainer.progress.DELAY_S = 0.3
for _ in trainer.progress.progress(range(10), total=10, what="waiting", unit="step"):
    time.sleep(float(sys.argv[1]))
"""


def drawn(step_s: float, *, columns: int) -> str:
    """What a pseudo-terminal of some width shows of ten steps."""
    ours, theirs = os.openpty()
    termios.tcsetwinsize(theirs, (24, columns))
    subprocess.run([sys.executable, "-c", SCRIPT, str(step_s)], stderr=theirs, check=True, timeout=30)
    os.write(theirs, b"the end")
    shown = os.read(ours, 100_000).decode()
    os.close(ours)
    os.close(theirs)
    return shown


@pytest.mark.parametrize("columns", [100, 0])
def test_a_terminal_shows_the_time_left(columns: int):
    """Also one that does not know its width."""
    shown = drawn(0.1, columns=columns)

    assert "waiting:  50%|" in shown
    assert "5/10 [00:00<00:0" in shown


def test_what_is_over_at_once_shows_nothing():
    """A bar that flashes up tells nobody anything."""
    assert drawn(0, columns=100) == "the end"


def test_a_file_gets_no_line_per_step():
    """A loop that is over in a second leaves no line in a log."""
    done = subprocess.run([sys.executable, "-c", SCRIPT, "0.1"], stderr=subprocess.PIPE, check=True, timeout=30)

    assert done.stderr == b""


def test_an_interruption_that_a_library_swallowed_stops_the_next_step():
    """Python forgets a Ctrl-C that falls into a destructor; the next step raises it again."""
    done = []

    def work() -> None:
        for step in progress(range(5), total=5, what="steps", unit="step"):
            done.append(step)
            with contextlib.suppress(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)

    with interruptible(), pytest.raises(KeyboardInterrupt):
        work()

    assert done == [0]
