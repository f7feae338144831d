"""What is done to an agent from inside: killed, or lied to by its disk or its clock, at an exact place.

A place is a call that changes something outside the process: a statement that writes to a SQLite file, a sync, a
rename, a file made, a message handed to the broker or acknowledged. They are numbered in the order in which a run
comes to them, whichever thread it is in; a plan names a number.
"""

import errno
import io
import os
import signal
import sqlite3
import stat
import sys
import time
from collections.abc import Callable
from datetime import datetime
from functools import partial
from threading import Lock
from typing import Any, Literal, TypeVar

import msgspec
from shim import Call

Result = TypeVar("Result")
CRASHED = 99
"""What an agent ends with after an error that nobody foresaw; no command of ours does."""
SQLITE_SAYS = {errno.ENOSPC: "database or disk is full", errno.EIO: "disk I/O error"}
_WRITING = ("INSERT", "UPDATE", "DELETE", "COMMIT", "CREATE", "ALTER")


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """One run of the agent.

    Attributes:
        arguments: The agent's.
        log: Its stderr goes here.
        ledger: One line for each thing that was done to a run.
        kill_at: SIGKILL at this place.
        side: Before the call, or after it has done its work.
        fail_at: The disk fails at this place,
        fail_on: and at every later one.
        error: As this.
        clock_shift_s: The clock jumps by this,
        clock_after_s: so long after the start.
        call: Instead of all that, what happens at a call of the C library.
    """

    arguments: list[str]
    log: str
    ledger: str
    kill_at: int = 0
    side: Literal["before", "after"] = "before"
    fail_at: int = 0
    fail_on: bool = False
    error: int = 0
    clock_shift_s: float = 0.0
    clock_after_s: float = 0.0
    call: Call | None = None


class Places:
    """Counts the places that this process comes to, and does what the plan says there."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._lock = Lock()
        self._count = 0
        self._ledger = os.open(plan.ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self._write = os.write

    def come_to(self, name: str, call: Callable[[], Result], failure: Callable[[int], Exception] | None) -> Result:
        """Do a call, or what the plan has in its place."""
        with self._lock:
            self._count += 1
            number = self._count
        plan = self._plan
        killed = number == plan.kill_at
        failed = failure is not None and (number == plan.fail_at or (plan.fail_on and 0 < plan.fail_at < number))
        if plan.side == "before":
            if killed:
                self._die(name)
            if failed:
                self._fail(name, failure)
        result = call()
        if plan.side == "after":
            if killed:
                self._die(name)
            if failed:
                self._fail(name, failure)
        return result

    def _note(self, what: str, name: str) -> None:
        self._write(self._ledger, f"{what} {self._plan.side} {name}\n".encode())

    def _die(self, name: str) -> None:
        self._note("killed", name)
        os.kill(os.getpid(), signal.SIGKILL)

    def _fail(self, name: str, failure: Callable[[int], Exception]) -> None:
        self._note(errno.errorcode[self._plan.error], name)
        raise failure(self._plan.error)


def os_failure(number: int) -> OSError:
    """As the kernel reports it."""
    return OSError(number, os.strerror(number))


def install(plan: Plan) -> None:
    """Put the plan between this process's agent and the world."""
    places = Places(plan)
    _between_agent_and_database(places)
    _between_agent_and_files(places)
    _between_agent_and_broker(places)
    if plan.clock_shift_s:
        _between_agent_and_clock(plan)


def _between_agent_and_database(places: Places) -> None:
    class Connection(sqlite3.Connection):
        def execute(self, statement: str, values: Any = ()) -> sqlite3.Cursor:
            word = statement.split(maxsplit=1)[0]
            if word not in _WRITING:
                return super().execute(statement, values)
            return places.come_to(
                f"SQLite {word}",
                lambda: super(Connection, self).execute(statement, values),
                lambda number: sqlite3.OperationalError(SQLITE_SAYS[number]),
            )

    connect = sqlite3.connect
    sqlite3.connect = lambda *args, **kwargs: connect(*args, factory=Connection, **kwargs)


def _between_agent_and_files(places: Places) -> None:
    fsync, rename, write, opened = os.fsync, os.rename, os.write, io.open

    def counted_write(descriptor: int, content: Any) -> int:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return write(descriptor, content)
        return places.come_to("write", lambda: write(descriptor, content), os_failure)

    def counted_open(file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        if isinstance(file, int) or not set(mode) & set("wxa"):
            return opened(file, mode, *args, **kwargs)
        return places.come_to("open for writing", lambda: opened(file, mode, *args, **kwargs), os_failure)

    os.fsync = lambda descriptor: places.come_to("fsync", lambda: fsync(descriptor), os_failure)
    os.rename = lambda source, target: places.come_to("rename", lambda: rename(source, target), os_failure)
    os.write = counted_write
    for name in ("pwrite", "ftruncate", "fdatasync"):
        real = getattr(os, name)
        counted = partial(_counted, places, name, real)
        setattr(os, name, counted)
    io.open = counted_open


def _counted(places: Places, name: str, real: Callable[..., Result], *args: Any) -> Result:
    return places.come_to(name, lambda: real(*args), os_failure)


def _between_agent_and_broker(places: Places) -> None:
    from edge.mqtt.broker import Line  # noqa: PLC0415 - after the interpreter is warm

    publish, acknowledge = Line.publish, Line.acknowledge
    Line.publish = lambda self, topic, payload, *, retain=False: places.come_to(
        f"publish {topic.split('/')[4]}", lambda: publish(self, topic, payload, retain=retain), None
    )
    Line.acknowledge = lambda self, message: places.come_to("acknowledge", lambda: acknowledge(self, message), None)


def _between_agent_and_clock(plan: Plan) -> None:
    real, started_s = time.time, time.monotonic()

    def shifted() -> float:
        jumped = time.monotonic() - started_s >= plan.clock_after_s
        return real() + plan.clock_shift_s if jumped else real()

    class Shifted(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime.fromtimestamp(shifted(), tz)

        @classmethod
        def fromisoformat(cls, text: str) -> datetime:
            return datetime.fromisoformat(text)

    time.time = shifted
    for name, module in list(sys.modules.items()):
        if name.startswith("edge.") and getattr(module, "datetime", None) is datetime:
            module.datetime = Shifted
