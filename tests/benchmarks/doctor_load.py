"""How fast the worklist is with many stored reports, and with twenty clinics that all send; and whether all arrives.

    python tests/benchmarks/doctor_load.py --store sqlite --minutes 10

1. Fills a fresh store, half of it answered, and times the worklist: the query, and the page over HTTP.
2. Lets 20 boxes send 50 reports a second altogether, each with a picture of 15 KB, through a real mosquitto to the real
   `edge-doctor`, while somebody opens the worklist's page once a second.
3. Compares what the boxes sent with what is stored.

Prints one JSON document; exit code 1 if anything was lost or came twice. Times are milliseconds.
"""

import argparse
import json
import os
import platform
import random
import re
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from statistics import median
from threading import Event, Thread

import httpx
import msgspec
import sqlalchemy as sa

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "campaigns")]

from conftest import Mosquitto, Postgresql, Process  # noqa: E402 - found by the path above
from inbox_kills import GOLDEN, Box  # noqa: E402

from doctor import reports, reviews, schema  # noqa: E402
from doctor.accounts import Account, Role  # noqa: E402
from doctor.reviews import Answer  # noqa: E402
from doctor.store import Store  # noqa: E402
from doctor.worklist import Filter, Show  # noqa: E402
from edge.settings.config import BrokerConfig  # noqa: E402

PASSWORD = "of nobody in particular"  # noqa: S105
ROUNDS = 101
PAGE = 50
FILTERS = {
    "open": Filter(),
    "one clinic": Filter(site="clinic-3"),
    "one finding": Filter(decision="inconclusive"),
    "overdue": Filter(show=Show.OVERDUE),
    "answered": Filter(show=Show.ANSWERED),
}


class PacedBox(Box):
    """A box that takes a picture in even time."""

    again_s = 15.0
    picture_bytes = 15_000

    def __init__(self, site: str, name: str, config: BrokerConfig, every_s: float, first_s: float) -> None:
        super().__init__(site, name, config)
        self._every_s = every_s
        self._next_s = time.monotonic() + first_s

    def is_due(self) -> bool:
        """Whether it is time for another one."""
        if time.monotonic() < self._next_s:
            return False
        self._next_s += self._every_s
        return True


class Onlooker(Thread):
    """Somebody who opens the worklist's page again and again."""

    def __init__(self, client: httpx.Client) -> None:
        super().__init__(daemon=True)
        self.ended = Event()
        self.times_ms: list[float] = []
        self._client = client

    def run(self) -> None:
        """Look once a second."""
        while not self.ended.wait(1):
            self.times_ms.append(page_ms(self._client))


def page_ms(client: httpx.Client) -> float:
    """Milliseconds until the worklist's page is here."""
    started_s = time.perf_counter()
    client.get("/").raise_for_status()
    return (time.perf_counter() - started_s) * 1000


def figures(times_ms: list[float]) -> dict[str, float]:
    """Median and 95th percentile."""
    ordered = sorted(times_ms)
    return {"median": round(median(ordered), 1), "p95": round(ordered[int(0.95 * len(ordered))], 1), "n": len(ordered)}


def timed(action: Callable[[], object]) -> dict[str, float]:
    """Milliseconds an action takes."""
    times_ms = []
    for _ in range(ROUNDS):
        started_s = time.perf_counter()
        action()
        times_ms.append((time.perf_counter() - started_s) * 1000)
    return figures(times_ms)


def fill(store: Store, count: int) -> None:
    """Reports of 20 clinics, two a study, a tenth positive; every second one answered."""
    luck, account = random.Random(1), Account("ada", "Dr. Ada Reader")
    for first in range(0, count, 500):
        with store.database.writing() as writing:
            for number in range(first, min(first + 500, count)):
                (decision,) = luck.choices(["covid", "normal", "inconclusive", "not-assessable"], [10, 75, 10, 5])
                names = {"site": f"clinic-{number // 2 % 20}", "study": f"s-{number // 2:016x}"}
                report = msgspec.structs.replace(
                    GOLDEN,
                    id=f"{number:032x}",
                    seq=number + 1,
                    decision=decision,
                    patient=f"p-{number // 4:016x}",
                    **names,
                )
                stored = reports.add(writing, report)
                if luck.random() < 0.5:
                    reviews.answer_report(writing, stored.number, Answer(verdict="agree"), account, 0)


def sign_in(store: Store, inbox: Process) -> httpx.Client:
    """A browser's end, signed in to the pages that a started inbox serves."""
    store.add_account("ada", "Dr. Ada Reader", Role.READER, PASSWORD)
    inbox.wait_for_line("The pages: ")
    (address,) = re.findall(r"The pages: (http\S+)", "\n".join(inbox.err))
    client = httpx.Client(base_url=address, timeout=30)
    client.post("/login", data={"name": "ada", "password": PASSWORD}, follow_redirects=True).raise_for_status()
    return client


def compare(store: Store, boxes: list[PacedBox]) -> dict[str, object]:
    """What the boxes sent against what is stored, and how long a report took until its receipt and its picture's."""
    sent = {report_id: one for box in boxes for report_id, one in box.ledger.items()}
    query = sa.select(schema.report.c.id, schema.report.c.has_preview).where(schema.report.c.site.like("load-%"))
    with store.database.reading() as connection:
        rows = connection.execute(query).all()
    return {
        "reports": len(sent),
        "sent_again": sum(one.times - 1 for one in sent.values()),
        "lost": len(sent.keys() - {row.id for row in rows if row.has_preview}),
        "twice": len(rows) - len({row.id for row in rows}),
        "to_receipt": figures([(one.done_s - one.made_s) * 1000 for one in sent.values()]),
    }


def load(store: Store, broker: str, client: httpx.Client, arguments: argparse.Namespace) -> dict[str, object]:
    """Let the clinics send, and look at the page meanwhile."""
    config, every_s = BrokerConfig(address=broker), arguments.clinics / arguments.rate
    boxes = [
        PacedBox(f"load-{number}", f"box-{number}", config, every_s, every_s * number / arguments.clinics)
        for number in range(arguments.clinics)
    ]
    onlooker = Onlooker(client)
    for box in boxes:
        box.start()
    onlooker.start()
    time.sleep(arguments.minutes * 60)
    onlooker.ended.set()
    for box in boxes:
        box.closing.set()
    deadline_s = time.monotonic() + 120
    while not all(box.is_settled() for box in boxes) and time.monotonic() < deadline_s:
        time.sleep(0.1)
    onlooker.join()
    found = compare(store, boxes)
    for box in boxes:
        box.ended.set()
        box.join()
    return found | {"page_meanwhile": figures(onlooker.times_ms)}


def run(arguments: argparse.Namespace) -> dict[str, object]:
    """All of it."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        place = str(folder / "inbox.sqlite3")
        if arguments.store == "postgresql":
            server = Postgresql(durable=True)
            stack.callback(server.end)
            place = server.new_place()

        def start(*command: object) -> Process:
            process = Process(*map(str, command), env={"PYTHONPATH": str(ROOT)})
            stack.callback(process.end, signal.SIGKILL)
            return process

        store = stack.enter_context(Store.open(place))
        started_s = time.monotonic()
        fill(store, arguments.stored)
        filled_s = time.monotonic() - started_s
        found: dict[str, object] = {
            "store": arguments.store, "stored": arguments.stored, "filled_s": round(filled_s),
            "machine": f"{os.cpu_count()} cores, {platform.machine()}",
            "worklist": {name: timed(partial(store.worklist, wanted, limit=PAGE)) for name, wanted in FILTERS.items()},
            "counts": timed(store.counts),
        }  # fmt: skip
        broker = Mosquitto(start, folder)
        inbox = start(
            sys.executable, "-m", "doctor.cli", "--broker", broker.address, "--store", place, "--http", "127.0.0.1:0"
        )
        client = stack.enter_context(closing(sign_in(store, inbox)))
        found["page"] = figures([page_ms(client) for _ in range(ROUNDS)])
        if arguments.minutes:
            found |= {"minutes": arguments.minutes} | load(store, broker.address, client, arguments)
        return found


def main() -> int:
    """Run it and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--stored", type=int, default=50_000)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--clinics", type=int, default=20)
    parser.add_argument("--rate", type=float, default=50, help="reports a second, of all clinics together")
    found = run(parser.parse_args())
    print(json.dumps(found, indent=2))
    return int(bool(found.get("lost") or found.get("twice")))


if __name__ == "__main__":
    sys.exit(main())
