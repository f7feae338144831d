"""`edge-agent demo`: the whole line on this machine, with the real commands and synthetic radiographs.

It starts an embedded broker, `edge-doctor watch` and `edge-agent` as their own processes, drops phantoms into the
watched folder, and shows each finding as it arrives at the doctor's end. Nothing is imitated but the patients.
"""

import asyncio
import queue
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.resources import as_file, files
from pathlib import Path
from threading import Event, Thread
from typing import IO, Final

import msgspec

from edge.bundle import Card, read_bundle
from edge.decode import decode
from edge.errors import ConfigError, EdgeXrayError
from edge.messages import NOTICE, Report, report_id
from edge.phantom import phantom
from edge.study import sha256_of
from edge.terminal import finding_line, has_colour, heatmap_lines, picture_lines

BUNDLE_NAME: Final = "demo-model.bundle"
WAIT_S: Final = 60.0
"""A demo that waits this long for a finding has failed."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """A phantom in the watched folder: what it is, and how it looks."""

    label: str
    content: bytes = field(repr=False)


@dataclass(slots=True)
class Tally:
    """What happened so far."""

    started_s: float
    dropped: dict[str, Dropped] = field(default_factory=dict)  # by report id
    received: set[str] = field(default_factory=set)
    correct: int = 0
    first_finding_s: float | None = None

    @property
    def missing(self) -> int:
        """Phantoms whose finding has not arrived."""
        return len(set(self.dropped) - self.received)

    def count(self, report: Report) -> bool | None:
        """Count a report; say whether its decision is right, or None where nobody knows."""
        if self.first_finding_s is None:
            self.first_finding_s = time.monotonic() - self.started_s
        self.received.add(report.id)
        if report.id not in self.dropped:
            return None
        right = report.decision == self.dropped[report.id].label
        self.correct += right
        return right

    def as_dict(self, card: Card) -> dict[str, object]:
        """The numbers that `--json` prints."""
        return {
            "sent": len(self.dropped),
            "received": len(self.dropped) - self.missing,
            "correct": self.correct,
            "total": len(self.dropped),
            "first_finding_s": None if self.first_finding_s is None else round(self.first_finding_s, 2),
            "model": card.name,
            "not_validated_on": card.not_validated_on,
            "notice": NOTICE,
        }


def run(*, count: int, first_seed: int, once: bool, as_json: bool) -> int:
    """Run the demo.

    Args:
        count: Number of phantoms.
        first_seed: Seed of the first; the model has seen none of those above 10,000,000.
        once: End when all findings have arrived; otherwise keep the line open for images of the user's own.
        as_json: Print one JSON document at the end instead of pictures.

    Returns:
        0 if every phantom's finding arrived, else 1.
    """
    with ExitStack() as stack:
        bundle_path = stack.enter_context(as_file(files("edge") / BUNDLE_NAME))
        bundle = read_bundle(bundle_path)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="edge-xray-demo-")))
        watched = folder / "in"
        watched.mkdir()
        tally = Tally(time.monotonic())
        if not as_json:
            print(f"{NOTICE} Every radiograph below is synthetic.\nThe model: {bundle.model_id}, unsigned.\n")
        port = stack.enter_context(_broker())
        doctor = stack.enter_context(_command("doctor.cli", "watch", "--json", folder=folder, port=port))
        agent = stack.enter_context(
            _command(
                "edge.cli",
                *("--model", str(bundle_path), "--allow-unsigned"),  # no key would be worth more than the package
                *("--watch", str(watched)),
                folder=folder,
                port=port,
            )
        )
        reports = _reports(doctor, agent, tally, folder)
        for seed in range(first_seed, first_seed + count):
            tally.dropped |= _drop(seed, watched, bundle.card.model_sha256)
        try:
            while tally.missing:
                _show(next(reports), tally, as_json=as_json)
            if not once:
                _keep_open(watched, reports, tally, as_json=as_json)
        except KeyboardInterrupt:
            if once:
                raise
        _print_end(tally, bundle.card, as_json=as_json)
    return 1 if tally.missing else 0


def _drop(seed: int, folder: Path, model_sha256: str) -> dict[str, Dropped]:
    film = phantom(seed)
    content = film.png()
    partial = folder / f".{seed}.png"
    partial.write_bytes(content)
    partial.rename(folder / f"phantom-{seed}.png")
    return {report_id(sha256_of(content), model_sha256): Dropped(film.label, content)}


def _show(report: Report, tally: Tally, *, as_json: bool) -> None:
    right = tally.count(report)
    if as_json:
        return
    verdict = {None: "an image of yours", True: "right", False: "WRONG"}[right]
    print(f"{finding_line(report, datetime.now(UTC))}  -> {verdict}")
    dropped = tally.dropped.get(report.id)
    if has_colour(sys.stdout) and dropped is not None:
        lines = picture_lines(decode(dropped.content).pixels, report.heatmap)
    else:
        lines = heatmap_lines(report.heatmap or ())
    print("\n".join([*lines, ""]), flush=True)


def _keep_open(watched: Path, reports: Iterator[Report], tally: Tally, *, as_json: bool) -> None:
    if not as_json:
        print(f"Drop images of your own into {watched}; Ctrl-C ends the demo.", flush=True)
    for report in reports:
        _show(report, tally, as_json=as_json)


def _print_end(tally: Tally, card: Card, *, as_json: bool) -> None:
    if as_json:
        print(msgspec.json.encode(tally.as_dict(card)).decode())
        return
    first = "none" if tally.first_finding_s is None else f"the first after {tally.first_finding_s:.1f} s"
    print(
        f"{len(tally.dropped) - tally.missing} of {len(tally.dropped)} findings delivered ({first}), "
        f"{tally.correct} right.\nNot validated on: {card.not_validated_on}\n"
        "Next: `edge-agent demo` keeps the line open for images of your own; README.md trains on your X-rays."
    )


@contextmanager
def _broker() -> Iterator[int]:
    """An MQTT 3.1.1 broker in a thread, on a free port of the loopback interface."""
    try:
        from amqtt.broker import Broker  # noqa: PLC0415 - only the demo needs it
    except ModuleNotFoundError as error:
        raise ConfigError("the demo's broker is not installed; pip install 'edge-xray[demo]'") from error
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    config = {
        "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}"}},
        "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
    }
    ready, problems = Event(), list[BaseException]()
    loop, stop = asyncio.new_event_loop(), asyncio.Event()

    async def serve() -> None:
        broker = Broker(config)
        await broker.start()
        ready.set()
        await stop.wait()
        await broker.shutdown()

    def work() -> None:
        try:
            loop.run_until_complete(serve())
        except BaseException as error:  # noqa: BLE001 - handed to the thread that waits
            problems.append(error)
        finally:
            ready.set()

    thread = Thread(target=work, name="broker", daemon=True)
    thread.start()
    ready.wait()
    if problems:
        raise EdgeXrayError(f"the demo's broker did not start: {problems[0]}")
    try:
        yield port
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(timeout=5)


@contextmanager
def _command(module: str, *arguments: str, folder: Path, port: int) -> Iterator[subprocess.Popen[str]]:
    """One of the project's commands as a process of its own, ended in order on leaving."""
    end = "doctor" if module.startswith("doctor") else "agent"
    store = ["--store", str(folder / "inbox.sqlite3")] if end == "doctor" else ["--device", "demo-box"]
    with (folder / f"{end}.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments, *store, "--broker", f"127.0.0.1:{port}", "--mqtt-version=3.1.1"],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _reports(
    doctor: subprocess.Popen[str], agent: subprocess.Popen[str], tally: Tally, folder: Path
) -> Iterator[Report]:
    """What arrives at the doctor's end.

    Raises:
        EdgeXrayError: One of the two ended, or a finding that is due did not come in time.
    """
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()

    def read(stream: IO[str]) -> None:
        for line in stream:
            lines.put(line)

    if doctor.stdout is None:
        raise ValueError("the doctor's end must be started with a pipe")
    Thread(target=read, args=(doctor.stdout,), daemon=True).start()
    since_s = time.monotonic()
    while True:
        try:
            yield msgspec.json.decode(lines.get(timeout=0.2), type=Report)
            since_s = time.monotonic()
        except queue.Empty:
            ended = [name for name, process in (("agent", agent), ("doctor", doctor)) if process.poll() is not None]
            if ended or (tally.missing and time.monotonic() - since_s > WAIT_S):
                what = f"the {ended[0]} ended" if ended else f"no finding for {WAIT_S:g} s"
                tail = "\n".join((folder / f"{(ended or ['agent'])[0]}.log").read_text().splitlines()[-10:])
                raise EdgeXrayError(f"{what}; its log ends with:\n{tail}") from None
