"""How the box is, measured when somebody asks: the wire, the clinic's page and `check` tell the same."""

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Final

from edge.clock import clock_synced
from edge.outbox.outbox import Outbox
from edge.wire.messages import Health

THERMAL_ZONE: Final = Path("/sys/class/thermal/thermal_zone0/temp")
"""Thousandths of a degree Celsius, of the processor; Linux' sysfs-api.txt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vitals:
    """What is needed to tell how a box is.

    Attributes:
        state_dir: Where the outbox lies.
        model_id: What runs.
        unanswered_after: A report counts as unanswered after this; None for never.
        count_quarantined: Tells how many files are set aside.
        started_s: Monotonic time of the agent's start.
    """

    state_dir: Path
    model_id: str
    unanswered_after: timedelta | None
    count_quarantined: Callable[[], int]
    started_s: float = field(default_factory=time.monotonic)

    def measure(self, outbox: Outbox) -> Health:
        """How the box is now.

        Raises:
            DatabaseError: The outbox cannot be read.
        """
        now = datetime.now(UTC)
        after = self.unanswered_after
        return Health(
            at=now,
            clock_synced=clock_synced(),
            owed=outbox.count_owed(),
            unanswered=0 if after is None else outbox.count_unanswered(after, now),
            quarantined=self.count_quarantined(),
            refusing=outbox.is_full(),
            disk_free_bytes=shutil.disk_usage(self.state_dir).free,
            temperature_c=temperature_c(),
            uptime_s=round(time.monotonic() - self.started_s, 1),
            version=program_version(),
            model=self.model_id,
        )


def temperature_c(zone: Path = THERMAL_ZONE) -> float | None:
    """Of the processor; None where the machine does not tell."""
    try:
        return int(zone.read_text(encoding="ascii")) / 1000
    except (OSError, ValueError):
        return None


@cache
def program_version() -> str:
    """Of this program."""
    return version("edge-xray")
