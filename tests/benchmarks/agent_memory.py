"""How much memory the agent and its child hold, image after image, and whether it grows.

    python tests/benchmarks/agent_memory.py --model BUNDLE [--images 10000]

Runs the real `edge-agent` with a real mosquitto; a small receiver sends a receipt for each report, so that pictures are
sent and settled, too. The images are phantoms, re-encoded as what clinics send: PNG and JPEG, gray and colour, of 0.3
to 13 megapixels, each with bytes of its own. Every hundred images both processes are looked at: resident memory, where
a page that both map counts twice, and proportional, where it counts once. Growth is the slope of a straight line
through all samples but those of the first 500 images. Prints one JSON document.
"""

import argparse
import io
import itertools
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import paho.mqtt.client as mqtt
import psutil
from paho.mqtt.enums import CallbackAPIVersion
from PIL import Image

from edge.phantom import phantom

PATH = os.environ["PATH"] + os.pathsep + "/usr/sbin"  # where Debian keeps mosquitto
LOOK_EVERY = 100
SETTLING = 500
"""Images after which nothing should grow any more."""
KINDS = (
    ("PNG", "L", (512, 512), 20),
    ("JPEG", "L", (1024, 1024), 8),
    ("JPEG", "RGB", (1600, 1300), 4),
    ("JPEG", "L", (2000, 2430), 4),
    ("PNG", "L", (2000, 2430), 2),
    ("JPEG", "RGB", (4160, 3120), 2),
)
"""Format, mode, width and height, and how many of forty images are so."""


def free_port() -> int:
    """A port of the loopback interface that nobody has now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def contents() -> list[bytes]:
    """Forty images, mixed."""
    made = []
    for kind, mode, size, count in KINDS:
        for seed in range(count):
            film = phantom(seed).pixels
            picture = Image.fromarray(film).resize(size, Image.Resampling.BICUBIC).convert(mode)
            buffer = io.BytesIO()
            picture.save(buffer, kind, **({"quality": 85} if kind == "JPEG" else {"compress_level": 1}))
            made.append(buffer.getvalue())
    return [made[index] for index in np.random.default_rng(0).permutation(len(made))]


@contextmanager
def receiver(port: int) -> Iterator[dict[str, int]]:
    """Send a receipt for each report and each picture that comes; counts them."""
    came = {"report": 0, "preview": 0}
    client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)

    def answer(client: mqtt.Client, _: object, message: mqtt.MQTTMessage) -> None:
        prefix, kind, name = message.topic.rsplit("/", 2)
        came[kind] += 1
        receipt = {"id": name, "stored_at": "2026-01-02T00:00:00Z", "preview": kind == "preview"}
        client.publish(f"{prefix}/receipt/{name}", msgspec.json.encode(receipt), qos=1)

    client.on_message = answer
    client.connect("127.0.0.1", port)
    client.subscribe([("xray/v1/+/+/report/+", 1), ("xray/v1/+/+/preview/+", 1)])
    client.loop_start()
    try:
        yield came
    finally:
        client.loop_stop()


@contextmanager
def running(command: list[object], log: Path) -> Iterator[int]:
    """A process, while this lasts."""
    with log.open("wb") as file:
        process = subprocess.Popen(
            [str(part) for part in command], stdout=file, stderr=file, env={**os.environ, "PATH": PATH}
        )
        try:
            yield process.pid
        finally:
            process.terminate()
            process.wait(60)


def samples(agent: int, watched: Path, images: int) -> Iterator[dict[str, float]]:
    """Drop images as they are taken, and look at both processes every so many."""
    numbered, archive = enumerate(itertools.cycle(contents())), watched / "archive"
    for done in range(0, images, LOOK_EVERY):
        for number, content in itertools.islice(numbered, LOOK_EVERY):
            partial = watched / f".{number}.part"
            partial.write_bytes(content + f"{number:06d}".encode())
            partial.rename(watched / f"{number:06d}")
        while not archive.exists() or sum(1 for _ in os.scandir(archive)) < done + LOOK_EVERY:
            if not psutil.pid_exists(agent):
                raise RuntimeError("the agent has ended")
            time.sleep(0.2)
        sample = {"images": float(done + LOOK_EVERY), **memory_of(agent)}
        print(sample, file=sys.stderr, flush=True)
        yield sample


def memory_of(agent: int) -> dict[str, float]:
    """Megabytes of the agent, its child, and both."""
    process = psutil.Process(agent)
    own, *children = [each.memory_full_info() for each in (process, *process.children(recursive=True))]
    return {
        "agent": round(own.rss / 1e6, 2),
        "child": round(sum(each.rss for each in children) / 1e6, 2),
        "resident": round((own.rss + sum(each.rss for each in children)) / 1e6, 2),
        "proportional": round((own.pss + sum(each.pss for each in children)) / 1e6, 2),
    }


def growth(found: list[dict[str, float]], what: str) -> float:
    """Megabytes a thousand images: the slope of a straight line."""
    settled = [sample for sample in found if sample["images"] > SETTLING]
    slope, _ = statistics.linear_regression(
        [sample["images"] for sample in settled], [sample[what] for sample in settled]
    )
    return round(slope * 1000, 3)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """One run."""
    port = free_port()
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        root = Path(name)
        watched = root / "in"
        watched.mkdir()
        (root / "mosquitto.conf").write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nlog_dest none\n")
        stack.enter_context(running(["mosquitto", "-c", root / "mosquitto.conf"], root / "mosquitto.log"))
        time.sleep(1)
        came = stack.enter_context(receiver(port))
        command = [
            sys.executable, "-m", "edge.cli", "--model", options.model, "--allow-unsigned", "--watch", watched,
            "--state", root / "state", "--broker", f"127.0.0.1:{port}", "--log-level", "warning", "--settle-s", "0.1",
        ]  # fmt: skip
        agent = stack.enter_context(running(command, root / "agent.log"))
        started_s = time.monotonic()
        found = list(samples(agent, watched, options.images))
        took_s = time.monotonic() - started_s
        deadline_s = time.monotonic() + 60
        while came["report"] < options.images and time.monotonic() < deadline_s:
            time.sleep(0.2)
        return {
            "images": options.images,
            "seconds": round(took_s),
            "reports and pictures received": dict(came),
            **{
                what: {
                    "at 500": next((each[what] for each in found if each["images"] >= SETTLING), None),
                    "at the end": found[-1][what],
                    "most": max(each[what] for each in found),
                    "growth a thousand images": growth(found, what),
                }
                for what in ("agent", "child", "resident", "proportional")
            },
        }


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--images", type=int, default=10_000)
    options = parser.parse_args()
    result = {"model": options.model.name, **run(options)}
    result["machine"] = f"{platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}"
    print(json.dumps(result, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
