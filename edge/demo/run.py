"""The demo: start a broker and both ends, drop phantoms into the watched folder, show what the doctor's inbox stored.

A third party at the broker listens along: a report alone counts for nothing, the doctor's receipt makes it delivered.
"""

import os
import sys
import tempfile
import time
import webbrowser
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.resources import as_file, files
from pathlib import Path
from typing import Final

import msgspec

from edge.bundle.bundle import Card, read_bundle
from edge.decoding.decode import decode
from edge.demo.broker import broker
from edge.demo.processes import DEVICE, PASSWORD, READER, End, agent, doctor
from edge.errors import EdgeXrayError
from edge.mqtt.broker import Line, Received
from edge.phantom import phantom
from edge.settings.config import BrokerConfig
from edge.study import sha256_of
from edge.terminal import finding_line, has_colour, heatmap_lines, picture_lines
from edge.wire.messages import NOTICE, Receipt, Report, report_id
from edge.wire.messages import decode as read_message
from edge.wire.topics import Kind, Topic

BUNDLE_NAME: Final = "demo-model.bundle"
WAIT_S: Final = 60.0
"""A demo that waits this long for a finding has failed."""
_PREFIX: Final = "xray"


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
        """Count a delivered report; say whether its decision is right, or None where nobody knows."""
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


def run(*, count: int, first_seed: int, once: bool, as_json: bool, browser: bool) -> int:
    """Run the demo.

    Args:
        count: Number of phantoms.
        first_seed: Seed of the first; the model has seen none of those above 10,000,000.
        once: End when all findings have arrived; otherwise keep line and pages open.
        as_json: Print one JSON document at the end instead of pictures.
        browser: Open both pages in a browser, where this machine has a screen.

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
            print(
                f"{NOTICE} Every radiograph below is synthetic.\nThe model: {bundle.model_id}, unsigned.\n", flush=True
            )
        port = stack.enter_context(broker())
        ends = (
            stack.enter_context(doctor(folder, port)),
            stack.enter_context(agent(folder, port, bundle_path, watched)),
        )
        line = stack.enter_context(_listener(port))
        if not as_json:
            _show_pages(*ends, browser=browser and not once)
        for seed in range(first_seed, first_seed + count):
            tally.dropped |= _drop(seed, watched, bundle.card.model_sha256)
        _follow(_delivered(line, ends, tally), tally, watched, once=once, as_json=as_json)
        _print_end(tally, bundle.card, as_json=as_json)
    return 1 if tally.missing else 0


def _listener(port: int) -> Line:
    config = BrokerConfig(address=f"127.0.0.1:{port}", version="3.1.1", prefix=_PREFIX)
    topics = [f"{_PREFIX}/v1/+/{DEVICE}/{kind}/+" for kind in (Kind.REPORT, Kind.RECEIPT)]
    return Line(config, client_id="edge-demo", subscriptions=topics)


def _show_pages(doctors: End, clinics: End, *, browser: bool) -> None:
    print(
        f"The doctor's page:  {doctors.page}   sign in as {READER!r} with the password {PASSWORD!r}\n"
        f"The clinic's page:  {clinics.page}\n",
        flush=True,
    )
    if browser and (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY") or sys.platform == "darwin"):
        for end in (clinics, doctors):
            webbrowser.open(end.page)


def _drop(seed: int, folder: Path, model_sha256: str) -> dict[str, Dropped]:
    film = phantom(seed)
    content = film.png()
    partial = folder / f".{seed}.png"
    partial.write_bytes(content)
    partial.rename(folder / f"phantom-{seed}.png")
    return {report_id(sha256_of(content), model_sha256): Dropped(film.label, content)}


def _follow(reports: Iterator[Report], tally: Tally, watched: Path, *, once: bool, as_json: bool) -> None:
    """Show what is delivered: until all phantoms are, then, unless it is for once, until Ctrl-C."""
    while tally.missing:
        _show(next(reports), tally, as_json=as_json)
    if once:
        return
    if not as_json:
        print(
            f"Answer on the doctor's page, or drop images of your own into {watched}. Ctrl-C ends the demo.", flush=True
        )
    try:
        for report in reports:
            _show(report, tally, as_json=as_json)
    except KeyboardInterrupt:
        if not as_json:
            print(flush=True)


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


def _print_end(tally: Tally, card: Card, *, as_json: bool) -> None:
    if as_json:
        print(msgspec.json.encode(tally.as_dict(card)).decode())
        return
    first = "none" if tally.first_finding_s is None else f"the first after {tally.first_finding_s:.1f} s"
    print(
        f"{len(tally.dropped) - tally.missing} of {len(tally.dropped)} findings delivered ({first}), "
        f"{tally.correct} right.\nNot validated on: {card.not_validated_on}\n"
        "Next: README.md trains on your X-rays, deploy/README.md puts it on real machines."
    )


def _delivered(line: Line, ends: Sequence[End], tally: Tally) -> Iterator[Report]:
    """Reports whose receipt the doctor's inbox has sent, each once.

    Raises:
        EdgeXrayError: An end has ended, or a finding that is due did not come in time.
    """
    sent: dict[str, Report] = {}
    since_s = time.monotonic()
    while True:
        event = line.next_event(0.2)
        for end in ends:
            end.check()
        if isinstance(event, Received):
            line.acknowledge(event)
            topic = Topic.parse(event.topic, _PREFIX)
            if topic.kind is Kind.REPORT:
                sent.setdefault(topic.of, read_message(event.payload, Report))
            elif topic.of in sent and topic.of not in tally.received:
                read_message(event.payload, Receipt)
                since_s = time.monotonic()
                yield sent[topic.of]
        elif tally.missing and time.monotonic() - since_s > WAIT_S:
            raise EdgeXrayError(f"no finding for {WAIT_S:g} s; {ends[-1].last_words()}")
