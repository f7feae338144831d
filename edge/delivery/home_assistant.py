"""This box as a device of Home Assistant, announced over the same broker (MQTT discovery, device form of 2024.11).

Only how the box is gets announced: no finding, no picture, nothing of a patient. Availability is the box's own status,
so a box whose line breaks is `unavailable` there by its last will.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from edge.outbox.outbox import Outbox
from edge.settings.page import HomeAssistantConfig
from edge.wire.topics import Address

ANNOUNCED: Final = "announced to Home Assistant"
"""Fact of the outbox: topics of every announcement this box has ever made, a JSON list."""

_SENSORS: Final[Mapping[str, Mapping[str, Any]]] = {
    "owed": {"name": "Reports to confirm", "icon": "mdi:tray-full", "state_class": "measurement"},
    "unanswered": {"name": "Pictures without an answer", "icon": "mdi:doctor", "state_class": "measurement"},
    "quarantined": {"name": "Files set aside", "icon": "mdi:file-alert", "state_class": "measurement"},
    "disk_free_bytes": {
        "name": "Free disk", "device_class": "data_size", "unit_of_measurement": "B", "state_class": "measurement",
        "entity_category": "diagnostic",
    },
    "temperature_c": {
        "name": "Processor", "device_class": "temperature", "unit_of_measurement": "°C", "state_class": "measurement",
        "entity_category": "diagnostic",
    },
}  # fmt: skip
_PROBLEMS: Final[Mapping[str, tuple[str, str]]] = {
    "alarm": ("Pictures wait too long", "value_json.unanswered > 0"),
    "refusing": ("Takes no new pictures", "value_json.refusing is not none"),
    "clock": ("Clock is not set", "not value_json.clock_synced"),
}


def announcements(
    config: HomeAssistantConfig, address: Address, *, model: str, version: str, outbox: Outbox
) -> dict[str, bytes]:
    """What is to be published, retained: the announcement, and nothing under every topic of an earlier one.

    Args:
        config: Whether to announce, and under which prefix.
        address: This box's.
        model: Shown as the device's model.
        version: Shown as the device's software.
        outbox: Remembers what was announced, so that it can be taken back when this is switched off.

    Returns:
        Topic to payload; an empty payload takes a retained one away.
    """
    known = set(msgspec.json.decode(outbox.fact(ANNOUNCED) or "[]", type=list[str]))
    wanted = {}
    if config.enabled:
        wanted[topic_of(config.prefix, address)] = _device(address, model, version)
    if not wanted.keys() <= known:
        outbox.remember(ANNOUNCED, msgspec.json.encode(sorted(known | wanted.keys())).decode())
    return dict.fromkeys(sorted(known - wanted.keys()), b"") | wanted


def topic_of(prefix: str, address: Address) -> str:
    """Where a box is announced; Home Assistant knows no dots there."""
    return f"{prefix}/device/edge-agent/{_slug(address.device)}/config"


def _device(address: Address, model: str, version: str) -> bytes:
    identity = f"edge_agent_{_slug(address.site)}_{_slug(address.device)}"
    shared = {
        "state_topic": address.health,
        "availability": [
            {
                "topic": address.status,
                "value_template": "{{ 'online' if value_json.state == 'online' else 'offline' }}",
            }
        ],
    }
    components = {
        key: {"platform": "sensor", "unique_id": f"{identity}_{key}", "value_template": f"{{{{ value_json.{key} }}}}"}
        | shared | dict(about)
        for key, about in _SENSORS.items()
    } | {
        key: {
            "platform": "binary_sensor", "name": name, "device_class": "problem", "unique_id": f"{identity}_{key}",
            "value_template": f"{{{{ 'ON' if {condition} else 'OFF' }}}}",
        } | shared
        for key, (name, condition) in _PROBLEMS.items()
    }  # fmt: skip
    return msgspec.json.encode(
        {
            "device": {
                "identifiers": [identity],
                "name": f"Chest X-rays {address.site} {address.device}",
                "manufacturer": "edge-xray",
                "model": model,
                "sw_version": version,
            },
            "origin": {"name": "edge-xray", "sw_version": version},
            "components": components,
            "qos": 1,
        }
    )


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]", "_", name)
