"""What the project's commands share: log lines for people and for programs."""

import json
import logging
import subprocess
import sys

import pytest

from edge.command_line import log_to_stderr


@pytest.fixture(autouse=True)
def _root_as_it_was():
    """Put pytest's own log handlers back."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def test_json_lines_hold_message_and_fields(capsys):
    """Each line is one document; what a program wants to count stands in fields of its own."""
    log_to_stderr("info", "json")

    logging.getLogger("edge.agent").info("finding id=%s", "ab", extra={"fields": {"id": "ab", "decode_ms": 1.5}})

    line = json.loads(capsys.readouterr().err)
    assert line.pop("at").endswith("Z")
    assert line == {
        "level": "info", "logger": "edge.agent", "message": "finding id=ab", "id": "ab", "decode_ms": 1.5,
    }  # fmt: skip


def test_a_defect_s_trace_stays_on_one_line(capsys):
    """A trace does not break the rule of one document a line."""
    log_to_stderr("info", "json")

    try:
        int("broken")
    except ValueError:
        logging.getLogger("edge").exception("a defect")

    [line] = capsys.readouterr().err.splitlines()
    assert "ValueError: invalid literal" in json.loads(line)["trace"]


def test_text_lines_are_for_people(capsys):
    """Time in UTC, level, logger, message."""
    log_to_stderr("info")

    logging.getLogger("edge.agent").info("finding id=ab", extra={"fields": {"id": "ab"}})

    assert capsys.readouterr().err.endswith("Z INFO edge.agent finding id=ab\n")


def test_a_command_run_by_python_m_logs_like_any_other(capsys):
    """Its own module is then called __main__; a library's line of the same level stays away."""
    log_to_stderr("info")

    logging.getLogger("__main__").info("wrote model.keras")
    logging.getLogger("some.library").info("chatter")

    assert capsys.readouterr().err.endswith("INFO __main__ wrote model.keras\n")


def test_a_signal_in_the_midst_of_a_wait_ends_the_command_all_the_same():
    """There is a moment of each wait at which its thread holds the event's lock, and a signal can fall into it."""
    program = """
import os, signal
from edge.command_line import stop_on_signals
stop = stop_on_signals()
with stop._cond:
    os.kill(os.getpid(), signal.SIGTERM)
print(stop.wait(10))
"""

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)

    assert (done.stdout, done.stderr) == ("True\n", "")
