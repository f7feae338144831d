"""Kill the agent, the broker and the line between them, and count what arrives.

    python tests/campaigns/delivery.py --kills 2000 --restarts 500 --out FOLDER

Real agents, a real mosquitto without persistence and the doctor's real inbox. Each run of the agent takes a few new
images and ends with a SIGKILL: at a random moment, or right before or after a write, a sync, a rename or a publish,
every such place in turn. Meanwhile mosquitto is killed and started, and the line is cut or falls silent. Then the disk
fails with ENOSPC and with EIO at every write in turn, once or from there on, and the clock jumps to 1970 and twenty
years ahead. Between runs, files in the archive are compared with the outbox; at the end, what was handed to the box is
compared with what the doctor's end has shown and stored. Prints one JSON document; exit code 1 if anything was lost,
came twice, or was moved before its report was in the outbox.
"""

import argparse
import errno
import json
import os
import platform
import random
import signal
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from contextlib import closing, suppress
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from threading import Thread

from faults import Plan
from peers import Agents, BadLine, Broker, Doctor, Images

from edge.bundle.bundle import read_bundle
from edge.wire.messages import report_id

RUN_S = 2.0
"""A run that does not come to its place is killed after this."""
PLACES = 80
"""A run with two images comes to about so many."""
YEAR_S = 365.25 * 24 * 3600


class Campaign:
    """The box under test and all around it.

    Args:
        folder: Everything lies here.
        seed: Of what is left to chance.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self.luck = random.Random(seed)
        self.folder = folder
        self.watched = folder / "in"
        self.watched.mkdir()
        self.state = folder / "state"
        self.ledger = folder / "ledger.txt"
        self.bundle = str(files("edge") / "demo-model.bundle")
        self.model_sha256 = read_bundle(Path(self.bundle)).card.model_sha256
        self.images = Images(self.watched)
        self.broker = Broker(folder)
        self.line = BadLine(self.broker.port)
        self.doctor = Doctor(folder, self.broker.port)
        self.agents = Agents({})
        self.kills: Counter[str] = Counter()
        self.ends: Counter[int] = Counter()
        self.moved_early: set[str] = set()
        self.put_back = 0

    def run(self, *, kill_after_s: float = RUN_S, disturb: bool = False, **plan: object) -> int:
        """Let one agent run until its plan or `kill_after_s` ends it; return its exit status."""
        arguments = [
            "--broker", f"127.0.0.1:{self.line.port}", "--model", self.bundle, "--watch", str(self.watched),
            "--state", str(self.state), "--device", "box-1", "--settle-s", "0.05", "--patience-s", "0.2",
            "--receipt-timeout-s", "1", "--first-contact-s", "0", "--threads", "1",
        ]  # fmt: skip
        task = Plan(arguments=arguments, log=str(self.folder / "agent.log"), ledger=str(self.ledger), **plan)
        pid = self.agents.start(task)
        if disturb:
            self._disturb(kill_after_s)
        killer = Thread(target=self._kill_later, args=(pid, kill_after_s))
        killer.start()
        status = self.agents.ended() or 0
        self._alive = 0
        killer.join()
        self.line.recover()
        self.ends[status] += 1
        self.compare()
        return status

    _alive = 0

    def _kill_later(self, pid: int, after_s: float) -> None:
        self._alive = pid
        deadline_s = time.monotonic() + after_s
        while self._alive == pid and time.monotonic() < deadline_s:
            time.sleep(0.01)
        if self._alive == pid:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                with self.ledger.open("a") as ledger:
                    ledger.write("killed at a random moment\n")

    def _disturb(self, run_s: float) -> None:
        time.sleep(self.luck.uniform(0, run_s / 2))
        self.luck.choice([self.line.cut, self.line.fall_silent])()

    def compare(self) -> None:
        """Hold the archive against the outbox, and bring back what was set aside only because its reader was killed."""
        known = set(self._ask_outbox("SELECT id FROM report"))
        for path in (self.watched / "archive").glob("*.png"):
            digest = self._digest(path)
            if report_id(digest, self.model_sha256) not in known:
                self.moved_early.add(path.name)
        for path in (self.watched / "quarantine").glob("*.png"):
            path.with_name(f"{path.name}.reason.txt").unlink(missing_ok=True)
            os.utime(path)  # a person who exports it again makes a new file of it
            path.rename(self.watched / path.name)
            self.put_back += 1

    _digests: dict[str, str] = {}  # noqa: RUF012 - a cache by name

    def _digest(self, path: Path) -> str:
        if path.name not in self._digests:
            self._digests[path.name] = sha256(path.read_bytes()).hexdigest()
        return self._digests[path.name]

    def kill_agents(self, kills: int, restarts: int, deadline_s: float) -> None:
        """Two thirds of the kills are at places, each before and after; the rest at random moments."""
        every = kills / restarts if restarts else float("inf")
        place, due = 0, every
        for number in range(1, kills + 1):
            if time.monotonic() > deadline_s:
                break
            for _ in range(self.luck.choice([1, 1, 2])):
                self.images.drop()
            disturb = self.luck.random() < 0.25
            if number % 3:
                place += 1
                side = "before" if (place // PLACES) % 2 == 0 else "after"
                self.run(kill_at=place % PLACES + 1, side=side, disturb=disturb)
            else:
                self.run(kill_after_s=self.luck.uniform(0, RUN_S), disturb=disturb)
            while number >= due:
                self.broker.restart()
                due += every

    def fail_disk(self, places: int) -> None:
        """Each error at each of the first places in turn, once and from there on."""
        for error in (errno.ENOSPC, errno.EIO):
            for fail_at in range(1, places + 1):
                self.images.drop()
                side = "after" if fail_at % 4 == 0 else "before"
                self.run(fail_at=fail_at, fail_on=fail_at % 2 == 0, error=error, side=side, kill_after_s=RUN_S / 2)

    def jump_clock(self, jumps: int) -> None:
        """To 1970 and twenty years ahead, at the start of a run or in the middle."""
        for number in range(jumps):
            self.images.drop()
            shift_s = -time.time() if number % 2 else 20 * YEAR_S
            self.run(clock_shift_s=shift_s, clock_after_s=self.luck.choice([0, 0.2, 0.5]), kill_after_s=RUN_S / 2)

    def drain(self, timeout_s: float) -> None:
        """Let agents run undisturbed until nothing waits any more; every minute a new one, should the last be stuck."""
        deadline_s = time.monotonic() + timeout_s
        while time.monotonic() < deadline_s and self.waiting():
            self.run(kill_after_s=min(60, 5 + self.waiting()))

    def waiting(self) -> int:
        """Images not yet taken, reports and pictures not yet received."""
        owed = self._ask_outbox("SELECT seq FROM report WHERE state != 'received'")
        pictures = self._ask_outbox("SELECT seq FROM preview WHERE owed = 1")
        untaken = [path for path in self.watched.rglob("*.png") if path.parent.name != "archive"]
        return len(owed) + len(pictures) + len(untaken)

    def _ask_outbox(self, question: str) -> list[object]:
        """The first column of an answer; none where a run ended before it had made an outbox."""
        if not (self.state / "outbox.sqlite3").exists():
            return []
        with closing(sqlite3.connect(self.state / "outbox.sqlite3")) as outbox:
            if outbox.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'preview'").fetchone() == (0,):
                return []
            return [row[0] for row in outbox.execute(question)]

    def verdict(self) -> dict[str, object]:
        """What was handed over against what has arrived."""
        expected = {report_id(digest, self.model_sha256) for digest in self.images.dropped}
        shown, stored = Counter(self.doctor.shown), self.doctor.stored()
        seqs = self._ask_outbox("SELECT seq FROM report")
        archived = {self._digest(path) for path in (self.watched / "archive").glob("*.png")}
        return {
            "images": len(expected),
            "still waiting on the box": self.waiting(),
            "lost": len(expected - {report for report, _ in stored}) + len(set(self.images.dropped) - set(shown)),
            "twice": sum(count - 1 for count in shown.values()) + len(stored) - len({report for report, _ in stored}),
            "invented": len({report for report, _ in stored} - expected),
            "moved before the report was durable": len(self.moved_early),
            "originals lost": len(set(self.images.dropped) - archived),
            "pictures missing": sum(not picture for _, picture in stored),
            "gaps in seq": len(set(range(1, len(expected) + 1)) ^ set(seqs)),
        }

    def done(self) -> dict[str, object]:
        """What was done to the box."""
        lines = Counter(self.ledger.read_text().splitlines())
        kills = {line.removeprefix("killed "): count for line, count in lines.items() if line.startswith("killed")}
        return {
            "kills of the agent": sum(kills.values()),
            "kills by place": dict(sorted(kills.items())),
            "kills of mosquitto": self.broker.restarts,
            "connections cut": self.line.cuts,
            "lines fallen silent": self.line.silences,
            "ENOSPC": sum(count for line, count in lines.items() if line.startswith("ENOSPC")),
            "EIO": sum(count for line, count in lines.items() if line.startswith("EIO")),
            "images set aside because their reader was killed three times, and put back": self.put_back,
            "exit statuses": {str(status): count for status, count in sorted(self.ends.items())},
        }

    def stop(self) -> None:
        """End what runs."""
        self.agents.stop()
        self.doctor.stop()
        self.broker.stop()


def main() -> int:
    """Run the campaign."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=2000)
    parser.add_argument("--restarts", type=int, default=500, help="of mosquitto, among the kills")
    parser.add_argument("--disk", type=int, default=PLACES, help="places at which the disk fails, with each error")
    parser.add_argument("--jumps", type=int, default=20, help="of the clock")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop killing after so long, and count")
    parser.add_argument(
        "--folder", type=Path, help="an empty one, to keep the ledgers and logs (default: none is kept)"
    )
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    started_s = time.monotonic()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        campaign = Campaign(folder, options.seed)
        try:
            campaign.fail_disk(options.disk)
            campaign.jump_clock(options.jumps)
            campaign.kill_agents(options.kills, options.restarts, started_s + options.seconds)
            campaign.drain(1800)
            verdict = campaign.verdict()
        finally:
            campaign.stop()
        result = {
            "verdict": verdict,
            "done": campaign.done(),
            "seconds": round(time.monotonic() - started_s),
            "seed": options.seed,
            "machine": f"{platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}",
        }
    print(json.dumps(result, indent=1))
    return 1 if any(count for what, count in verdict.items() if what != "images") else 0


if __name__ == "__main__":
    sys.exit(main())
