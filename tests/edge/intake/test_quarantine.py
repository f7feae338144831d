"""What was set aside is listed with its reason until somebody has looked after it."""

import os
import time
from datetime import UTC, datetime
from pathlib import Path

from edge.intake.quarantine import Quarantined, list_quarantine, reason_path, try_again


def set_aside(folder: Path, name: str, reason: str, at_s: float) -> None:
    """A file in quarantine."""
    place = folder / "quarantine" / name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(b"x")
    reason_path(place).write_text(reason)
    os.utime(reason_path(place), (at_s, at_s))


def test_the_newest_comes_first_and_what_is_gone_is_not_listed(tmp_path: Path):
    """Over several folders, one of which has no quarantine."""
    set_aside(tmp_path / "a", "old.png", "expected a picture\n", 1000)
    set_aside(tmp_path / "b", "new.png", "expected a picture, got a text\n", 2000)
    set_aside(tmp_path / "b", "gone.png", "no", 3000)
    (tmp_path / "b" / "quarantine" / "gone.png").unlink()

    found = list_quarantine([tmp_path / "a", tmp_path / "b", tmp_path / "c"])

    assert found == [
        Quarantined("new.png", "expected a picture, got a text", datetime.fromtimestamp(2000, UTC), tmp_path / "b"),
        Quarantined("old.png", "expected a picture", datetime.fromtimestamp(1000, UTC), tmp_path / "a"),
    ]


def test_its_text_form_names_no_file(tmp_path: Path):
    """A name is often a patient's."""
    set_aside(tmp_path, "Erika.png", "no", 0)

    assert "Erika" not in repr(list_quarantine([tmp_path]))


def test_a_file_that_is_tried_again_is_back_in_its_folder_as_a_new_one(tmp_path: Path):
    """Its time of change is new, so nothing is held against it; of the reason nothing is left."""
    set_aside(tmp_path, "film.png", "the box stopped 3 times", 1000)
    os.utime(tmp_path / "quarantine" / "film.png", (1000, 1000))
    [file] = list_quarantine([tmp_path])

    assert try_again([tmp_path / "other", tmp_path], file.id)

    assert (tmp_path / "film.png").read_bytes() == b"x"
    assert (tmp_path / "film.png").stat().st_mtime > time.time() - 60
    assert list((tmp_path / "quarantine").iterdir()) == []
    assert not try_again([tmp_path], file.id)


def test_a_file_that_is_tried_again_takes_nobody_s_place(tmp_path: Path):
    """The scanner has meanwhile used the name for another picture."""
    set_aside(tmp_path, "film.png", "no", 1000)
    (tmp_path / "film.png").write_bytes(b"another")
    [file] = list_quarantine([tmp_path])

    assert try_again([tmp_path], file.id)

    assert (tmp_path / "film.png").read_bytes() == b"another"
    assert (tmp_path / f"film-{file.id}.png").read_bytes() == b"x"
