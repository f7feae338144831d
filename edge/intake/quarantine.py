"""What could not be read and was set aside, with the reason: for the clinic's page, for counts, for a person."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

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
