"""What somebody at the clinic should look at."""

import logging
from datetime import UTC, datetime, timedelta
from threading import Event

import msgspec
import pytest

from edge import alarm
from edge.alarm import Level, age, standing, watch
from edge.mqtt.reconnect import LineState
from edge.wire.messages import Health

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
WELL = Health(
    at=NOW, clock_synced=True, owed=0, unanswered=0, quarantined=0, disk_free_bytes=10**10, uptime_s=1, version="1",
    model="m",
)  # fmt: skip


def alarms(line: LineState | None = None, **fields: object) -> list[tuple[str, Level, str]]:
    """What stands for a box that is well but for some fields."""
    health = msgspec.structs.replace(WELL, **fields)
    found = standing(health, line or LineState(is_up=True), unanswered_after=timedelta(hours=2), now=NOW)
    return [(each.name, each.level, each.text) for each in found]


def test_a_box_that_is_well_is_silent():
    """Nothing cries wolf."""
    assert alarms() == []


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"unanswered": 1}, ("unanswered", Level.NOW, "1 picture has had no answer for more than 2 hours.")),
        ({"unanswered": 3}, ("unanswered", Level.NOW, "3 pictures have had no answer for more than 2 hours.")),
        ({"refusing": "the disk is full"}, ("refusing", Level.NOW, "The box takes no new pictures: the disk is full.")),
        ({"quarantined": 2}, ("quarantine", Level.SOON, "2 files were set aside without a finding.")),
        ({"temperature_c": 85.2}, ("hot", Level.SOON, "The box is hot (85 °C).")),
        ({"clock_synced": False}, ("clock", Level.NOTE, "The box's clock is not set by a time server")),
    ],
)
def test_each_trouble_has_its_words(fields, expected):
    """Name, level and sentence."""
    [(name, level, text)] = alarms(**fields)

    assert (name, level) == expected[:2]
    assert text.startswith(expected[2])


@pytest.mark.parametrize(
    ("minutes", "owed", "text"),
    [
        (1, 0, None),
        (5, 0, "No connection to the doctor's side for 5 minutes. New reports wait here until it is back."),
        (90, 2, "No connection to the doctor's side for 1 hour. 2 reports wait here and will go out once it is back."),
    ],
)
def test_a_broken_line_is_told_once_it_lasts(minutes, owed, text):
    """A line that is often down is not an alarm each time."""
    line = LineState(is_up=False, since=NOW - timedelta(minutes=minutes))

    assert [words for _, _, words in alarms(line, owed=owed)] == ([] if text is None else [text])


def test_what_cannot_wait_comes_first():
    """Act, then look, then know."""
    found = alarms(clock_synced=False, quarantined=1, unanswered=1)

    assert [level for _, level, _ in found] == [Level.NOW, Level.SOON, Level.NOTE]


@pytest.mark.parametrize(
    ("span", "words"),
    [
        (timedelta(seconds=59), "less than a minute"),
        (timedelta(minutes=1), "1 minute"),
        (timedelta(hours=23, minutes=59), "23 hours"),
        (timedelta(days=3), "3 days"),
        (timedelta(seconds=-5), "less than a minute"),
    ],
)
def test_spans_in_words(span, words):
    """Rounded down, as a person says them."""
    assert age(span) == words


def test_the_log_says_when_an_alarm_begins_and_when_it_is_over(caplog, monkeypatch):
    """Once each, and not at every look."""
    monkeypatch.setattr(alarm, "LOOK_S", 0.0)
    stop = Event()
    looks = [{"unanswered": 1}, {"unanswered": 1}, {}, {}]

    def look() -> tuple[alarm.Alarm, ...]:
        health = msgspec.structs.replace(WELL, **looks.pop(0))
        if not looks:
            stop.set()
        return standing(health, LineState(is_up=True), unanswered_after=timedelta(hours=2), now=NOW)

    with caplog.at_level(logging.INFO, "edge.alarm"):
        watch(look, stop)

    assert [(record.levelname, record.message.split(":")[0]) for record in caplog.records] == [
        ("WARNING", "alarm unanswered"),
        ("INFO", "alarm unanswered is over"),
    ]
