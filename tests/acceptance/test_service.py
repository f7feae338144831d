"""The agent as a service: what a real agent tells the service manager."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest


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
