"""A file leaves the watched folder only with its report durable, or with a reason beside it."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread

import pytest

from edge.errors import ConfigError, UnreadableImageError
from edge.intake.folder import FolderIntake
from edge.study import Capture

SETTLE_S = 0.3
PATIENCE_S = 1.0
REASON = UnreadableImageError("expected a picture, got a text")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A watched folder."""
    folder = tmp_path / "in"
    folder.mkdir()
    return folder


class Source:
    """An intake whose captures end after a while, so that a test cannot hang."""

    def __init__(self, *folders: Path) -> None:
        self.intake = FolderIntake(folders, settle_s=SETTLE_S, patience_s=PATIENCE_S)

    def captures(self, for_s: float) -> Iterator[Capture]:
        """What arrives within some seconds."""
        stop = Event()
        Thread(target=lambda: (time.sleep(for_s), stop.set()), daemon=True).start()
        return self.intake.captures(stop)


def drop(folder: Path, name: str, content: bytes, *, age_s: float = 0) -> Path:
    """A file that was last changed some seconds ago."""
    path = folder / name
    path.write_bytes(content)
    os.utime(path, (time.time() - age_s, time.time() - age_s))
    return path


def test_files_that_were_there_come_at_once_oldest_first(folder: Path):
    """What lay in the folder before the start needs no settling."""
    drop(folder, "b.png", b"newer", age_s=10)
    drop(folder, "a.png", b"older", age_s=20)

    captures = Source(folder).captures(0.2)

    assert [capture.content for capture in captures] == [b"older", b"newer"]


def test_a_settled_file_moves_to_the_archive(folder: Path):
    """Settling moves the original, and it does not come again."""
    drop(folder, "a.png", b"image", age_s=10)
    source = Source(folder)

    for capture in source.captures(0.6):
        source.intake.settle(capture)

    assert (folder / "archive" / "a.png").read_bytes() == b"image"
    assert not (folder / "a.png").exists()


def test_a_file_that_is_not_settled_stays(folder: Path):
    """Until its report is durable the original is where it was, and comes once."""
    drop(folder, "a.png", b"image", age_s=10)

    captures = list(Source(folder).captures(0.8))

    assert len(captures) == 1
    assert (folder / "a.png").exists()


def test_two_images_under_one_name_are_both_kept(folder: Path):
    """The archive never overwrites another image."""
    source = Source(folder)
    for content in (b"first", b"second"):
        drop(folder, "a.png", content, age_s=10)
        for capture in source.captures(0.3):
            source.intake.settle(capture)

    assert sorted(path.read_bytes() for path in (folder / "archive").iterdir()) == [b"first", b"second"]


def test_a_file_that_grows_is_left_alone(folder: Path):
    """A slow writer is waited for; the image is read once, whole."""
    path = folder / "slow.png"

    def write() -> None:
        with path.open("wb", buffering=0) as file:
            for _ in range(8):
                file.write(b"x" * 100)
                time.sleep(0.15)

    writer = Thread(target=write)
    writer.start()
    captures = list(Source(folder).captures(2.2))
    writer.join()

    assert [len(capture.content) for capture in captures] == [800]


def test_a_file_that_cannot_be_decoded_gets_time_to_arrive(folder: Path):
    """A pause of the writer longer than the settling costs nothing: the file comes again once it has changed."""
    path = drop(folder, "slow.png", b"half", age_s=0)
    source = Source(folder)
    seen = []

    for capture in source.captures(2.0):
        seen.append(capture.content)
        if capture.content == b"half":
            assert not source.intake.set_aside(capture, REASON)
            path.write_bytes(b"whole")
        else:
            source.intake.settle(capture)

    assert seen == [b"half", b"whole"]
    assert not (folder / "quarantine").exists()


def test_a_bad_file_is_set_aside_with_the_reason(folder: Path):
    """When patience ends the file is in quarantine, unchanged, with the reason beside it."""
    drop(folder, "text.png", b"hello", age_s=60)
    source = Source(folder)

    outcomes = [source.intake.set_aside(capture, REASON) for capture in source.captures(PATIENCE_S + 1)]

    assert outcomes == [False, True]
    assert (folder / "quarantine" / "text.png").read_bytes() == b"hello"
    assert (folder / "quarantine" / "text.png.reason.txt").read_text() == "expected a picture, got a text\n"


def test_a_file_replaced_after_it_was_read_is_a_new_image(folder: Path):
    """Settling the old image does not take the new one away."""
    path = drop(folder, "a.png", b"old", age_s=10)
    source = Source(folder)
    seen = []

    for capture in source.captures(1.0):
        seen.append(capture.content)
        if capture.content == b"old":
            path.unlink()
            drop(folder, "a.png", b"new", age_s=5)
        source.intake.settle(capture)

    assert seen == [b"old", b"new"]
    assert [path.read_bytes() for path in (folder / "archive").iterdir()] == [b"new"]


@pytest.mark.parametrize("name", [".hidden.png", "copy.png.part", "x.tmp", "Thumbs.db", "y.crdownload", "z~"])
def test_files_that_are_none_of_ours_are_left_alone(folder: Path, name: str):
    """Hidden, unfinished and system files are not read."""
    drop(folder, name, b"x", age_s=60)

    assert list(Source(folder).captures(0.3)) == []


def test_a_folder_inside_is_told_once(folder: Path, caplog: pytest.LogCaptureFixture):
    """A folder dropped by mistake is not read, not moved, and not passed over in silence."""
    (folder / "study.png").mkdir()

    assert list(Source(folder).captures(0.8)) == []
    assert [record.message for record in caplog.records] == [
        "a folder inside the watched folder is not read; put the image files themselves there"
    ]
    assert (folder / "study.png").is_dir()


def test_a_folder_that_is_not_there_is_a_configuration_error(tmp_path: Path):
    """The error names the folder."""
    with pytest.raises(ConfigError, match=r"folder to watch .*nowhere"):
        Source(tmp_path / "nowhere")
