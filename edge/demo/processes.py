"""The demo's two ends as processes of their own: the real commands, on ports of the loopback interface."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge.errors import EdgeXrayError

DEVICE: Final = "demo-box"
READER: Final = "demo"
PASSWORD: Final = "phantoms are no patients"  # noqa: S105 - it opens a page of this machine, for the demo's minutes
_START_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class End:
    """One end of the line.

    Attributes:
        name: `agent` or `doctor`.
        process: The command.
        log: Where its stderr goes.
        page: The address of its page.
    """

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    page: str

    def wait_for_page(self) -> None:
        """Wait until the page answers.

        Raises:
            EdgeXrayError: The command ended, or took too long.
        """
        host, port = self.page.removeprefix("http://").split(":")
        deadline_s = time.monotonic() + _START_S
        while time.monotonic() < deadline_s:
            self.check()
            try:
                socket.create_connection((host, int(port)), timeout=1).close()
            except OSError:
                time.sleep(0.05)
            else:
                return
        raise EdgeXrayError(f"the {self.name}'s page did not open within {_START_S:g} s; {self.last_words()}")

    def check(self) -> None:
        """See that the command still runs.

        Raises:
            EdgeXrayError: It has ended.
        """
        if self.process.poll() is not None:
            raise EdgeXrayError(f"the {self.name} ended; {self.last_words()}")

    def last_words(self) -> str:
        """The end of its log."""
        return "its log ends with:\n" + "\n".join(self.log.read_text().splitlines()[-10:])


@contextmanager
def doctor(folder: Path, broker_port: int) -> Iterator[End]:
    """The doctor's end, with an account to look around with."""
    store, page = str(folder / "inbox.sqlite3"), f"127.0.0.1:{_free_port()}"
    options = ["--http", page, "--store", store]
    with _running("doctor", "doctor.cli", *options, folder=folder, port=broker_port, page=page) as end:
        end.wait_for_page()
        _add_account(store)
        yield end


def _add_account(store: str) -> None:
    command = ["account", "add", READER, "--reader", "Dr. Demo", "--admin", "--store", store]
    added = subprocess.run(
        [sys.executable, "-m", "doctor.cli", *command],
        input=f"{PASSWORD}\n",
        capture_output=True,
        text=True,
        check=False,
    )
    if added.returncode:
        raise EdgeXrayError(f"the demo's account could not be made: {added.stderr.strip()}")


@contextmanager
def agent(folder: Path, broker_port: int, bundle: Path, watched: Path) -> Iterator[End]:
    """The box, with the clinic's page. Its bundle is unsigned: no key would be worth more than the package."""
    page = f"127.0.0.1:{_free_port()}"
    options = ["--model", str(bundle), "--allow-unsigned", "--watch", str(watched), "--device", DEVICE, "--page", page]
    with _running("agent", "edge.cli", *options, folder=folder, port=broker_port, page=page) as end:
        end.wait_for_page()
        yield end


@contextmanager
def _running(name: str, module: str, *options: str, folder: Path, port: int, page: str) -> Iterator[End]:
    """A command that is ended in order on leaving."""
    log = folder / f"{name}.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *options, "--broker", f"127.0.0.1:{port}", "--mqtt-version=3.1.1"],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        yield End(name, process, log, f"http://{page}")
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port
