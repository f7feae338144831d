"""What somebody at the clinic should look at: one list for the page, the log, and `edge-agent check`.

Pure but for `watch`, which says in the log when an alarm begins and when it is over. The wire's `Health` carries the
same numbers to the doctor's end.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from threading import Event
from typing import Final

from edge.errors import EdgeXrayError
from edge.mqtt.reconnect import LineState
from edge.wire.messages import Health

LOOK_S: Final = 10.0
LINE_DOWN_FOR: Final = timedelta(minutes=2)
"""A line that is down for less is nothing to tell a person about."""
HOT_C: Final = 80.0
"""From here on a Raspberry Pi slows itself down."""

log = logging.getLogger(__name__)


class Level(StrEnum):
    """How much it matters."""

    NOW = "now"
    """Somebody has to act: a patient may be waiting."""
    SOON = "soon"
    """The technician should look at it."""
    NOTE = "note"
    """Good to know; it settles itself."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """One thing to look at.

    Attributes:
        name: For programs.
        level: How much it matters.
        text: What is the matter, and what to do, in a sentence or two.
    """

    name: str
    level: Level
    text: str


def standing(
    health: Health, line: LineState, *, unanswered_after: timedelta | None, now: datetime
) -> tuple[Alarm, ...]:
    """What is to be looked at now, the most urgent first."""
    found = [
        _refusing(health),
        _unanswered(health, unanswered_after),
        _quarantined(health),
        _hot(health),
        _line(health, line, now),
        _clock(health),
    ]
    order = list(Level)
    return tuple(sorted((alarm for alarm in found if alarm), key=lambda alarm: order.index(alarm.level)))


def watch(look: Callable[[], tuple[Alarm, ...]], stop: Event) -> None:
    """Say in the log when an alarm begins, changes its words, and is over, until stopped."""
    known: dict[str, Alarm] = {}
    while not stop.is_set():
        try:
            now = {alarm.name: alarm for alarm in look()}
        except EdgeXrayError as error:
            log.warning("cannot look for alarms: %s", error)
            now = known
        for name, alarm in now.items():
            if known.get(name) != alarm:
                level = logging.WARNING if alarm.level is Level.NOW else logging.INFO
                log.log(
                    level, "alarm %s: %s", name, alarm.text, extra={"fields": {"alarm": name, "level": alarm.level}}
                )
        for name in known.keys() - now.keys():
            log.info("alarm %s is over", name, extra={"fields": {"alarm": name, "over": True}})
        known = now
        stop.wait(LOOK_S)


def plural(count: int, thing: str) -> str:
    """`1 picture`, `3 pictures`."""
    return f"{count} {thing}{'' if count == 1 else 's'}"


def age(span: timedelta) -> str:
    """A span of time as a person says it: `less than a minute`, `12 minutes`, `3 hours`, `2 days`."""
    seconds = int(span.total_seconds())
    for unit_s, name in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= unit_s:
            return plural(seconds // unit_s, name)
    return "less than a minute"


def _refusing(health: Health) -> Alarm | None:
    if health.refusing is None:
        return None
    return Alarm("refusing", Level.NOW, f"The box takes no new pictures: {health.refusing}.")


def _unanswered(health: Health, after: timedelta | None) -> Alarm | None:
    if not health.unanswered or after is None:
        return None
    have = "has" if health.unanswered == 1 else "have"
    span = f"more than {age(after)}" if after >= timedelta(minutes=1) else "too long"
    text = f"{plural(health.unanswered, 'picture')} {have} had no answer for {span}. Call the doctor."
    return Alarm("unanswered", Level.NOW, text)


def _quarantined(health: Health) -> Alarm | None:
    if not health.quarantined:
        return None
    files, were = plural(health.quarantined, "file"), "was" if health.quarantined == 1 else "were"
    return Alarm("quarantine", Level.SOON, f"{files} {were} set aside without a finding.")


def _hot(health: Health) -> Alarm | None:
    if health.temperature_c is None or health.temperature_c < HOT_C:
        return None
    return Alarm("hot", Level.SOON, f"The box is hot ({health.temperature_c:.0f} °C). Give it air.")


def _line(health: Health, line: LineState, now: datetime) -> Alarm | None:
    if line.is_up or now - line.since < LINE_DOWN_FOR:
        return None
    waits = "report waits here and will go" if health.owed == 1 else "reports wait here and will go"
    then = f"{health.owed} {waits} out once it is back." if health.owed else "New reports wait here until it is back."
    return Alarm("line", Level.SOON, f"No connection to the doctor's side for {age(now - line.since)}. {then}")


def _clock(health: Health) -> Alarm | None:
    if health.clock_synced:
        return None
    return Alarm("clock", Level.NOTE, "The box's clock is not set by a time server: the times shown here may be wrong.")
