"""What the agent tells systemd: that it is ready, that it makes progress, and how it is (sd_notify(3)).

Invariant: the watchdog is told of progress only while every loop of the agent goes round. A loop that hangs makes
systemd start the agent anew; nothing is lost by that, because the outbox holds what is owed.
"""

import faulthandler
import logging
import os
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event, Thread
from typing import Final, Self

from edge.errors import ConfigError

_LOOK_S: Final = 1.0
"""A wait is cut into pieces of this length, so that whoever waits still shows that it is alive."""

log = logging.getLogger(__name__)


class Pulse(Event):
    """The agent's stop flag as one loop sees it: it notes when the loop last asked.

    Every loop asks at each turn, so a loop that has not asked for long hangs.

    Args:
        stop: The flag all loops share.
    """

    def __init__(self, stop: Event) -> None:
        super().__init__()
        self._stop = stop
        self._asked_s = time.monotonic()

    @property
    def silent_s(self) -> float:
        """Seconds since the loop last asked."""
        return time.monotonic() - self._asked_s

    def is_set(self) -> bool:
        """Whether the loop is to end."""
        self._asked_s = time.monotonic()
        return self._stop.is_set()

    def set(self) -> None:
        """End all loops."""
        self._stop.set()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the end, or for so many seconds."""
        deadline_s = None if timeout is None else time.monotonic() + timeout
        while not self.is_set():
            left_s = _LOOK_S if deadline_s is None else deadline_s - time.monotonic()
            if left_s <= 0:
                return False
            self._stop.wait(min(left_s, _LOOK_S))
        return True


@dataclass(frozen=True, slots=True)
class Systemd:
    """The service manager that started this process, if one did.

    Attributes:
        address: Of its socket; None where nobody listens.
        watchdog_s: It expects word at least this often; None where it does not.
    """

    address: str | None = None
    watchdog_s: float | None = None

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Self:
        """What NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID say.

        Raises:
            ConfigError: One of them is not what systemd sets.
        """
        address = environ.get("NOTIFY_SOCKET") or None
        if address is not None and address[0] not in "/@":
            raise ConfigError(f"NOTIFY_SOCKET must begin with / or @, got {address!r}; systemd sets it")
        usec = environ.get("WATCHDOG_USEC", "")
        if usec and not usec.isdecimal():
            raise ConfigError(f"WATCHDOG_USEC must be a number, got {usec!r}; systemd sets it")
        is_ours = environ.get("WATCHDOG_PID", "") in {"", str(os.getpid())}
        return cls(address, int(usec) / 1e6 if usec and int(usec) and is_ours and address else None)

    def say(self, *lines: str) -> None:
        """Send `READY=1`, `WATCHDOG=1`, `STOPPING=1`, `STATUS=...`; without a service manager nothing is sent."""
        if self.address is None:
            return
        address = "\0" + self.address[1:] if self.address[0] == "@" else self.address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as line:
                line.sendto("\n".join(lines).encode(), address)
        except OSError as error:
            log.warning("cannot reach the service manager: %s", error.strerror)


def keep_watchdog(systemd: Systemd, pulses: Mapping[str, Pulse], stop: Event) -> None:
    """Tell systemd's watchdog of progress until stopped, as long as there is progress.

    Args:
        systemd: Without a watchdog this returns at once.
        pulses: Each loop's, by a name for the log.
        stop: Ends this.
    """
    if systemd.watchdog_s is None:
        return
    told = False
    while not stop.wait(systemd.watchdog_s / 4):
        hanging = hanging_loops(pulses, systemd.watchdog_s / 2)
        if not hanging:
            systemd.say("WATCHDOG=1")
        elif not told:
            log.error("no progress for %g s: %s; systemd will start the agent anew", systemd.watchdog_s / 2, hanging)
        told = bool(hanging)


@contextmanager
def under_watch(systemd: Systemd, pulses: Mapping[str, Pulse], stop: Event, *, status: str) -> Iterator[None]:
    """Say that the agent is ready, and go on telling of its progress; leaving says that it ends.

    Args:
        systemd: Who is told.
        pulses: Each loop's, by a name for the log.
        stop: Set on leaving, whatever happened.
        status: What `systemctl status` shows.
    """
    faulthandler.enable()  # the watchdog ends a hanging agent with SIGABRT: the journal then shows where it hung
    thread = Thread(target=keep_watchdog, args=(systemd, pulses, stop), name="watchdog")
    thread.start()
    systemd.say("READY=1", f"STATUS={status}")
    try:
        yield
    finally:
        systemd.say("STOPPING=1")
        stop.set()
        thread.join()


def hanging_loops(pulses: Mapping[str, Pulse], longest_s: float) -> str:
    """The names of the loops that have not gone round for so long, with commas; empty where all have."""
    return ", ".join(name for name, pulse in pulses.items() if pulse.silent_s > longest_s)
