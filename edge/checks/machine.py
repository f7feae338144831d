"""The box itself: watched folders, state folder, disk and clock."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from edge.checks.check import Check
from edge.clock import clock_synced
from edge.errors import ConfigError
from edge.intake.quarantine import list_quarantine
from edge.settings.config import AgentConfig

WATCHED: Final = "watched folders"
STATE: Final = "state folder"
DISK: Final = "disk"
CLOCK: Final = "clock"

LEAST_FREE_BYTES: Final = 50_000_000
"""Below this the next update of anything can fill the disk, and then no report can be kept."""
LITTLE_FREE_BYTES: Final = 500_000_000
"""A few thousand radiographs on their way through."""


def watch_checks(config: AgentConfig) -> Iterator[Check]:
    """Whether images can be taken out of each watched folder, and how many were set aside."""
    if not config.watch:
        yield Check.skipped(WATCHED, "no folder is watched")
        return
    folders = [Path(folder) for folder in config.watch]
    for number, folder in enumerate(folders, start=1):
        which = WATCHED if len(folders) == 1 else f"watched folder {number}"
        if not folder.is_dir():
            yield Check.fail(which, "it does not exist", cure=f"make the folder {folder}, or mount what it lies on")
        elif not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
            yield Check.fail(
                which,
                "this user may not read and write it",
                cure=f"run the check as the user that the agent runs as; mind owner and mode of {folder}",
            )
        else:
            yield _quarantine(which, folder)


def _quarantine(which: str, folder: Path) -> Check:
    if aside := len(list_quarantine([folder])):
        return Check.warn(
            which,
            f"images can be taken out of it; {aside} were set aside without a finding",
            cure=f"`edge-agent quarantine list` tells why; the files lie in {folder}/quarantine",
        )
    return Check.ok(which, "images can be taken out of it, none was set aside")


def state_checks(config: AgentConfig) -> Iterator[Check]:
    """Whether a report can be made durable here, and how much room is left."""
    try:
        folder = config.state_dir
    except ConfigError as error:
        yield Check.failed_with(STATE, error)
        yield Check.skipped(DISK, "nobody says where the state lies")
        return
    yield _state(folder)
    yield _disk(folder)


def _state(folder: Path) -> Check:
    there = _existing(folder)
    try:
        with tempfile.TemporaryFile(dir=there) as file:  # has no name, so a crash leaves nothing behind
            file.write(bytes(4096))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return Check.fail(
            STATE,
            f"it cannot be written: {error.strerror}",
            cure=f"run the check as the user that the agent runs as; mind owner and mode of {there}, and the disk",
        )
    return Check.ok(STATE, "it can be written" if there == folder else "the agent can make it")


def _disk(folder: Path) -> Check:
    disk = os.statvfs(_existing(folder))
    free_bytes = disk.f_bavail * disk.f_frsize
    text = f"{free_bytes / 1e9:.1f} GB are free where the state lies"
    cure = "free some space: old images in the archive folders, old logs (`journalctl --vacuum-size=100M`)"
    if free_bytes < LEAST_FREE_BYTES:
        return Check.fail(DISK, text, cure=cure)
    return Check.warn(DISK, text, cure=cure) if free_bytes < LITTLE_FREE_BYTES else Check.ok(DISK, text)


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    return next(path for path in (folder, *folder.absolute().parents) if path.exists())


def clock_check(_: AgentConfig) -> Iterator[Check]:
    """Whether a time server keeps the clock in step."""
    if clock_synced():
        yield Check.ok(CLOCK, "a time server keeps it in step")
    else:
        yield Check.warn(
            CLOCK,
            "no time server keeps it in step; reports say that their times are not to be trusted",
            cure="`timedatectl` shows what is set; let port 123 (NTP) through, or name a time server of the clinic",
        )
