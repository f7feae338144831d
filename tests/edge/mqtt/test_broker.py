"""Waiting on a line to the broker."""

import os
import signal
import time
from collections.abc import Iterator
from threading import Timer

import pytest

from edge.mqtt.broker import Line
from edge.settings.config import BrokerConfig


@pytest.fixture
def slow_signal() -> Iterator[int]:
    """A signal whose handler takes a fifth of a second."""
    before = signal.signal(signal.SIGUSR1, lambda *_: time.sleep(0.2))
    yield signal.SIGUSR1
    signal.signal(signal.SIGUSR1, before)


@pytest.mark.timeout(20)
def test_a_signal_in_the_midst_of_a_wait_does_not_make_it_last_for_ever(slow_signal: int):
    """The wait is over after its tenth of a second, though the handler took longer than was left of it."""
    line = Line(BrokerConfig(address="127.0.0.1:1883"), client_id="box")
    Timer(0.05, os.kill, (os.getpid(), slow_signal)).start()
    started_s = time.monotonic()

    assert line.next_event(0.1) is None
    assert time.monotonic() - started_s < 5
