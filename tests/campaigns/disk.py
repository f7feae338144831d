"""Let every call that writes to the agent's disk fail in turn, and kill the agent before and after each.

    python tests/campaigns/disk.py [--every N] [--part I/N] [--actions NAME ...]

A real agent with a box of its own takes two pictures and a file that is none from its folder and a picture from its
page, delivers through a real mosquitto to the doctor's real inbox, where each is answered, and is ended. The calls that
write are numbered in the order in which it makes them: Python's and SQLite's alike, because they are met in the C
library (`disk.c`). In each run something happens at one of them. The agent then either goes on, or ends and is started
again as systemd would, and everything must be in its place. Prints one JSON document; exit code 1 if anything is not.
"""

import argparse
import errno
import json
import os
import platform
import re
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

import shim
from faults import CRASHED, Plan
from one_box import Box
from peers import Agents, Broker, Doctor, Images, Reader

from edge.bundle.bundle import read_bundle
from edge.wire.messages import report_id

ACTIONS = {
    "ENOSPC": {"error": errno.ENOSPC},
    "ENOSPC for a second": {"error": errno.ENOSPC, "for_s": 1.0},
    "EIO": {"error": errno.EIO},
    "EIO for a second": {"error": errno.EIO, "for_s": 1.0},
    "EIO after the work was done": {"error": errno.EIO, "after": True},
    "killed before": {},
    "killed after": {"after": True},
}
PATIENCE_S = 120.0
"""An agent that has not come to its end by then is stuck."""
_SAID = re.compile(
    r"No space left|has no room|Input/output error|database or disk is full|disk I/O error|unable to open|readonly"
)
_UNIT = Path(__file__).resolve().parents[2] / "deploy" / "systemd" / "edge-agent.service"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one run.

    Attributes:
        action: What was done,
        call: and at which call; None where the agent made no so many.
        status: How the agent ended.
        said: Whether its log says what the disk did.
        wrong: What was not as it must be.
    """

    action: str
    call: str | None
    status: int
    said: bool
    wrong: tuple[str, ...]


@dataclass(slots=True)
class Surroundings:
    """What all runs share."""

    folder: Path
    broker: Broker = field(init=False)
    doctor: Doctor = field(init=False)
    reader: Reader = field(init=False)
    images: Images = field(init=False)
    agents: Agents = field(init=False)
    bundle: str = field(init=False)
    model_sha256: str = field(init=False)
    never_again: frozenset[int] = field(init=False)

    def __post_init__(self) -> None:
        """Start all of it."""
        (self.folder / "scanner").mkdir()
        self.images = Images(self.folder / "scanner")
        self.broker = Broker(self.folder)
        self.doctor = Doctor(self.folder, self.broker.port)
        self.reader = Reader(self.folder)
        self.agents = Agents({"LD_PRELOAD": str(shim.build(self.folder))})
        self.bundle = str(files("edge") / "demo-model.bundle")
        self.model_sha256 = read_bundle(Path(self.bundle)).card.model_sha256
        prevented = re.search(r"^RestartPreventExitStatus=(.*)$", _UNIT.read_text(encoding="utf-8"), re.MULTILINE)
        self.never_again = frozenset(map(int, prevented[1].split()))

    def start(self, box: Box, call: shim.Call | None) -> int:
        """Start the box's agent; return its process id."""
        arguments = [
            "--broker", f"127.0.0.1:{self.broker.port}", "--model", self.bundle, "--watch", str(box.watched),
            "--state", str(box.state), "--device", box.name, "--settle-s", "0.05", "--patience-s", "0.2",
            "--receipt-timeout-s", "1", "--first-contact-s", "0", "--threads", "1",
            "--page", box.page,
        ]  # fmt: skip
        return self.agents.start(Plan(arguments=arguments, log=str(box.log), ledger=str(box.ledger), call=call))

    def is_drained(self, box: Box) -> bool:
        """Whether everything is where it belongs, as far as can be seen from outside while the agent runs."""
        if not box.send() or box.left() or not set(box.digests) <= set(self.doctor.shown):
            return False
        unfinished = "state != 'received' OR owed OR NOT answered"
        return box.outbox(f"SELECT count(*) FROM report LEFT JOIN preview USING (seq) WHERE {unfinished}") == [(0,)]  # noqa: S608 - ours

    def live(self, box: Box, call: shim.Call | None) -> tuple[int, list[str]]:
        """An agent's life: until it ends by itself, or has done everything and is told to end."""
        pid, wrong, deadline_s = self.start(box, call), [], time.monotonic() + PATIENCE_S
        while (status := self.agents.ended(0.05)) is None and not self.is_drained(box):
            if time.monotonic() > deadline_s:
                wrong.append(f"stuck while the agent runs, with {box.left()}")
                break
        if status is None:
            os.kill(pid, signal.SIGTERM)
            if (status := self.agents.ended(PATIENCE_S)) is None:
                wrong.append("the agent does not end")
                os.kill(pid, signal.SIGKILL)
                status = self.agents.ended(PATIENCE_S) or 0
        return status, wrong + self.moved_early(box)

    def moved_early(self, box: Box) -> list[str]:
        """Originals in the archive whose report is not in the outbox."""
        known = {row[0] for row in box.outbox("SELECT id FROM report")}
        early = [digest for digest in box.archived() if report_id(digest, self.model_sha256) not in known]
        return ["moved before its report was durable"] * len(early)

    def compare(self, box: Box) -> list[str]:
        """Hold the ledgers against each other once everything is over."""
        shown, stored = Counter(self.doctor.shown), dict(self.doctor.stored())
        wrong = []
        for digest in box.digests:
            identity = report_id(digest, self.model_sha256)
            wrong += ["lost"] * (shown[digest] == 0 or identity not in stored)
            wrong += ["twice"] * (shown[digest] > 1)
            wrong += ["its picture is missing"] * (not stored.get(identity, True))
        rows = box.outbox("SELECT seq FROM report ORDER BY seq")
        wrong += ["gap in seq"] * (rows != [(seq,) for seq in range(1, len(box.digests) + 1)])
        wrong += ["answer lost"] * (box.outbox("SELECT seq FROM report WHERE NOT answered") != [])
        wrong += ["original lost"] * (sorted(box.archived()) != sorted(box.digests))
        wrong += ["set aside wrongly"] * (box.set_aside() != ["broken.png", "broken.png.reason.txt"])
        wrong += ["left"] * bool(box.left())
        return wrong

    def run(self, action: str, at: int) -> Outcome:
        """One box, and something happening at one of its agent's calls."""
        box = Box(self.folder / f"{action.replace(' ', '-')}-{at}", self.images)
        box.drop()
        box.drop_no_picture()
        box.drop()
        box.send_later()
        call = shim.Call(root=f"{box.folder}/", ledger=str(box.ledger), at=at, **ACTIONS[action])
        status, wrong = self.live(box, call)
        lines = box.ledger.read_text().splitlines() if box.ledger.exists() else []
        said = bool(_SAID.search(box.log.read_text()))
        if lines:
            wrong += self.recover(box, status)
        wrong += self.compare(box)
        wrong += ["it ended with a trace instead of a sentence"] * (status == CRASHED)
        return Outcome(action, plain(lines[0]) if lines else None, status, said, tuple(wrong))

    def recover(self, box: Box, status: int) -> list[str]:
        """Start an agent again as systemd does, give it one more picture, and see it work."""
        wrong = ["systemd would not start it again"] if status in self.never_again else []
        box.drop()
        status, stuck = self.live(box, None)
        return wrong + stuck + [f"then it ended with {status}"] * (status != 0)

    def calls(self) -> list[str]:
        """Every call of an undisturbed life, in order."""
        box = Box(self.folder / "undisturbed", self.images)
        box.drop()
        box.drop_no_picture()
        box.drop()
        box.send_later()
        self.live(box, shim.Call(root=f"{box.folder}/", ledger=str(box.ledger)))
        return [plain(line) for line in box.ledger.read_text().splitlines()]

    def stop(self) -> None:
        """End what runs."""
        self.agents.stop()
        self.reader.stop()
        self.doctor.stop()
        self.broker.stop()


def plain(line: str) -> str:
    """A call without what differs from box to box."""
    line = re.sub(r"[0-9a-f]{32}|(?<=key\.)\d+", "*", line)
    return re.sub(r"\d{6}", "N", re.sub(r"claimed/[^/ ]+", "claimed/BOX", line)).replace("64 ", " ")


def main() -> int:
    """Run the campaign."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only every Nth call")
    parser.add_argument("--part", default="1/1", metavar="I/N", help="the Ith of N parts, which can run side by side")
    parser.add_argument("--actions", nargs="+", choices=ACTIONS, default=list(ACTIONS), metavar="ACTION")
    parser.add_argument("--folder", type=Path, help="an empty one, to keep the logs (default: none is kept)")
    options = parser.parse_args()
    part, parts = map(int, options.part.split("/"))
    started_s = time.monotonic()
    with tempfile.TemporaryDirectory() as temporary:
        around = Surroundings(options.folder or Path(temporary))
        try:
            calls = around.calls()
            numbers = range(1 + (part - 1) * options.every, len(calls) + 1, parts * options.every)
            outcomes = []
            for number in numbers:
                for action in options.actions:
                    outcome = around.run(action, number)
                    outcomes.append(outcome)
                    if outcome.wrong:
                        print(number, outcome, file=sys.stderr, flush=True)
        finally:
            around.stop()
    print(json.dumps(summary(outcomes, calls) | {"seconds": round(time.monotonic() - started_s)}, indent=1))
    return int(any(outcome.wrong for outcome in outcomes))


def summary(outcomes: list[Outcome], calls: list[str]) -> dict[str, object]:
    """All runs in figures."""
    done = [outcome for outcome in outcomes if outcome.call is not None]
    failed = [outcome for outcome in done if ACTIONS[outcome.action]]
    return {
        "calls of an undisturbed life": len(calls),
        "kinds of call": len(set(calls)),
        "runs": len(outcomes),
        "something happened": dict(Counter(outcome.action for outcome in done)),
        "kinds of call it happened at": len({outcome.call for outcome in done}),
        "wrong": dict(Counter(what for outcome in outcomes for what in outcome.wrong)),
        "exit statuses": {str(status): count for status, count in Counter(outcome.status for outcome in done).items()},
        "failures that no log line names": dict(
            Counter(outcome.call for outcome in failed if not outcome.said and "killed" not in outcome.action)
        ),
        "machine": f"{platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}",
    }


if __name__ == "__main__":
    sys.exit(main())
