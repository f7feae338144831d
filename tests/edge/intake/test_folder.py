"""A file leaves the watched folder only with its report durable, or with a reason beside it."""

import os
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from threading import Event, Thread

import pytest

from edge.decoding.attempts import Attempts
from edge.errors import ConfigError, PoisonError, UnreadableImageError
from edge.intake.folder import FolderIntake, Watched, check_watchable
from edge.study import Capture, sha256_of

SETTLE_S = 0.3
PATIENCE_S = 1.0
REASON = UnreadableImageError("expected a picture, got a text")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A watched folder."""
    folder = tmp_path / "in"
    folder.mkdir()
    return folder


class Read:
    """A file that came, with its content as it was then."""

    def __init__(self, arrival) -> None:
        self.arrival = arrival
        self.content = arrival.path.read_bytes()
        self.capture = Capture(arrival, sha256_of(self.content), None)


class Source:
    """An intake whose arrivals end after a while, so that a test cannot hang."""

    def __init__(self, *folders: Path, attempts: Attempts | None = None, shared: bool = True) -> None:
        watched = [
            Watched(folder, settle_s=SETTLE_S if shared else 0, patience_s=PATIENCE_S, shared=shared)
            for folder in folders
        ]
        self.intake = FolderIntake(watched, device="box-1", attempts=attempts or Attempts(folders[0].parent))

    def reads(self, for_s: float) -> Iterator[Read]:
        """What arrives within some seconds."""
        stop = Event()
        Thread(target=lambda: (time.sleep(for_s), stop.set()), daemon=True).start()
        return (Read(arrival) for arrival in self.intake.arrivals(stop) if arrival is not None)

    def settle_all(self, for_s: float) -> list[bytes]:
        """Settle what arrives within some seconds, as the pipeline does."""
        contents = []
        for read in self.reads(for_s):
            if (claimed := self.intake.claim(read.capture)) is not None:
                contents.append(read.content)
                self.intake.settle(claimed, self.intake.archive_place(claimed))
        return contents

    def settle(self, read: Read) -> None:
        """Settle one."""
        claimed = self.intake.claim(read.capture)
        self.intake.settle(claimed, self.intake.archive_place(claimed))


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

    reads = Source(folder).reads(0.2)

    assert [read.content for read in reads] == [b"older", b"newer"]


def test_a_settled_file_moves_to_the_archive(folder: Path):
    """Settling moves the original, and it does not come again."""
    drop(folder, "a.png", b"image", age_s=10)

    assert Source(folder).settle_all(0.6) == [b"image"]

    assert (folder / "archive" / "a.png").read_bytes() == b"image"
    assert not (folder / "a.png").exists()


def test_a_file_that_is_not_settled_stays(folder: Path):
    """Until its report is durable the original is where it was, and comes once."""
    drop(folder, "a.png", b"image", age_s=10)

    reads = list(Source(folder).reads(0.8))

    assert len(reads) == 1
    assert (folder / "a.png").exists()


def test_a_claimed_file_is_out_of_the_way_and_comes_first_after_a_crash(folder: Path):
    """Between claim and settling nobody else sees the image under its name; the next run goes on with it."""
    drop(folder, "a.png", b"image", age_s=0)
    source = Source(folder)
    [claimed] = [source.intake.claim(read.capture) for read in source.reads(0.6)]

    assert claimed.arrival.path == folder / "claimed" / "box-1" / "a.png"
    assert Source(folder).settle_all(0.2) == [b"image"]
    assert (folder / "archive" / "a.png").read_bytes() == b"image"


def test_an_image_is_claimed_by_one_box_only(folder: Path):
    """Two boxes on one share read the same file at once; the slower one lets go of it."""
    drop(folder, "a.png", b"image", age_s=10)
    here, there = Source(folder), Source(folder)
    [mine], [other] = list(here.reads(0.2)), list(there.reads(0.2))

    assert here.intake.claim(mine.capture) is not None
    assert there.intake.claim(other.capture) is None


def test_a_claim_never_overwrites_another_image(folder: Path):
    """What a crash left claimed survives a new image under the same name."""
    drop(folder, "a.png", b"first", age_s=10)
    source = Source(folder)
    for read in source.reads(0.2):
        source.intake.claim(read.capture)
    drop(folder, "a.png", b"second", age_s=5)

    assert sorted(Source(folder).settle_all(0.3)) == [b"first", b"second"]
    assert sorted(path.read_bytes() for path in (folder / "archive").iterdir()) == [b"first", b"second"]


def test_two_images_under_one_name_are_both_kept(folder: Path):
    """The archive never overwrites another image."""
    source = Source(folder)
    for content in (b"first", b"second"):
        drop(folder, "a.png", content, age_s=10)
        source.settle_all(0.8)

    assert sorted(path.read_bytes() for path in (folder / "archive").iterdir()) == [b"first", b"second"]


def test_the_same_image_again_replaces_itself_in_the_archive(folder: Path):
    """Under whatever name it comes: the outbox knows where its first copy lies."""
    drop(folder, "a.png", b"image", age_s=10)
    drop(folder, "b.png", b"image", age_s=5)
    source, known = Source(folder), None

    for read in source.reads(0.3):
        claimed = source.intake.claim(read.capture)
        known = source.intake.archive_place(claimed, known=known)
        source.intake.settle(claimed, known)

    assert [path.name for path in (folder / "archive").iterdir()] == ["a.png"]


def test_the_folders_are_only_looked_at_while_no_file_is_on_its_way(folder: Path):
    """Where another thread moves the files, one that it has half moved would be taken for a new one."""
    drop(folder, "a.png", b"a", age_s=60)
    source, stop, steps = Source(folder), Event(), []
    look = source.intake._due
    source.intake._due = lambda: steps.append("look") or look()

    def at_rest() -> None:
        steps.append("rest")
        if steps.count("rest") == 2:
            stop.set()

    for each in source.intake.arrivals(stop, at_rest=at_rest):
        steps += ["nothing due" if each is None else "file"]

    assert steps == ["look", "file", "nothing due", "rest", "look", "nothing due", "rest"]


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
    reads = list(Source(folder).reads(2.2))
    writer.join()

    assert [len(read.content) for read in reads] == [800]


def test_an_old_time_of_change_does_not_hurry_a_file_that_arrives_now(folder: Path):
    """A copy that keeps its original's time, or a share whose clock is wrong, is waited for all the same."""
    source = Source(folder)
    assert list(source.reads(0.1)) == []
    drop(folder, "a.png", b"half", age_s=1000)

    early = [read.content for read in source.reads(0.2)]
    (folder / "a.png").write_bytes(b"whole")
    os.utime(folder / "a.png", (0, 0))
    late = [read.content for read in source.reads(0.8)]

    assert (early, late) == ([], [b"whole"])


def test_a_file_that_cannot_be_decoded_gets_time_to_arrive(folder: Path):
    """A pause of the writer longer than the settling costs nothing: the file comes again once it has changed."""
    path = drop(folder, "slow.png", b"half", age_s=0)
    source = Source(folder)
    seen = []

    for read in source.reads(2.0):
        seen.append(read.content)
        if read.content == b"half":
            assert not source.intake.set_aside(read.arrival, REASON)
            path.write_bytes(b"whole")
        else:
            source.settle(read)

    assert seen == [b"half", b"whole"]
    assert not (folder / "quarantine").exists()


def test_a_bad_file_is_set_aside_with_the_reason(folder: Path):
    """When patience ends the file is in quarantine, unchanged, with the reason beside it."""
    drop(folder, "text.png", b"hello", age_s=60)
    source = Source(folder)

    outcomes = [source.intake.set_aside(read.arrival, REASON) for read in source.reads(PATIENCE_S + 1)]

    assert outcomes == [False, True]
    assert (folder / "quarantine" / "text.png").read_bytes() == b"hello"
    assert (folder / "quarantine" / "text.png.reason.txt").read_text() == "expected a picture, got a text\n"


def test_poison_is_set_aside_at_once(folder: Path):
    """A file that ends processes is not waited for."""
    drop(folder, "bad.png", b"poison", age_s=60)
    source = Source(folder)

    outcomes = [source.intake.set_aside(read.arrival, PoisonError("no")) for read in source.reads(0.3)]

    assert outcomes == [True]


def test_a_file_that_ended_a_process_comes_last(folder: Path):
    """The others need not suffer for it, and it is known by its name's hash across a restart and a claim."""
    drop(folder, "bad.png", b"poison", age_s=60)
    drop(folder, "good.png", b"image", age_s=10)
    [bad, _] = list(Source(folder).reads(0.2))
    attempts = Attempts(folder.parent)
    attempts.blame(bad.arrival.key)

    reads = Source(folder, attempts=Attempts(folder.parent)).reads(0.2)

    assert [read.content for read in reads] == [b"image", b"poison"]


def test_a_file_replaced_after_it_was_read_is_a_new_image(folder: Path):
    """Claiming the old image does not take the new one away."""
    path = drop(folder, "a.png", b"old", age_s=10)
    source = Source(folder)
    seen = []

    for read in source.reads(1.0):
        seen.append(read.content)
        if read.content == b"old":
            path.unlink()
            drop(folder, "a.png", b"new", age_s=5)
            assert source.intake.claim(read.capture) is None
        else:
            source.settle(read)

    assert seen == [b"old", b"new"]
    assert [path.read_bytes() for path in (folder / "archive").iterdir()] == [b"new"]


def test_what_the_spool_holds_comes_at_once_and_needs_no_claim(folder: Path):
    """Nobody else writes there, and files appear whole."""
    drop(folder, "a.dcm", b"image", age_s=0)
    source = Source(folder, shared=False)

    contents = [read.content for read in source.reads(0.5) if source.intake.claim(read.capture) is read.capture]

    assert contents == [b"image"]
    assert not (folder / "claimed").exists()


@pytest.mark.parametrize("name", [".hidden.png", "copy.png.part", "x.tmp", "Thumbs.db", "y.crdownload", "z~"])
def test_files_that_are_none_of_ours_are_left_alone(folder: Path, name: str):
    """Hidden, unfinished and system files are not read."""
    drop(folder, name, b"x", age_s=60)

    assert list(Source(folder).reads(0.3)) == []


def test_a_folder_inside_is_told_once(folder: Path, caplog: pytest.LogCaptureFixture):
    """A folder dropped by mistake is not read, not moved, and not passed over in silence."""
    (folder / "study.png").mkdir()

    assert list(Source(folder).reads(0.8)) == []
    assert [record.message for record in caplog.records] == [
        "a folder inside the watched folder is not read; put the image files themselves there"
    ]
    assert (folder / "study.png").is_dir()


def test_a_folder_that_is_not_there_is_a_configuration_error(tmp_path: Path):
    """The error names the folder."""
    with pytest.raises(ConfigError, match=r"folder to watch .*nowhere"):
        check_watchable([str(tmp_path / "nowhere")])


def test_a_file_that_cannot_be_moved_is_taken_up_again(folder: Path, monkeypatch: pytest.MonkeyPatch):
    """Once the disk takes it, without a new start; the waiting grows from one failure to the next."""
    monkeypatch.setattr("edge.intake.folder.MOVE_AGAIN_S", 0.4)
    drop(folder, "a.png", b"a", age_s=60)
    (folder / "archive").symlink_to("nowhere")  # a folder cannot be made there
    source, tries_s = Source(folder), []

    for read in source.reads(4):
        tries_s.append(time.monotonic())
        if len(tries_s) == 3:
            (folder / "archive").unlink()
        source.settle(read)

    assert (folder / "archive" / "a.png").read_bytes() == b"a"
    first_s, second_s = (later - earlier for earlier, later in pairwise(tries_s))
    assert 0.4 <= first_s < second_s
    assert second_s >= 0.8
