"""What was set aside, with the reason: for the clinic's page, for counts, for a person, who may have it tried again."""

import logging
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from edge.study import sha256_of

QUARANTINE: Final = "quarantine"
"""The folder inside a watched one where such files lie."""
_REASON: Final = ".reason.txt"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A file that was set aside.

    Attributes:
        name: The file's name; it may hold a patient's, so it is shown to the clinic only.
        reason: Why, in a sentence for the person who sent it.
        at: When, aware UTC.
        folder: The watched folder it came from.
    """

    name: str = field(repr=False)
    reason: str
    at: datetime
    folder: Path = field(repr=False)

    @property
    def id(self) -> str:
        """16 hex digits that stand for the file where its name must not be told."""
        return sha256_of(os.fsencode(self.place))[:16]

    @property
    def place(self) -> Path:
        """Where it lies."""
        return self.folder / QUARANTINE / self.name


def reason_path(place: Path) -> Path:
    """Where the reason lies for a file in quarantine."""
    return place.with_name(place.name + _REASON)


def list_quarantine(folders: Iterable[Path]) -> list[Quarantined]:
    """Everything in the folders' quarantines that still lies there beside its reason, newest first."""
    found = []
    for folder in folders:
        for path in sorted((folder / QUARANTINE).glob(f"*{_REASON}")):
            file = path.with_name(path.name.removesuffix(_REASON))
            try:
                if not file.exists():
                    continue  # a person has looked after it
                reason, changed_s = path.read_text(encoding="utf-8", errors="replace").strip(), path.stat().st_mtime
            except OSError as error:
                log.warning("cannot read a file in quarantine (%s)", error.strerror)
                continue
            found.append(Quarantined(file.name, reason, datetime.fromtimestamp(changed_s, UTC), folder))
    return sorted(found, key=lambda quarantined: quarantined.at, reverse=True)


def try_again(folders: Iterable[Path], file_id: str) -> bool:
    """Move a file back to the folder it came from, where a running agent takes it up.

    It counts as new: what happened while it was in hand is held against a name, size and time of change
    (`edge.decoding.attempts`), and the last is set anew.

    Returns:
        False where no such file is set aside.

    Raises:
        OSError: It cannot be moved; it is still set aside.
    """
    file = next((file for file in list_quarantine(folders) if file.id == file_id), None)
    if file is None:
        return False
    target = file.folder / file.name
    if target.exists():  # another image has come under the same name
        target = target.with_name(f"{target.stem}-{file.id}{target.suffix}")
    os.utime(file.place)
    file.place.rename(target)
    reason_path(file.place).unlink(missing_ok=True)
    return True
