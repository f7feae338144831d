"""What was in hand when a process died is remembered, and nothing else is."""

import errno
import os
from pathlib import Path

import pytest

from edge.decoding.attempts import Attempts
from edge.errors import StopError


def die(folder: Path, key: str, error: Exception) -> None:
    """An error while a file is in hand."""
    with Attempts(folder) as attempts:
        attempts.begin(key)
        raise error


def test_an_orderly_end_blames_nobody(tmp_path: Path):
    """A stop with a file in hand, and an error that was foreseen, are no death."""
    with Attempts(tmp_path) as attempts:
        attempts.begin("a" * 32)
    with pytest.raises(StopError):
        die(tmp_path, "b" * 32, StopError("the disk is full"))

    assert [Attempts(tmp_path).tries(key * 32) for key in "ab"] == [0, 0]


def test_a_death_blames_what_was_in_hand_once(tmp_path: Path):
    """The next start finds the mark; the start after that does not count it again."""
    if os.fork() == 0:
        attempts = Attempts(tmp_path)
        for key in "abc":
            attempts.begin(key * 32)
        attempts.end("b" * 32)
        os._exit(9)
    os.wait()

    Attempts(tmp_path)  # dies before anything is in hand
    with Attempts(tmp_path) as first:
        assert [first.tries(key * 32) for key in "abc"] == [1, 0, 1]
    with Attempts(tmp_path) as second:
        assert [second.tries(key * 32) for key in "abc"] == [1, 0, 1]


def test_an_unforeseen_error_blames_what_was_in_hand(tmp_path: Path):
    """A defect that one picture brings out must not end the agent for ever."""
    with pytest.raises(ZeroDivisionError):
        die(tmp_path, "a" * 32, ZeroDivisionError())

    assert Attempts(tmp_path).tries("a" * 32) == 1


def test_success_clears_the_count(tmp_path: Path):
    """Three deaths count only if nothing good came between."""
    with Attempts(tmp_path) as attempts:
        assert attempts.blame("a" * 32) == 1
        attempts.begin("a" * 32)
        attempts.end("a" * 32)

    assert Attempts(tmp_path).tries("a" * 32) == 0


def test_a_damaged_count_is_told_and_begun_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """The file can be damaged by a dying disk; the box goes on."""
    (tmp_path / "tries.json").write_bytes(b"\xff")

    assert Attempts(tmp_path).tries("a" * 32) == 0
    assert [record.message for record in caplog.records] == ["the count of failed tries was damaged; counting anew"]


def test_a_disk_that_takes_nothing_ends_the_agent_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """With a sentence for a person, and without blame for the picture."""

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with Attempts(tmp_path) as attempts, monkeypatch.context() as patch:
        patch.setattr("os.pwrite", full)
        with pytest.raises(StopError, match="No space left on device; free disk space"):
            attempts.begin("a" * 32)

    assert Attempts(tmp_path).tries("a" * 32) == 0
