"""Watched folders, state folder, disk and clock of this very machine."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import edge.checks.machine
from edge.checks.check import Check
from edge.checks.machine import clock_check, state_checks, watch_checks
from edge.settings.config import AgentConfig


def one(checks: Iterator[Check], name: str) -> Check:
    """The check of that name."""
    return next(check for check in checks if check.name == name)


def test_a_folder_that_can_be_used_is_all_right(tmp_path: Path):
    """Nothing was set aside."""
    (check,) = watch_checks(AgentConfig(watch=(str(tmp_path),)))

    assert (check.name, check.state) == ("watched folders", "ok")


def test_each_of_several_folders_is_looked_at(tmp_path: Path):
    """By number, because a folder's name may be a patient's; the cure, which stays here, names it."""
    (tmp_path / "there").mkdir()
    config = AgentConfig(watch=(str(tmp_path / "there"), str(tmp_path / "meier")))

    there, absent = watch_checks(config)

    assert (there.name, there.state.value) == ("watched folder 1", "ok")
    assert (absent.name, absent.state.value) == ("watched folder 2", "fail")
    assert "meier" not in absent.text
    assert "meier" in absent.cure


def test_images_that_were_set_aside_are_counted(tmp_path: Path):
    """Their reasons lie beside them."""
    (tmp_path / "quarantine").mkdir()
    for name in ("a.png", "a.png.reason.txt", "b.dcm", "b.dcm.reason.txt"):
        (tmp_path / "quarantine" / name).write_text("x")

    (check,) = watch_checks(AgentConfig(watch=(str(tmp_path),)))

    assert check.state == "warn"
    assert "; 2 were set aside without a finding" in check.text


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_of_somebody_else_is_refused(tmp_path: Path):
    """For the user that runs the check."""
    (tmp_path / "in").mkdir(mode=0o500)

    (check,) = watch_checks(AgentConfig(watch=(str(tmp_path / "in"),)))

    assert check.state == "fail"


def test_a_state_folder_is_tried_and_left_as_it_was(tmp_path: Path):
    """One that is there, and one that the agent will make."""
    for folder, said in ((tmp_path, "it can be written"), (tmp_path / "a" / "b", "the agent can make it")):
        check = one(state_checks(AgentConfig(state=str(folder))), "state folder")

        assert (check.state.value, check.text) == ("ok", said)
    assert list(tmp_path.iterdir()) == []


def test_a_state_folder_that_cannot_be_written_fails(tmp_path: Path):
    """Here a file stands where the folder should be."""
    (tmp_path / "file").write_text("x")

    check = one(state_checks(AgentConfig(state=str(tmp_path / "file"))), "state folder")

    assert check.state == "fail"
    assert "Not a directory" in check.text


def test_nobody_says_where_the_state_lies(monkeypatch: pytest.MonkeyPatch):
    """Neither a state folder nor a watched one."""
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)

    assert [check.state.value for check in state_checks(AgentConfig())] == ["fail", "skipped"]


@pytest.mark.parametrize(("free_mb", "state"), [(10, "fail"), (200, "warn"), (5000, "ok")])
def test_a_full_disk_is_told_in_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, free_mb: int, state: str):
    """Before no report can be kept any more."""
    real = os.statvfs(tmp_path)
    disk = os.statvfs_result([1_000_000, 1_000_000, *list(real)[2:4], free_mb, *list(real)[5:]])
    monkeypatch.setattr(edge.checks.machine.os, "statvfs", lambda _: disk)

    assert one(state_checks(AgentConfig(state=str(tmp_path))), "disk").state == state


@pytest.mark.parametrize(("synced", "state"), [(True, "ok"), (False, "warn")])
def test_a_clock_of_its_own_is_warned_of(monkeypatch: pytest.MonkeyPatch, synced: bool, state: str):  # noqa: FBT001 - a table's column
    """Reports say so, too."""
    monkeypatch.setattr(edge.checks.machine, "clock_synced", lambda: synced)

    (check,) = clock_check(AgentConfig())

    assert check.state == state
