"""How long the doctor's pages take with many stored reports: the worklist, its filters, a report, over HTTP.

    python tests/benchmarks/worklist_page.py [--reports N] [--rounds N] [--rate N] [--store FILE_OR_URL]

Fills a fresh store (a file in a temporary folder unless named), serves the pages and asks for each of them in turn as a
browser would, signed in; with `--rate`, so many more reports a second are stored meanwhile. Prints one JSON document
with median, p95 and n of each page in milliseconds.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path
from threading import Event, Thread

import httpx
import msgspec

from doctor import reports
from doctor.accounts import Role
from doctor.store import Store
from doctor.web import server
from doctor.web.app import make_app
from edge.wire.messages import Report

GOLDEN = Path(__file__).parents[1] / "edge" / "golden" / "report.json"
DECISIONS = ("covid", "normal", "normal", "normal", "inconclusive", "normal", "not-assessable", "normal")
PASSWORD = "correct horse battery staple"  # noqa: S105 - of an inbox that lives for minutes
AT_ONCE = 1000


def fill(store: Store, count: int) -> None:
    """Twenty clinics' reports, all to be read; every tenth study has two images."""
    golden = msgspec.json.decode(GOLDEN.read_bytes(), type=Report)
    for start in range(0, count, AT_ONCE):
        with store.database.writing() as writing:
            for number in range(start, min(start + AT_ONCE, count)):
                study = number - 1 if number % 10 == 1 else number
                changes = {"site": f"clinic-{study % 20:02}", "study": f"s-{study:016x}", "patient": f"p-{study:016x}"}
                decision = DECISIONS[number % len(DECISIONS)]
                report = msgspec.structs.replace(golden, id=f"{number:032x}", seq=number, decision=decision, **changes)
                reports.add(writing, report)


def keep_coming(store: Store, rate: float, first: int, stop: Event) -> None:
    """Store so many reports a second until stopped."""
    golden = msgspec.json.decode(GOLDEN.read_bytes(), type=Report)
    number, start_s = first, time.monotonic()
    while not stop.wait(max(0.0, start_s + (number - first) / rate - time.monotonic())):
        store.add(msgspec.structs.replace(golden, id=f"{number:032x}", seq=number, patient=None, study=None))
        number += 1


def measure(client: httpx.Client, address: str, rounds: int) -> dict[str, float]:
    """Milliseconds of one page."""
    samples_ms = []
    for _ in range(rounds):
        start_s = time.perf_counter()
        answer = client.get(address)
        samples_ms.append((time.perf_counter() - start_s) * 1000)
        answer.raise_for_status()
    ordered = sorted(samples_ms)
    return {
        "median_ms": round(statistics.median(samples_ms), 1),
        "p95_ms": round(ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))], 1),
        "n": rounds,
    }


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reports", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument(
        "--rate", type=float, default=0.0, help="reports a second that arrive meanwhile (default: none)"
    )
    parser.add_argument("--store", help="a fresh one")
    arguments = parser.parse_args()
    stop = Event()
    with (
        tempfile.TemporaryDirectory() as place,
        Store.open(arguments.store or Path(place) / "inbox.sqlite3") as store,
        server.listening("127.0.0.1", 0) as taken,
    ):
        fill(store, arguments.reports)
        account = store.add_account("amy", "Dr. A. Reader", Role.READER, PASSWORD)
        app = make_app(store, setup="none", stop=stop)
        with (
            server.served(app, taken, stop=stop),
            httpx.Client(base_url=server.address_of(taken), timeout=60) as client,
        ):
            client.post("/login", data={"name": account.name, "password": PASSWORD})
            pages = {
                "worklist": "/",
                "one clinic": "/?clinic=clinic-07",
                "one finding": "/?finding=inconclusive",
                "overdue": "/?view=overdue",
                "all": "/?view=all",
                "statistics": "/statistics",
                "report": f"/report/{arguments.reports // 2}",
            }
            coming = Thread(target=keep_coming, args=(store, arguments.rate, arguments.reports, stop))
            if arguments.rate:
                coming.start()
            result = {name: measure(client, address, arguments.rounds) for name, address in pages.items()}
            stop.set()
            if arguments.rate:
                coming.join()
    machine = {"machine": platform.processor() or platform.machine(), "cores": os.cpu_count()}
    json.dump({"reports": arguments.reports, "rate": arguments.rate, **machine, "pages": result}, sys.stdout, indent=2)
    print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
