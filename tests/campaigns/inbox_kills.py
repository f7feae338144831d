"""Kill the doctor's inbox at random moments while boxes send and a doctor answers; then compare both ends' ledgers.

    python tests/campaigns/inbox_kills.py --kills 1000 --store sqlite

Two boxes publish reports and previews as fast as receipts come, through a real mosquitto, and send again what got no
receipt. The inbox is the real command; it is forked from a process that has its libraries loaded, so that a thousand
kills hit it at work and not while Python starts. Lost is a report that is not in the store, or is there with another
time than its first receipt told.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from threading import Event, Thread

import msgspec
import sqlalchemy as sa

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from conftest import Mosquitto, Postgresql, Process  # noqa: E402 - found by the path above

from doctor import schema  # noqa: E402
from doctor.accounts import Account  # noqa: E402
from doctor.reviews import Answer, ConflictError  # noqa: E402
from doctor.store import Store  # noqa: E402
from doctor.worklist import Filter  # noqa: E402
from edge.errors import BrokerUnreachableError  # noqa: E402
from edge.mqtt.broker import Line, Received  # noqa: E402
from edge.settings.config import BrokerConfig  # noqa: E402
from edge.wire.messages import Confirmation, Receipt, Report, Review, decode, encode  # noqa: E402
from edge.wire.topics import Address, Kind, Topic  # noqa: E402

WINDOW = 10
AT_WORK = 0.8
"""So many of the kills wait for the inbox's first receipt; the others come at any moment after its start."""
GOLDEN = msgspec.json.decode((ROOT / "tests/edge/golden/report.json").read_bytes(), type=Report)
NURSERY = """
import os, signal, sys
import doctor.cli, doctor.watch_command, doctor.inbox, doctor.database, sqlalchemy.dialects.sqlite, psycopg
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
for _ in sys.stdin:
    pid = os.fork()
    if pid == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os._exit(doctor.cli.main(sys.argv[1:]))
    print(pid, flush=True)
"""


@dataclass
class Sent:
    """What a box knows of one of its reports."""

    report: Report
    made_s: float
    done_s: float = 0.0
    again_s: float = 0.0
    times: int = 0
    stored_at: set[datetime] = field(default_factory=set)
    has_preview: bool = False
    revision: int = 0

    @property
    def is_done(self) -> bool:
        """Whether a receipt has come for the report and for its picture."""
        return bool(self.stored_at) and self.has_preview


class Box(Thread):
    """A box as the protocol asks for one: it sends until the receipt is there, and confirms reviews."""

    again_s = 1.0
    picture_bytes = 2000

    def __init__(self, site: str, name: str, config: BrokerConfig) -> None:
        super().__init__(daemon=True)
        self.address = Address("xray", site, name)
        self.ledger: dict[str, Sent] = {}
        self.closing = Event()
        self.ended = Event()
        self.receipts = 0
        self._config = config
        self._waiting: dict[str, Sent] = {}

    def run(self) -> None:
        """Send until told to close, and then until everything has its receipt."""
        while not self.ended.is_set():
            with suppress(BrokerUnreachableError), self._line() as line:
                while not self.ended.is_set():
                    self._send(line)
                    self._receive(line)

    def is_settled(self) -> bool:
        """Whether nothing is waiting."""
        return self.closing.is_set() and not self._waiting

    def _line(self) -> Line:
        return Line(self._config, client_id=self.address.device, subscriptions=self.address.to_this_box)

    def is_due(self) -> bool:
        """Whether another picture has been taken."""
        return len(self._waiting) < WINDOW

    def make(self) -> None:
        """Put the next report into the ledger."""
        number = len(self.ledger)
        report_id = sha256(f"{self.address.device} {number}".encode()).hexdigest()[:32]
        names = {"site": self.address.site, "device": self.address.device, "study": None}
        report = msgspec.structs.replace(GOLDEN, id=report_id, seq=number + 1, **names)
        self.ledger[report_id] = self._waiting[report_id] = Sent(report, time.monotonic())

    def _send(self, line: Line) -> None:
        while not self.closing.is_set() and self.is_due():
            self.make()
        now_s = time.monotonic()
        for report_id, sent in self._waiting.items():
            if now_s >= sent.again_s:
                sent.again_s, sent.times = now_s + self.again_s, sent.times + 1
                line.publish(self.address.report(report_id), encode(sent.report))
                line.publish(self.address.preview(report_id), picture_of(report_id, self.picture_bytes))

    def _receive(self, line: Line) -> None:
        event = line.next_event(0.02)
        while event is not None:
            if isinstance(event, Received):
                self._take(line, event)
                line.acknowledge(event)
            event = line.next_event(0)

    def _take(self, line: Line, message: Received) -> None:
        topic = Topic.parse(message.topic, "xray")
        if topic.kind is Kind.RECEIPT:
            receipt = decode(message.payload, Receipt)
            self.receipts += 1
            sent = self.ledger[topic.of]
            sent.stored_at.add(receipt.stored_at)
            sent.has_preview |= receipt.preview
            if sent.is_done and self._waiting.pop(topic.of, None) is not None:
                sent.done_s = time.monotonic()
        elif topic.kind is Kind.REVIEW and message.payload:
            review = decode(message.payload, Review)
            sent = self.ledger[topic.of]
            sent.revision = max(sent.revision, review.revision)
            line.publish(self.address.confirmation(topic.of), encode(Confirmation(id=topic.of, revision=sent.revision)))


class Doctor(Thread):
    """Somebody who opens and answers what comes, in the store itself."""

    def __init__(self, store: Store, luck: random.Random) -> None:
        super().__init__(daemon=True)
        self.ended = Event()
        self.reviews = 0
        self._store = store
        self._luck = luck

    def run(self) -> None:
        """Read until told to end."""
        account = Account("ada", "Dr. Ada Reader")
        while not self.ended.wait(0.05):
            for item in self._store.worklist(Filter(), limit=2).items:
                revision = self._store.open_report(item.number, account).revision
                with suppress(ConflictError):
                    self._store.answer(item.number, Answer(verdict="agree"), account, revision)
                self.reviews += 2


def picture_of(report_id: str, size_bytes: int = Box.picture_bytes) -> bytes:
    """A preview that no other report has; the inbox looks at its first bytes only."""
    return b"\xff\xd8\xff" + random.Random(report_id).randbytes(size_bytes)


class Inbox:
    """The real `edge-doctor watch`, started and killed again and again."""

    def __init__(self, place: str, broker: str, log: Path) -> None:
        command = ["watch", "--json", "--broker", broker, "--store", place]
        with log.open("w") as stderr:
            self._nursery = subprocess.Popen(
                [sys.executable, "-c", NURSERY, *command],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, text=True, cwd=ROOT,
            )  # fmt: skip
        self._pid = 0

    def start(self) -> None:
        """Start one."""
        self._nursery.stdin.write("start\n")
        self._nursery.stdin.flush()
        self._pid = int(self._nursery.stdout.readline())

    def kill(self) -> None:
        """Kill it, and wait until it is gone."""
        os.kill(self._pid, signal.SIGKILL)
        with suppress(ProcessLookupError):
            while True:
                os.kill(self._pid, 0)
                time.sleep(0.001)

    def close(self) -> None:
        """End what runs."""
        with suppress(ProcessLookupError):
            self.kill()
        self._nursery.stdin.close()
        self._nursery.wait(timeout=10)


def compare(store: Store, boxes: list[Box]) -> dict[str, int]:
    """What both ends have, and where they differ."""
    query = sa.select(schema.report, schema.preview.c.content).outerjoin(schema.preview)
    with store.database.reading() as connection:
        rows = connection.execute(query).all()
    stored = {row.id: row for row in rows}
    sent = {report_id: one for box in boxes for report_id, one in box.ledger.items()}
    true = {
        report_id
        for report_id in sent.keys() & stored.keys()
        if sent[report_id].stored_at == {stored[report_id].stored_at}
    }
    return {
        "reports": len(sent),
        "sent": sum(one.times for one in sent.values()),
        "lost": len(sent.keys() - true),
        "twice": len(rows) - len(stored),
        "never_sent": len(stored.keys() - sent.keys()),
        "pictures_wrong": sum(row.content != picture_of(row.id) for row in rows),
        "reviews_lost": sum(sent[row.id].revision != row.revision for row in rows if row.id in sent),
        "reviews_owed": len(store.reviews_owed()),
        "audit_broken": store.verify_audit().broken or 0,
    }


def left_at_the_broker(config: BrokerConfig) -> int:
    """How many reviews are still retained, once the inbox has had time to take the last ones away."""
    left: set[str] = set()
    with Line(config, client_id="look", subscriptions=["xray/v1/+/+/review/+"]) as line:
        event = line.next_event(0.5)
        while event is not None:
            if isinstance(event, Received):
                (left.add if event.payload else left.discard)(event.topic)
                line.acknowledge(event)
            event = line.next_event(5 if left else 0)
    return len(left)


def wait_for_a_receipt(boxes: list[Box], timeout_s: float = 5) -> bool:
    """Let an inbox come to its work."""
    before, deadline_s = sum(box.receipts for box in boxes), time.monotonic() + timeout_s
    while time.monotonic() < deadline_s:
        if sum(box.receipts for box in boxes) > before:
            return True
        time.sleep(0.002)
    return False


def start_and_kill(inbox: Inbox, boxes: list[Box], luck: random.Random) -> bool:
    """Start an inbox and kill it at a random moment; says whether it had come to its work."""
    inbox.start()
    at_work = luck.random() < AT_WORK and wait_for_a_receipt(boxes)
    time.sleep(luck.uniform(0, 0.1 if at_work else 0.5))
    inbox.kill()
    return at_work


def wait_until_settled(boxes: list[Box], store: Store, timeout_s: float = 120) -> None:
    """Let a last inbox, which nobody kills, finish."""
    deadline_s = time.monotonic() + timeout_s
    while not all(box.is_settled() for box in boxes) or store.reviews_owed():
        if time.monotonic() > deadline_s:
            return
        time.sleep(0.05)


def campaign(kills: int, kind: str, seed: int) -> dict[str, object]:
    """Run it and say what came of it."""
    luck, started_s = random.Random(seed), time.monotonic()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        place = str(folder / "inbox.sqlite3")
        if kind == "postgresql":
            server = Postgresql(durable=True)
            stack.callback(server.end)
            place = server.new_place()

        def start(*command: object) -> Process:
            process = Process(*map(str, command))
            stack.callback(process.end, signal.SIGKILL)
            return process

        broker = Mosquitto(start, folder)
        config = BrokerConfig(address=broker.address)
        store = stack.enter_context(Store.open(place))
        boxes, doctor = [Box("clinic", name, config) for name in ("box-1", "box-2")], Doctor(store, luck)
        inbox = Inbox(place, broker.address, folder / "inbox.log")
        stack.callback(inbox.close)
        for thread in (*boxes, doctor):
            thread.start()
        at_work = sum(start_and_kill(inbox, boxes, luck) for _ in range(kills))
        inbox.start()
        time.sleep(1)
        doctor.ended.set()
        doctor.join()
        for box in boxes:
            box.closing.set()
        wait_until_settled(boxes, store)
        found = compare(store, boxes) | {"retained": left_at_the_broker(config), "reviews": doctor.reviews}
        for box in boxes:
            box.ended.set()
            box.join()
    return {
        "kills": kills,
        "at_work": at_work,
        "store": kind,
        "seed": seed,
        **found,
        "seconds": round(time.monotonic() - started_s),
    }


def main() -> int:
    """Run the campaign; exit code 1 if anything was lost, came twice or differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--store", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    found = campaign(arguments.kills, arguments.store, arguments.seed)
    print(json.dumps(found))
    wrong = (
        "lost",
        "twice",
        "never_sent",
        "pictures_wrong",
        "reviews_lost",
        "reviews_owed",
        "audit_broken",
        "retained",
    )
    return int(any(found[name] for name in wrong))


if __name__ == "__main__":
    sys.exit(main())
