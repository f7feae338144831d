"""What Home Assistant is told, read as it reads it: with Jinja over the wire's own golden messages."""

import json
from pathlib import Path

import jinja2
import pytest

from edge.delivery.home_assistant import announcements, topic_of
from edge.outbox.outbox import Outbox
from edge.settings.page import HomeAssistantConfig
from edge.wire.topics import Address

GOLDEN = Path(__file__).parents[1] / "golden"
ADDRESS = Address("xray", "hill.clinic", "box-1")
TOPIC = "homeassistant/device/edge-agent/box-1/config"


@pytest.fixture
def told(tmp_path: Path):
    """Tell what a box announces, again and again with one outbox."""
    with Outbox(tmp_path / "outbox.sqlite3") as outbox:
        yield lambda **config: announcements(
            HomeAssistantConfig(**config), ADDRESS, model="m@1", version="1.0", outbox=outbox
        )


def value(template: str, document: dict) -> str:
    """What Home Assistant makes of a message."""
    return (
        jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=True)
        .from_string(template)
        .render(value_json=document)
    )


def test_every_entity_reads_its_value_out_of_the_health_that_boxes_publish(told):
    """Each template finds its field, and a box that is well has no problem."""
    health = json.loads((GOLDEN / "health.json").read_text())
    well = health | {"unanswered": 0, "refusing": None, "clock_synced": True}
    ill = health | {"unanswered": 2, "refusing": "the disk is full", "clock_synced": False}

    device = json.loads(told(enabled=True)[TOPIC])

    for key, about in device["components"].items():
        assert about["state_topic"] == ADDRESS.health
        if about["platform"] == "sensor":
            assert value(about["value_template"], health) == str(health[key])
        else:
            states = [value(about["value_template"], each) for each in (well, ill)]
            assert (about["device_class"], states) == ("problem", ["OFF", "ON"])


def test_availability_is_the_box_s_own_status(told):
    """A box that was stopped, or whose line broke, is unavailable."""
    device = json.loads(told(enabled=True)[TOPIC])

    [availability] = {json.dumps(about["availability"]) for about in device["components"].values()}
    [availability] = json.loads(availability)
    assert availability["topic"] == ADDRESS.status
    states = [value(availability["value_template"], {"state": state}) for state in ("online", "stopped", "offline")]
    assert states == ["online", "offline", "offline"]


def test_identifiers_are_unique_and_of_letters_home_assistant_takes(told):
    """Dots are not among them."""
    device = json.loads(told(enabled=True)[TOPIC])

    ids = [about["unique_id"] for about in device["components"].values()]
    assert len(ids) == len(set(ids)) == 8
    assert all(part.replace("_", "").replace("-", "").isalnum() for part in ids)
    assert topic_of("ha", Address("xray", "a", "b.c")) == "ha/device/edge-agent/b_c/config"


def test_it_is_off_by_default_and_then_nothing_is_said(told):
    """Not even an empty message."""
    assert told() == {}


def test_switching_it_off_or_moving_it_takes_the_announcement_back(told):
    """An empty retained message under each earlier topic, on every connection from then on."""
    told(enabled=True)
    moved = told(enabled=True, prefix="ha")

    assert {topic: bool(payload) for topic, payload in moved.items()} == {
        TOPIC: False, "ha/device/edge-agent/box-1/config": True,
    }  # fmt: skip
    assert told() == {TOPIC: b"", "ha/device/edge-agent/box-1/config": b""}
    assert json.loads(told(enabled=True)[TOPIC])["qos"] == 1
