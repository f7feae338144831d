"""What all tests share: real images where they are, a bundle, and the real commands as processes."""

import os
import queue
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib.resources import files
from pathlib import Path
from threading import Thread
from typing import Any

import psycopg
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from edge.phantom import phantom

SHARED = Path(__file__).resolve().parents[2] / "shared"
SEARCH_PATH = os.environ["PATH"] + os.pathsep + "/usr/sbin"  # where Debian keeps mosquitto


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real X-rays and pretrained weights beside the repository; absent for most people."""
    if not (SHARED / "data").is_dir():
        pytest.skip("needs the real X-rays and weights in shared/ beside the repository; none are part of it")
    return SHARED


@pytest.fixture(scope="session")
def demo_bundle() -> Path:
    """The committed bundle of the demo, as a file."""
    return Path(str(files("edge") / "demo-model.bundle"))


class Process:
    """A real command as a process, its output lines readable with a timeout."""

    def __init__(self, *command: str, env: dict[str, str] | None = None) -> None:
        self.started_s = time.monotonic()
        self.popen = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PATH": SEARCH_PATH, **(env or {})},
        )
        self.out: list[str] = []
        self.err: list[str] = []
        self._new: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._readers = [
            Thread(target=self._read, args=(self.popen.stdout, self.out), daemon=True),
            Thread(target=self._read, args=(self.popen.stderr, self.err), daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, stream, lines: list[str]) -> None:
        with stream:
            for line in stream:
                lines.append(line.rstrip("\n"))
                self._new.put(None)

    def wait_for(self, condition: Callable[["Process"], object], timeout_s: float = 30) -> None:
        """Wait until the output fulfils a condition; fail with all output if it does not."""
        deadline_s = time.monotonic() + timeout_s
        while not condition(self):
            if time.monotonic() > deadline_s:
                pytest.fail(f"nothing of the kind within {timeout_s} s; out: {self.out}; err: {self.err[-30:]}")
            try:
                self._new.get(timeout=0.1)
            except queue.Empty:
                continue

    def wait_for_line(self, text: str, timeout_s: float = 30) -> None:
        """Wait until a line of either stream holds a text."""
        self.wait_for(lambda process: any(text in line for line in (*process.out, *process.err)), timeout_s)

    def end(self, number: int = signal.SIGTERM, timeout_s: float = 20) -> int:
        """Send a signal, wait, and return the exit code."""
        if self.popen.poll() is None:
            self.popen.send_signal(number)
        return self.code(timeout_s)

    def code(self, timeout_s: float = 30) -> int:
        """Wait for the end and return the exit code."""
        code = self.popen.wait(timeout=timeout_s)
        for reader in self._readers:
            reader.join(timeout=5)
        return code


Start = Callable[..., Process]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a command; whatever still runs at the end of the test is ended, by process."""
    with ExitStack() as stack:

        def start_one(*command: object, env: dict[str, str] | None = None) -> Process:
            process = Process(*map(str, command), env=env)
            stack.callback(process.end, signal.SIGKILL)
            return process

        yield start_one


@pytest.fixture
def agent(start: Start) -> Start:
    """Start `edge-agent`, which may run the demo's unsigned bundle; test_trust.py does without this permission."""
    allowed = {"EDGE_AGENT_ALLOW_UNSIGNED": "true"}
    return lambda *arguments, env=None: start(sys.executable, "-m", "edge.cli", *arguments, env=allowed | (env or {}))


@pytest.fixture
def doctor(start: Start, tmp_path: Path) -> Start:
    """Start `edge-doctor watch --json` with a store of its own."""
    return lambda broker, *arguments: start(
        sys.executable, "-m", "doctor.cli", "watch", "--broker", broker, "--json",
        "--store", tmp_path / "inbox.sqlite3", *arguments,
    )  # fmt: skip


class Mosquitto:
    """A real mosquitto on a free port of the loopback interface."""

    def __init__(self, start: Start, folder: Path) -> None:
        if shutil.which("mosquitto", path=SEARCH_PATH) is None:
            pytest.fail("needs a real mosquitto; on Debian: sudo apt-get install mosquitto")
        self._start = start
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self._config = folder / "mosquitto.conf"
        self._config.write_text(f"listener {self.port} 127.0.0.1\nallow_anonymous true\n")
        self.run()

    def run(self) -> None:
        """Start the broker and wait until it answers."""
        self.process = self._start("mosquitto", "-c", self._config)
        deadline_s = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                if time.monotonic() > deadline_s:
                    raise
                time.sleep(0.05)
            else:
                return

    def restart(self) -> None:
        """Kill the broker with all it has in memory, and start it again."""
        self.process.end(signal.SIGKILL)
        self.run()


@pytest.fixture
def mosquitto(start: Start, tmp_path: Path) -> Mosquitto:
    """A running broker."""
    return Mosquitto(start, tmp_path)


class Postgresql:
    """A real PostgreSQL server on a free port of the loopback interface, its files in a folder of its own."""

    def __init__(self, *, durable: bool) -> None:
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))  # where Debian keeps it
        if not found:
            pytest.fail("needs a real PostgreSQL server; on Debian: sudo apt-get install postgresql")
        self._folder = Path(tempfile.mkdtemp(prefix="postgresql-"))
        self._as_user: dict[str, Any] = {}
        if os.getuid() == 0:  # the server refuses to run as root
            shutil.chown(self._folder, "postgres", "postgres")
            self._as_user = {"user": "postgres", "group": "postgres", "extra_groups": (), "cwd": self._folder}
        data = self._folder / "data"
        made = [found[-1], "--pgdata", data, "--username=doctor", "--auth=trust", "--encoding=UTF8", "--no-sync"]
        subprocess.run(made, check=True, stdout=subprocess.DEVNULL, timeout=120, **self._as_user)
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self._port = probe.getsockname()[1]
        self._command = [
            *(found[-1].with_name("postgres"), "-D", data, "-p", str(self._port), "-k", self._folder),
            *("-c", "listen_addresses=127.0.0.1", "-c", f"fsync={'on' if durable else 'off'}"),
        ]
        self._url = f"postgresql://doctor@127.0.0.1:{self._port}/postgres"
        self._places = 0
        self.run()

    def run(self) -> None:
        """Start the server and wait until it answers."""
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log, **self._as_user)
        deadline_s = time.monotonic() + 60
        while True:
            try:
                psycopg.connect(self._url).close()
            except psycopg.OperationalError:
                if time.monotonic() > deadline_s or self._process.poll() is not None:
                    pytest.fail((self._folder / "log").read_text())
                time.sleep(0.05)
            else:
                return

    def new_place(self) -> str:
        """URL of a fresh schema, which is an empty database to whoever connects, and made ten times as fast as one."""
        self._places += 1
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA inbox_{self._places}")
        return f"{self._url}?options=-csearch_path%3Dinbox_{self._places}"

    def stop(self) -> None:
        """End the server in order, whoever is connected; `run` starts it again."""
        self._process.send_signal(signal.SIGINT)
        self._process.wait(timeout=60)

    def end(self) -> None:
        """End the server, whoever is connected, and remove its files."""
        self._process.send_signal(signal.SIGQUIT)  # nobody needs its files again
        self._process.wait(timeout=60)
        shutil.rmtree(self._folder)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Postgresql]:
    """A running PostgreSQL server for tests, which no power cut threatens."""
    server = Postgresql(durable=False)
    yield server
    server.end()


@pytest.fixture(scope="session")
def phantoms() -> Callable[..., list[str]]:
    """Drop synthetic radiographs into a folder, as a careful scanner does; returns their names."""

    def drop(folder: Path, count: int, *, first_seed: int = 0) -> list[str]:
        names = []
        for seed in range(first_seed, first_seed + count):
            names.append(f"{seed:06d}.png")
            partial = folder / f".{names[-1]}"
            partial.write_bytes(phantom(seed).png())
            partial.rename(folder / names[-1])
        return names

    return drop


CHROMIUM_OPTIONS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--no-first-run",
]  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A real Chromium; of a module, because while it runs nothing else in this thread may use asyncio."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.fail("needs a real browser; on Debian: sudo apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_OPTIONS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Open a page in a window of its own; a script error or a breach of the page's own security policy fails the test.

    Further arguments are those of Playwright's `new_context`, such as `java_script_enabled=False`.
    """
    complaints: list[str] = []
    with ExitStack() as stack:

        def open_one(url: str, *, width: int = 1440, height: int = 900, **options: object) -> Page:
            context = browser.new_context(viewport={"width": width, "height": height}, **options)
            stack.callback(context.close)
            page = context.new_page()
            page.set_default_timeout(15_000)
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.on(
                "console",
                lambda message: complaints.append(message.text) if "Security Policy" in message.text else None,
            )
            page.goto(url)
            return page

        yield open_one
    assert complaints == []


@pytest.fixture(scope="session")
def accessibility_faults() -> Callable[[Page], list[str]]:
    """What axe-core finds seriously wrong with a page: rule and place, one a line; empty where nothing is."""

    def faults(page: Page) -> list[str]:
        violations = Axe().run(page).response["violations"]
        return [
            f"{violation['id']}: {node['html'][:200]}"
            for violation in violations
            if violation["impact"] in {"serious", "critical"}
            for node in violation["nodes"]
        ]

    return faults


@pytest.fixture(scope="session")
def sideways_scroll() -> Callable[[Page], int]:
    """By how many pixels a page is wider than its window; anything but 0 is a fault on a phone."""
    return lambda page: page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
