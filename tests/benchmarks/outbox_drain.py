"""How fast a full outbox empties, beside what bare paho-mqtt does with the same messages and the same broker.

    python tests/benchmarks/outbox_drain.py [--reports 100000] [--receipts]

Both sides send the same reports, QoS 1, to one mosquitto, in turns: a second of the outbox's process, a second of that
with bare paho-mqtt, and so on; the other one is stopped meanwhile. The outbox's side is the publisher as the agent runs
it: it reads the reports, marks them as tried, sends them, and marks what the broker has acknowledged. The bare side
publishes ready-made bytes and counts acknowledgements. A rate is acknowledged messages a second; nobody subscribes,
because what a receiver costs is the same for both. With `--receipts` a small receiver stands at the other end of both
sides and sends a receipt for each report; the outbox's side then ends when nothing is owed. Prints one JSON document.
"""

import argparse
import itertools
import json
import os
import platform
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from multiprocessing import Process, Value
from pathlib import Path
from threading import Event, Semaphore
from typing import TYPE_CHECKING

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from edge.delivery.health import Vitals
from edge.delivery.publish import Publisher
from edge.mqtt.broker import MAX_IN_FLIGHT, Acknowledged, Line
from edge.outbox.outbox import Outbox
from edge.settings.config import BrokerConfig
from edge.settings.delivery import OutboxConfig
from edge.wire.messages import ModelIdentity, Report, encode, report_id
from edge.wire.topics import Address

if TYPE_CHECKING:
    from multiprocessing.sharedctypes import Synchronized

PATH = os.environ["PATH"] + os.pathsep + "/usr/sbin"  # where Debian keeps mosquitto


BOX = Address("xray", "clinic", "box-1")
"""Of the outbox's side; bare paho-mqtt publishes as box-2."""
RECEIVER = """
import sys, paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
def answer(client, _, message):
    prefix, report = message.topic.rsplit("/report/", 1)
    client.publish(f"{prefix}/receipt/{report}", '{"id":"%s","stored_at":"2026-01-02T00:00:00Z"}' % report, qos=1)
client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
client.on_message = answer
client.on_subscribe = lambda *_: print("ready", flush=True)
client.max_inflight_messages_set(1000)
client.connect("127.0.0.1", int(sys.argv[1]))
client.subscribe("xray/v1/+/+/report/+", qos=1)
client.loop_forever()
"""


def free_port() -> int:
    """A port of the loopback interface that nobody has now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def a_report(number: int) -> Report:
    """As large as a real one."""
    heatmap = tuple(tuple(round((row * 7 + column + number % 50) / 100, 3) for column in range(7)) for row in range(7))
    return Report(
        id=report_id(f"{number:064x}", "0" * 64), site=BOX.site, device=BOX.device,
        received_at=datetime(2026, 1, 2, tzinfo=UTC), clock_synced=True, origin="folder", decision="covid",
        probabilities={"covid": 0.971, "normal": 0.029}, positive="covid", threshold=0.5, heatmap=heatmap,
        guard={"side_px": 512.0, "contrast": 60.2}, reason=None,
        model=ModelIdentity(
            id="paper-mobilenet@0123456789ab", sha256="0" * 64, signed=True, runtime="litert",
            validated_on="98.4% right on 700 images of 'phantoms', drawn at random and held out of training.",
            not_validated_on="images from hospitals, machines or patients outside 'phantoms', clinical use.",
        ),
        timings_ms={"decode": 3.1, "preprocess": 1.0, "guard": 0.4, "classify": 9.8, "explain": 0.5},
    )  # fmt: skip


def fill(outbox: Outbox, count: int) -> None:
    """Put reports into an outbox; all at once, because filling is not what is timed."""
    with outbox.transaction():
        for number in range(count):
            report = a_report(number)
            outbox.execute("INSERT INTO report (id, state, stored_at) VALUES (?, 'queued', '2026-01-02')", (report.id,))
            outbox.execute("INSERT INTO document VALUES (last_insert_rowid(), ?)", (encode(report),))


def drain(path: Path, port: int, counter: "Synchronized[int]", *, receipts: bool) -> None:
    """The outbox's side: the publisher as the agent runs it; counts what is acknowledged, or received and noted."""
    if receipts:
        _count_calls(Outbox, "mark_received", counter)
    else:
        _count_calls(Line, "next_event", counter, only=Acknowledged)
    Publisher(
        BrokerConfig(address=f"127.0.0.1:{port}"),
        address=BOX,
        outbox=path,
        limits=OutboxConfig(min_free_bytes=0),
        vitals=Vitals(state_dir=path.parent, model_id="m", unanswered_after=None, count_quarantined=lambda: 0),
        about=lambda _: {},
        commands={},
        receipt_timeout_s=600,
    ).run(Event())


def _count_calls(owner: type, name: str, counter: "Synchronized[int]", only: type = object) -> None:
    call = getattr(owner, name)

    def counted(*args: object, **kwargs: object) -> object:
        result = call(*args, **kwargs)
        if result is not None and isinstance(result, only):
            counter.value += 1
        return result

    setattr(owner, name, counted)


def bare(payloads: Path, port: int, counter: "Synchronized[int]", *, receipts: bool) -> None:
    """The other side: paho-mqtt and nothing else, for ever; as many under way as paho allows."""
    messages = payloads.read_bytes().splitlines()
    room = Semaphore(200)
    client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)

    def done(*_: object) -> None:
        counter.value += 1
        room.release()

    if receipts:
        client.on_message = done
    else:
        client.on_publish = done
    client.max_inflight_messages_set(MAX_IN_FLIGHT)
    client.connect("127.0.0.1", port)
    client.subscribe("xray/v1/clinic/box-2/receipt/+", qos=1)
    client.loop_start()
    for number in itertools.count():
        room.acquire()
        message = messages[number % len(messages)]
        client.publish(f"xray/v1/clinic/box-2/report/{number:032x}", message, qos=1)


def measure(side: Process, counter: "Synchronized[int]", segment_s: float) -> float:
    """Let one side run for a segment, and tell its rate."""
    os.kill(side.pid, signal.SIGCONT)
    before, start_s = counter.value, time.perf_counter()
    time.sleep(segment_s)
    rate = (counter.value - before) / (time.perf_counter() - start_s)
    os.kill(side.pid, signal.SIGSTOP)
    return rate


def run(folder: Path, count: int, segment_s: float, *, receipts: bool) -> dict[str, object]:
    """Both sides in turn until the outbox is empty."""
    with Outbox(folder / "outbox.sqlite3") as outbox:
        fill(outbox, count)
    (folder / "payloads").write_bytes(b"\n".join(encode(a_report(number)) for number in range(1000)))
    port = free_port()
    (folder / "mosquitto.conf").write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous true\nlog_dest none\nmax_queued_messages 0\n"
    )
    processes = [subprocess.Popen(["mosquitto", "-c", folder / "mosquitto.conf"], env={**os.environ, "PATH": PATH})]
    time.sleep(1)
    if receipts:
        processes.append(subprocess.Popen([sys.executable, "-c", RECEIVER, str(port)], stdout=subprocess.PIPE))
        processes[-1].stdout.readline()
    counters = [Value("l", 0, lock=False), Value("l", 0, lock=False)]
    sides = [
        Process(target=side, args=(place, port, counter), kwargs={"receipts": receipts}, daemon=True)
        for side, place, counter in zip(
            (drain, bare), (folder / "outbox.sqlite3", folder / "payloads"), counters, strict=True
        )
    ]
    rates: list[list[float]] = [[], []]
    try:
        for side, counter in zip(sides, counters, strict=True):
            side.start()
            while counter.value == 0:
                time.sleep(0.01)
            os.kill(side.pid, signal.SIGSTOP)
        while counters[0].value < count * 0.99 - 1000:
            for side, counter, found in zip(sides, counters, rates, strict=True):
                found.append(measure(side, counter, segment_s))
        drained = finish(folder / "outbox.sqlite3", sides[0], receipts=receipts)
    finally:
        for side in sides:
            os.kill(side.pid, signal.SIGKILL)
        for process in processes:
            process.kill()
    return result_of(rates, count, drained=drained)


def finish(path: Path, side: Process, *, receipts: bool) -> bool:
    """Let the outbox's side do the rest, and see in the file that nothing is left."""
    os.kill(side.pid, signal.SIGCONT)
    states = ("received",) if receipts else ("sent", "received")
    deadline_s = time.monotonic() + 60
    with Outbox(path) as outbox:
        while time.monotonic() < deadline_s:
            rows = dict(outbox.execute("SELECT state, count(*) FROM report GROUP BY state"))
            if set(rows) <= set(states):
                return True
            time.sleep(0.1)
    return False


def result_of(rates: list[list[float]], count: int, *, drained: bool) -> dict[str, object]:
    """Medians, and the median of the ratios of neighbours."""
    ratios = [ours / theirs for ours, theirs in zip(*rates, strict=True)]
    return {
        "reports": count,
        "drained": drained,
        "outbox_per_s": round(statistics.median(rates[0])),
        "bare_paho_per_s": round(statistics.median(rates[1])),
        "ratio": round(statistics.median(ratios), 3),
        "ratio_lowest": round(min(ratios), 3),
        "segments": len(ratios),
    }


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reports", type=int, default=100_000)
    parser.add_argument("--segment-s", type=float, default=1.0)
    parser.add_argument("--receipts", action="store_true", help="wait for a receipt for each report")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = run(Path(folder), options.reports, options.segment_s, receipts=options.receipts)
    result["receipts"] = options.receipts
    result["machine"] = f"{platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}"
    print(json.dumps(result))
    return 0 if result["drained"] else 1


if __name__ == "__main__":
    sys.exit(main())
