"""What the spool has taken is on the disk, once, or the sender is told that there is no room."""

import errno
import os
import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from edge.intake.spool import RESERVE_BYTES, Spool, SpoolFullError


def test_what_was_put_lies_there_whole_under_a_name_that_tells_nothing(tmp_path: Path):
    """The name is the content's hash, so the same image twice is one file."""
    spool = Spool(tmp_path, "dicom")

    paths = [spool.put(b"image", ".dcm"), spool.put(b"image", ".dcm"), spool.put(b"other", ".dcm")]

    assert sorted(spool.folder.iterdir()) == sorted(set(paths))
    assert paths[0] == paths[1] == tmp_path / "spool" / "dicom" / "6105d6cc76af400325e94d588ce511be.dcm"
    assert paths[0].read_bytes() == b"image"


def test_a_disk_that_is_nearly_full_takes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The outbox needs the rest; the sender is told before a byte is written."""
    usage = namedtuple("usage", "total used free")  # noqa: PYI024 - what shutil returns
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 0, RESERVE_BYTES + 4))
    spool = Spool(tmp_path, "http")

    spool.put(b"four", ".png")
    with pytest.raises(SpoolFullError, match="no room for an image of 5 bytes"):
        spool.put(b"five!", ".png")

    assert len(list(spool.folder.iterdir())) == 1


def test_a_disk_that_fills_while_writing_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Neither a piece of the image nor a promise."""

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    spool = Spool(tmp_path, "camera")
    monkeypatch.setattr(os, "fsync", full)

    with pytest.raises(SpoolFullError):
        spool.put(b"image", ".png")

    assert list(spool.folder.iterdir()) == []


def test_another_failure_of_the_disk_is_not_called_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """An input/output error is what it is."""

    def broken(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    spool = Spool(tmp_path, "camera")
    monkeypatch.setattr(os, "fsync", broken)

    with pytest.raises(OSError, match="Input/output error"):
        spool.put(b"image", ".png")
