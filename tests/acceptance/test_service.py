"""The agent as a service: what a real agent tells the service manager, and Home Assistant."""

import json
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[socket.socket]:
    """The socket on which systemd would listen."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(30)
        yield listener


def test_the_agent_is_ready_before_any_broker_answers_and_then_shows_progress(
    agent, systemd: socket.socket, demo_bundle: Path, tmp_path: Path
):
    """READY, WATCHDOG while its loops go round, STOPPING at the end: with nobody at the broker's address."""
    watched = tmp_path / "in"
    watched.mkdir()
    environ = {"NOTIFY_SOCKET": systemd.getsockname(), "WATCHDOG_USEC": "2000000"}

    box = agent(
        "--broker", "127.0.0.1:1", "--model", demo_bundle, "--watch", watched, "--first-contact-s", "0", env=environ
    )

    assert systemd.recv(1000).startswith(b"READY=1\nSTATUS=classifies with phantom-mobilenet@")
    assert [systemd.recv(1000) for _ in range(3)] == [b"WATCHDOG=1"] * 3
    assert box.end() == 0
    said = [systemd.recv(1000)]
    while said[-1] == b"WATCHDOG=1":
        said.append(systemd.recv(1000))
    assert said[-1] == b"STOPPING=1"


def test_home_assistant_finds_the_box_and_loses_it_when_told_to(agent, mosquitto, demo_bundle: Path, tmp_path: Path):
    """The announcement is retained by a real broker, and gone after a start without it."""
    watched = tmp_path / "in"
    watched.mkdir()
    options = ("--broker", mosquitto.address, "--model", demo_bundle, "--watch", watched, "--device", "box-1")
    topic = "homeassistant/device/edge-agent/box-1/config"

    box = agent(*options, env={"EDGE_AGENT_HOMEASSISTANT_ENABLED": "true"})
    announced = retained(mosquitto.port, topic, lambda payload: payload)
    assert box.end() == 0
    agent(*options)

    assert json.loads(announced)["device"]["identifiers"] == ["edge_agent_clinic_box-1"]
    retained(mosquitto.port, topic, lambda payload: not payload)


def retained(port: int, topic: str, wanted: Callable[[bytes], object], timeout_s: float = 20) -> bytes:
    """What the broker keeps under a topic, once it is as wanted; empty where it keeps nothing."""
    deadline_s = time.monotonic() + timeout_s
    while True:
        got: list[bytes] = []
        subscribed = Event()
        client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        client.on_message = lambda _c, _u, message, got=got: got.append(message.payload)
        client.on_subscribe = lambda *_, subscribed=subscribed: subscribed.set()
        client.connect("127.0.0.1", port)
        client.subscribe(topic, qos=1)
        client.loop_start()
        subscribed.wait(5)
        time.sleep(0.2)
        client.disconnect()
        client.loop_stop()
        payload = got[-1] if got else b""
        if wanted(payload):
            return payload
        assert time.monotonic() < deadline_s, payload
