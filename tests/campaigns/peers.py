"""What stands around the agent in a campaign: images, a broker, a bad line to it, and the doctor's real inbox."""

import json
import os
import random
import select
import selectors
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import time
import zlib
from contextlib import closing, suppress
from hashlib import sha256
from pathlib import Path
from threading import Event, Lock, Thread

import msgspec
from faults import Plan

from doctor.accounts import Account
from doctor.reviews import Answer
from doctor.store import Store
from doctor.worklist import Filter
from edge.phantom import phantom

SEARCH_PATH = os.environ["PATH"] + os.pathsep + "/usr/sbin"  # where Debian keeps mosquitto


def free_port() -> int:
    """A port of the loopback interface that nobody has now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def quiet_port() -> int:
    """A free port from below those that the system gives to outgoing connections, so that it also stays free."""
    while True:
        port = random.randint(20_000, 32_000)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


class Images:
    """Makes pictures that differ in a comment alone, and keeps the ledger of what was handed to the box."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._png = phantom(1).png()
        self.dropped: dict[str, str] = {}  # SHA-256 -> name

    def drop(self) -> tuple[Path, str]:
        """Put one more into the folder, as a careful scanner does; return where it is, and its SHA-256."""
        number = len(self.dropped) + 1
        data = b"number\0%d" % number
        chunk = b"tEXt" + data
        comment = struct.pack(">I", len(data)) + chunk + struct.pack(">I", zlib.crc32(chunk))
        content = self._png[:-12] + comment + self._png[-12:]  # before IEND
        name = f"{number:06d}.png"
        partial = self.folder / f".{name}"
        partial.write_bytes(content)
        digest = sha256(content).hexdigest()
        self.dropped[digest] = name
        return partial.rename(self.folder / name), digest


class Agents:
    """The process that forks agents (`agents.py`), one at a time.

    Args:
        environment: Beside this process's own.
    """

    def __init__(self, environment: dict[str, str]) -> None:
        settings = {"BROKER_KEEPALIVE_S": "2", "BROKER_CONNECT_TIMEOUT_S": "2", "ALLOW_UNSIGNED": "true"}
        self._process = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("agents.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1", **environment}
            | {f"EDGE_AGENT_{key}": value for key, value in settings.items()},
        )

    def start(self, plan: Plan) -> int:
        """Fork one; return its process id."""
        self._process.stdin.write(msgspec.json.encode(plan) + b"\n")
        return int(self._process.stdout.readline().split()[1])

    def ended(self, timeout_s: float | None = None) -> int | None:
        """Its exit status, negative after a signal; None where it still runs after so long."""
        if not select.select([self._process.stdout], [], [], timeout_s)[0]:
            return None
        return int(self._process.stdout.readline().split()[1])

    def stop(self) -> None:
        """End the process."""
        self._process.stdin.close()
        self._process.wait()


class Broker:
    """A real mosquitto that keeps everything in memory, so that a kill loses all it has."""

    def __init__(self, folder: Path, *, settings: str = "") -> None:
        self.port = free_port()
        self._config = folder / "mosquitto.conf"
        self._config.write_text(f"listener {self.port} 127.0.0.1\nallow_anonymous true\nlog_dest none\n{settings}")
        self._process: subprocess.Popen[bytes] | None = None
        self.restarts = -1
        self.restart()

    def restart(self) -> None:
        """Kill it, start it again, and wait until it answers."""
        self.stop()
        self.restarts += 1
        self._process = subprocess.Popen(["mosquitto", "-c", self._config], env={**os.environ, "PATH": SEARCH_PATH})
        deadline_s = time.monotonic() + 10
        while time.monotonic() < deadline_s:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return
            time.sleep(0.01)
        raise SystemExit("mosquitto does not answer")

    def stop(self) -> None:
        """Kill it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()


class BadLine:
    """A TCP proxy before the broker that can cut connections, or leave them open and let nothing through."""

    def __init__(self, broker_port: int) -> None:
        self._broker_port = broker_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._lock = Lock()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._silent = Event()
        self.cuts = self.silences = 0
        Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Break every connection, with a reset rather than a farewell."""
        with self._lock:
            pairs, self._pairs = self._pairs, []
        self.cuts += len(pairs)
        for pair in pairs:
            for end in pair:
                with suppress(OSError):  # the other side may have closed it
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    end.shutdown(socket.SHUT_RDWR)
                    end.close()

    def fall_silent(self) -> None:
        """Keep every connection open, and pass on nothing more of it."""
        self.silences += 1
        self._silent.set()

    def recover(self) -> None:
        """Break what fell silent; new connections work."""
        if self._silent.is_set():
            self._silent.clear()
            self.cut()

    def _accept(self) -> None:
        while True:
            near, _ = self._listener.accept()
            try:
                far = socket.create_connection(("127.0.0.1", self._broker_port), timeout=2)
            except OSError:
                near.close()
                continue
            with self._lock:
                self._pairs.append((near, far))
            Thread(target=self._pump, args=(near, far), daemon=True).start()

    def _pump(self, near: socket.socket, far: socket.socket) -> None:
        other = {near: far, far: near}
        with suppress(OSError, ValueError), selectors.DefaultSelector() as selector:
            for end in other:
                selector.register(end, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select(1):
                    content = key.fileobj.recv(65536)
                    if not content:
                        return
                    if not self._silent.is_set():
                        other[key.fileobj].sendall(content)
        for end in other:
            with suppress(OSError):
                end.close()


class Doctor:
    """The real `edge-doctor watch`, and the ledger of what it has shown and stored."""

    def __init__(self, folder: Path, broker_port: int) -> None:
        self._store = folder / "inbox.sqlite3"
        self.shown: list[str] = []
        self._log = (folder / "doctor.log").open("w")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "doctor.cli", "watch", "--broker", f"127.0.0.1:{broker_port}", "--json",
             "--store", self._store],
            stdout=subprocess.PIPE, stderr=self._log, text=True,
        )  # fmt: skip
        Thread(target=self._read, daemon=True).start()
        deadline_s = time.monotonic() + 30
        while "connected to the broker" not in (folder / "doctor.log").read_text():
            if time.monotonic() > deadline_s:
                raise SystemExit("the doctor's end does not connect")
            time.sleep(0.05)

    def _read(self) -> None:
        for line in self._process.stdout or ():
            self.shown.append(json.loads(line)["picture"]["sha256"])

    def stored(self) -> list[tuple[str, bool]]:
        """Of each report in the store its id, and whether its picture is there, too."""
        with closing(sqlite3.connect(f"file:{self._store}?mode=ro", uri=True)) as store:
            return [
                (report_id, bool(picture)) for report_id, picture in store.execute("SELECT id, has_preview FROM report")
            ]

    def stop(self) -> None:
        """End it in order."""
        self._process.send_signal(signal.SIGTERM)
        self._process.wait()
        self._log.close()


class Reader(Thread):
    """Somebody who opens and answers what comes, in the inbox's own store."""

    def __init__(self, folder: Path) -> None:
        super().__init__(daemon=True)
        self._place = str(folder / "inbox.sqlite3")
        self._ended = Event()
        self.start()

    def run(self) -> None:
        """Read until told to end."""
        account, answered = Account("ada", "Dr. Ada Reader"), set[int]()
        with Store.open(self._place) as store:
            while not self._ended.wait(0.05):
                for item in store.worklist(Filter(), limit=20).items:
                    if item.number not in answered:
                        revision = store.open_report(item.number, account).revision
                        store.answer(item.number, Answer(verdict="agree"), account, revision)
                        answered.add(item.number)

    def stop(self) -> None:
        """Stop reading."""
        self._ended.set()
        self.join()
