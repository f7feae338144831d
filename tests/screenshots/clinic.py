"""The pictures of docs/clinic.md: the clinic's page of a real agent on a busy day, with phantoms for patients.

python tests/screenshots/clinic.py docs/images

It starts mosquitto and an agent, plays the doctor's inbox, and looks at the page with Chromium. Everything shown is
synthetic.
"""

import io
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from edge.phantom import phantom
from edge.wire.messages import Receipt, Report, Review, decode, encode
from edge.wire.topics import Address, Kind, Topic

SEEDS = (4_000_000, 4_000_009, 4_000_012, 4_000_005, 4_000_014, 4_000_015)
"""One film each, in this order; every odd one shows an opacity."""
ADDRESS = Address("xray", "hill-clinic", "box-1")
ANSWERS: tuple[dict[str, Any] | None, ...] = (
    {"verdict": "agree", "label": "clear"},
    {"verdict": "agree", "label": "opacity", "call_back": True, "text": "Please call me before the patient leaves."},
    {"verdict": "cannot-judge", "new_image": True, "text": "The right edge is cut off."},
    {"verdict": "disagree", "label": "clear", "text": "That is the breast shadow."},
    None,  # opened
)
"""The doctor's answer to each film; the last one nobody has opened."""
MAX_BYTES = 150_000
COLOURS = 128


class Inbox:
    """Plays the doctor's inbox: a receipt for each report, and what the doctor says when asked to."""

    def __init__(self, port: int) -> None:
        self.reports: list[Report] = []
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        self._client.on_message = self._received
        self._client.connect("127.0.0.1", port)
        self._client.subscribe([(ADDRESS.report("+"), 1), (ADDRESS.preview("+"), 1)])
        self._client.loop_start()

    def review(self, report: Report, answer: dict[str, Any] | None) -> None:
        """Open a report, and answer it where there is an answer."""
        opened = Review(id=report.id, revision=1, state="opened", at=datetime.now(UTC), reader="Dr. Weber")
        review = opened if answer is None else msgspec.structs.replace(opened, state="answered", **answer)
        self._client.publish(ADDRESS.review(report.id), encode(review), qos=1, retain=True).wait_for_publish(10)

    def has(self, count: int) -> bool:
        """Whether so many reports have come."""
        return len(self.reports) == count

    def close(self) -> None:
        """Disconnect."""
        self._client.disconnect()
        self._client.loop_stop()

    def _received(self, _client: object, _userdata: object, message: mqtt.MQTTMessage) -> None:
        topic = Topic.parse(message.topic, ADDRESS.prefix)
        if topic.kind is Kind.REPORT:
            self.reports.append(decode(bytes(message.payload), Report))
        receipt = Receipt(id=topic.of, stored_at=datetime.now(UTC), preview=topic.kind is Kind.PREVIEW)
        self._client.publish(ADDRESS.receipt(topic.of), encode(receipt), qos=1)


def main(folder: Path) -> None:
    """Make the pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place, sync_playwright() as playwright:
        broker, page = _free_port(), _free_port()
        with _running(Path(place), broker, page) as (watched, inbox):
            for count, seed in enumerate(SEEDS, start=1):
                _drop(watched, f"{count}.png", phantom(seed).png())
                _wait(partial(inbox.has, count))
            _drop(watched, "letter.pdf", b"%PDF-1.4 a letter, and no picture")
            _wait((watched / "quarantine" / "letter.pdf").exists)
            for report, answer in zip(inbox.reports, ANSWERS, strict=False):
                inbox.review(report, answer)
            time.sleep(2)
            chromium = shutil.which("chromium")
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
            url = f"http://127.0.0.1:{page}"
            _shoot(browser, f"{url}/", folder / "clinic-pictures.png", (1440, 900))
            _shoot(browser, f"{url}/", folder / "clinic-phone.png", (360, 640))
            _shoot(browser, f"{url}/reports/{inbox.reports[1].id}", folder / "clinic-picture.png", (1200, 800))
            _shoot(browser, f"{url}/quarantine", folder / "clinic-set-aside.png", (1200, 800))
            browser.close()


def _shoot(browser: Browser, url: str, file: Path, size: tuple[int, int]) -> None:
    page = browser.new_page(viewport={"width": size[0], "height": size[1]})
    page.goto(url)
    page.wait_for_load_state("networkidle")
    shown = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    shown.quantize(COLOURS).save(file, optimize=True)
    page.close()
    if file.stat().st_size > MAX_BYTES:
        sys.exit(f"{file} has {file.stat().st_size} bytes, at most {MAX_BYTES} are wanted")
    print(f"{file}: {file.stat().st_size / 1000:.0f} KB")


@contextmanager
def _running(place: Path, broker: int, page: int) -> Iterator[tuple[Path, Inbox]]:
    watched = place / "in"
    watched.mkdir()
    config = place / "mosquitto.conf"
    config.write_text(f"listener {broker} 127.0.0.1\nallow_anonymous true\n")
    path = os.environ["PATH"] + os.pathsep + "/usr/sbin"
    processes = [subprocess.Popen([shutil.which("mosquitto", path=path) or "mosquitto", "-c", config])]
    try:
        _wait(lambda: _answers(broker))
        inbox = Inbox(broker)
        processes.append(subprocess.Popen(_agent(watched, broker, page)))
        _wait(lambda: _answers(page))
        yield watched, inbox
        inbox.close()
    finally:
        for process in reversed(processes):
            process.terminate()
            process.wait(20)


def _agent(watched: Path, broker: int, page: int) -> list[str]:
    bundle = files("edge") / "demo-model.bundle"
    return [
        sys.executable, "-m", "edge.cli", "--broker", f"127.0.0.1:{broker}", "--model", str(bundle), "--allow-unsigned",
        "--watch", str(watched), "--site", ADDRESS.site, "--device", ADDRESS.device, "--page", f"127.0.0.1:{page}",
        "--settle-s", "0.2", "--patience-s", "1", "--log-level", "warning",
    ]  # fmt: skip


def _drop(folder: Path, name: str, content: bytes) -> None:
    partial = folder / f".{name}"
    partial.write_bytes(content)
    partial.rename(folder / name)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _wait(condition: Callable[[], bool], timeout_s: float = 60) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline_s:
            sys.exit("nothing of the kind within a minute")
        time.sleep(0.1)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
