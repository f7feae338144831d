"""Which boxes are there, since when, and what troubles them, in words."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from doctor.clinics import Clinic
from doctor.web import wording
from edge.wire.messages import Health

_LITTLE_DISK_BYTES: Final = 2 * 1024**3
_HOT_C: Final = 80.0
_WORDS: Final = {"online": "online", "stopped": "switched off on purpose", "offline": "offline"}


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxLine:
    """One box as the worklist shows it.

    Attributes:
        site: The clinic.
        device: The box.
        online: Whether it is there.
        words: That in words.
        since: Since when, or None where nobody knows.
        model: The model it runs.
        troubles: What somebody should look after, a sentence each.
    """

    site: str
    device: str
    online: bool
    words: str
    since: datetime | None
    model: str | None
    troubles: tuple[str, ...]


def box_lines(clinics: Iterable[Clinic]) -> list[BoxLine]:
    """The boxes, those that are away first."""
    lines = [
        BoxLine(
            site=clinic.site,
            device=clinic.device,
            online=clinic.state == "online",
            words=_WORDS.get(clinic.state or "", "has not said whether it is there"),
            since=clinic.since,
            model=clinic.model,
            troubles=_troubles(clinic.health) if clinic.health is not None else (),
        )
        for clinic in clinics
    ]
    return sorted(lines, key=lambda line: (line.online, line.site, line.device))


def _troubles(health: Health) -> tuple[str, ...]:
    said = {
        f"Takes no new images: {health.refusing}": health.refusing is not None,
        f"{_counted(health.owed, 'report')} not sent yet": health.owed > 0,
        f"{_counted(health.quarantined, 'file')} that could not be read": health.quarantined > 0,
        "Its clock is not set": not health.clock_synced,
        f"Only {wording.size(health.disk_free_bytes)} of disk left": health.disk_free_bytes < _LITTLE_DISK_BYTES,
        f"{health.temperature_c or 0:.0f} °C: it may slow down": (health.temperature_c or 0) >= _HOT_C,
    }
    return tuple(words for words, applies in said.items() if applies)


def _counted(count: int, thing: str) -> str:
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"
