"""What systemd is told, over a real datagram socket as systemd listens on."""

import logging
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread

import pytest

from edge.errors import ConfigError
from edge.notify import Pulse, Systemd, hanging_loops, keep_watchdog


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[socket.socket]:
    """Systemd's end."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(20)
        yield listener


@pytest.fixture
def environ(listener: socket.socket) -> dict[str, str]:
    """What systemd sets for a service with a short watchdog."""
    return {"NOTIFY_SOCKET": listener.getsockname(), "WATCHDOG_USEC": "400000"}


def test_lines_arrive_in_one_datagram(listener, environ):
    """READY and STATUS are one message."""
    Systemd.of(environ).say("READY=1", "STATUS=three reports owed")

    assert listener.recv(1000) == b"READY=1\nSTATUS=three reports owed"


def test_an_abstract_address_is_understood():
    """Systemd may name its socket with a leading @."""
    name = f"edge-xray-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(f"\0{name}")
        listener.settimeout(20)

        Systemd.of({"NOTIFY_SOCKET": f"@{name}"}).say("READY=1")

        assert listener.recv(100) == b"READY=1"


def test_without_systemd_nothing_is_said_and_nothing_breaks(tmp_path: Path, caplog):
    """A person who starts the agent has no service manager; one that is gone is worth a warning."""
    Systemd.of({}).say("READY=1")
    assert caplog.text == ""

    Systemd.of({"NOTIFY_SOCKET": str(tmp_path / "gone")}).say("READY=1")

    assert "cannot reach the service manager" in caplog.text


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        ({}, 0.4),
        ({"WATCHDOG_PID": str(os.getpid())}, 0.4),
        ({"WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
    ],
)
def test_a_watchdog_of_another_process_is_not_ours(environ, extra, expected):
    """WATCHDOG_PID says who is meant."""
    found = Systemd.of(environ | extra).watchdog_s

    assert found == expected


@pytest.mark.parametrize("wrong", [{"NOTIFY_SOCKET": "relative"}, {"WATCHDOG_USEC": "soon"}])
def test_what_systemd_never_sets_is_refused(wrong):
    """The message names the variable."""
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        Systemd.of(wrong)


def test_the_watchdog_is_fed_while_every_loop_goes_round_and_starves_when_one_hangs(listener, environ, caplog):
    """A pipeline that hangs is not hidden by a publisher that does not."""
    stop = Event()
    pulses = {"pipeline": Pulse(stop), "publisher": Pulse(stop)}
    hang = Event()

    def go_round() -> None:
        while not stop.wait(0.02):
            pulses["publisher"].is_set()
            if not hang.is_set():
                pulses["pipeline"].is_set()

    loop = Thread(target=go_round)
    feeder = Thread(target=keep_watchdog, args=(Systemd.of(environ), pulses, stop))
    loop.start()
    feeder.start()
    with caplog.at_level(logging.ERROR):
        fed = [listener.recv(100) for _ in range(3)]
        hang.set()
        time.sleep(0.4)
        listener.setblocking(False)
        while True:
            try:
                listener.recv(100)
            except BlockingIOError:
                break
        time.sleep(0.4)
        with pytest.raises(BlockingIOError):
            listener.recv(100)
        stop.set()
        loop.join()
        feeder.join()

    assert fed == [b"WATCHDOG=1"] * 3
    assert "no progress for 0.2 s: pipeline; systemd will start the agent anew" in caplog.text


def test_a_long_wait_is_no_silence():
    """A publisher that waits a minute for its next try is alive all that time."""
    stop = Event()
    pulse = Pulse(stop)
    waiter = Thread(target=pulse.wait, args=(60,))
    waiter.start()

    time.sleep(1.3)

    assert hanging_loops({"publisher": pulse}, 1.2) == ""
    pulse.set()
    waiter.join(timeout=5)
    assert not waiter.is_alive()


def test_a_wait_ends_with_its_time_or_with_the_agent():
    """As with the flag itself: False for the time, True for the end."""
    stop = Event()
    pulse = Pulse(stop)

    assert pulse.wait(0.01) is False
    stop.set()
    assert pulse.wait(60) is True
