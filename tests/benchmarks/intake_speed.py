"""What the pipeline costs beside decoding, inference and the disk, and how much memory the agent holds.

    python tests/benchmarks/intake_speed.py overhead --model BUNDLE [--images 1000] [--folder DIR]
    python tests/benchmarks/intake_speed.py jpeg [--rounds 5]
    python tests/benchmarks/intake_speed.py memory --model BUNDLE [--images 10000]

`overhead` runs the agent's own pipeline on a folder of images (phantoms, unless a folder is given) with one thread of
the interpreter, and takes the processor time of the pipeline's thread apart: network, the rest of the assessment,
waiting for the child, statements that write to the disk, everything else. Processor time, because what else the machine
does must not count. `jpeg` decodes a photograph of 13 megapixels as the agent does and in full, in turn. `memory` runs
the real agent with its child on phantoms and samples what both hold together. Prints one JSON document.
"""

import argparse
import io
import json
import logging
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import psutil
from PIL import Image

from edge import agent
from edge.assess import Assessor
from edge.bundle.bundle import read_bundle
from edge.classify import Classifier
from edge.database import Database
from edge.decoding.attempts import Attempts
from edge.decoding.decode import decode, read
from edge.decoding.decoder import Decoding, one_ahead
from edge.doors import watched_folders
from edge.intake.folder import FolderIntake
from edge.phantom import phantom
from edge.preprocess import preprocess
from edge.pseudonym import Pseudonyms
from edge.settings.config import AgentConfig, load

JPEG_SIZE = (4160, 3120)


class Ledger:
    """Processor time of one thread by what it was spent on; what is inside something else is not counted there."""

    def __init__(self) -> None:
        self.spent_s: dict[str, float] = defaultdict(float)
        self._stack: list[str] = []
        self._since_s = time.thread_time()
        self.bookings = 0

    def _switch(self) -> None:
        now_s = time.thread_time()
        self.spent_s[self._stack[-1] if self._stack else "everything else"] += now_s - self._since_s
        self._since_s = now_s

    @contextmanager
    def on(self, what: str) -> Iterator[None]:
        """Book what follows under a name."""
        self.bookings += 1
        self._switch()
        self._stack.append(what)
        try:
            yield
        finally:
            self._switch()
            self._stack.pop()

    def book(self, holder: type, name: str, what: str) -> None:
        """Book every call of a method under a name."""
        method: Callable[..., Any] = getattr(holder, name)

        def booked(*arguments: Any, **options: Any) -> Any:
            with self.on(what):
                return method(*arguments, **options)

        setattr(holder, name, booked)


def booking_s() -> float:
    """What one booking costs whoever is outside of it."""
    ledger = Ledger()
    with ledger.on("outside"):
        for _ in range(10_000):
            with ledger.on("inside"):
                pass
    return ledger.spent_s["outside"] / 10_000


def drop_phantoms(folder: Path, count: int, *, different: int = 100) -> None:
    """Phantoms that differ in their last bytes at least, so that each is an image of its own."""
    contents = [phantom(seed).png() for seed in range(min(count, different))]
    for number in range(count):
        (folder / f"{number:06d}.png").write_bytes(contents[number % different] + f"{number:06d}".encode())


def overhead(options: argparse.Namespace) -> dict[str, object]:
    """Take the pipeline's time apart."""
    logging.basicConfig(stream=io.StringIO(), level=logging.INFO)
    with tempfile.TemporaryDirectory() as name:
        watched = Path(name) / "in"
        watched.mkdir()
        if options.folder:
            for number, path in enumerate(sorted(options.folder.iterdir())[: options.images]):
                shutil.copy(path, watched / f"{number:06d}{path.suffix}")
        else:
            drop_phantoms(watched, options.images)
        count = len(list(watched.iterdir()))
        config = load({"watch": [str(watched)], "state": f"{name}/state", "settle_s": 0, "threads": 1})
        ledger = _run_pipeline(config, options.model, count)
    ledger.spent_s["everything else"] -= ledger.bookings * booking_s()
    network_s = ledger.spent_s["network"]
    inference_s = network_s + ledger.spent_s["the rest of the assessment"]
    return {
        "model": options.model.name,
        "images": count,
        "milliseconds of processor time an image": {
            what: round(seconds / count * 1000, 3) for what, seconds in sorted(ledger.spent_s.items())
        },
        "everything else / network": round(ledger.spent_s["everything else"] / network_s, 3),
        "everything else / assessment": round(ledger.spent_s["everything else"] / inference_s, 3),
    }


def _run_pipeline(config: AgentConfig, model: Path, count: int) -> Ledger:
    config.state_dir.mkdir()
    with (
        Attempts(config.state_dir) as attempts,
        agent._decoder(config, attempts) as decoder,
        agent.open_outbox(config) as outbox,
        Pseudonyms(config.state_dir) as pseudonyms,
    ):
        stop, settled = Event(), 0
        intake = FolderIntake(watched_folders(config), device="box-1", attempts=attempts)
        assessor = Assessor(read_bundle(model), threads=1)
        settle = intake.settle

        def settle_and_count(*arguments: Any) -> None:
            nonlocal settled
            settle(*arguments)
            settled += 1
            if settled == count:
                stop.set()

        intake.settle = settle_and_count  # type: ignore[method-assign, assignment]
        ledger = Ledger()
        ledger.book(Classifier, "run", "network")
        ledger.book(Assessor, "assess", "the rest of the assessment")
        ledger.book(Decoding, "wait", "waiting for the child")
        ledger.book(Database, "execute", "the database and its syncs")
        with ledger.on("everything else"):
            agent.process(
                one_ahead(intake.arrivals(stop), decoder), intake, assessor, outbox, pseudonyms,
                config=config, stop=stop,
            )  # fmt: skip
    return ledger


def jpeg(options: argparse.Namespace) -> dict[str, object]:
    """Photographs of 13 megapixels, reduced while decoding and in full, to the network's input."""
    luck = np.random.default_rng(1)
    film = phantom(3).pixels.astype(float)
    big = Image.fromarray((film / film.max() * 255).astype(np.uint8)).resize(JPEG_SIZE, Image.Resampling.BICUBIC)
    noisy = np.clip(np.asarray(big, float) + luck.normal(0, 4, JPEG_SIZE[::-1]), 0, 255).astype(np.uint8)
    results: dict[str, object] = {}
    for mode, quality, progressive in (
        ("RGB", 75, False), ("RGB", 90, False), ("RGB", 95, False), ("L", 75, False), ("L", 90, False),
        ("RGB", 90, True),
    ):  # fmt: skip
        buffer = io.BytesIO()
        Image.fromarray(noisy).convert(mode).save(buffer, "JPEG", quality=quality, progressive=progressive)
        content = buffer.getvalue()
        times: dict[str, list[float]] = {"reduced": [], "full": []}
        for _ in range(options.rounds):
            for name, decode_one in (("reduced", _reduced), ("full", _full)):
                start_s = time.process_time()
                decode_one(content)
                times[name].append(time.process_time() - start_s)
        reduced_s, full_s = (statistics.median(times[name]) for name in ("reduced", "full"))
        key = f"{'colour' if mode == 'RGB' else 'gray'}, quality {quality}{', progressive' if progressive else ''}"
        results[key] = {
            "reduced_ms": round(reduced_s * 1000), "full_ms": round(full_s * 1000),
            "times faster": round(full_s / reduced_s, 2), "megabytes": round(len(content) / 1e6, 1),
        }  # fmt: skip
    return results


def _reduced(content: bytes) -> None:
    preprocess(decode(content))


def _full(content: bytes) -> None:
    preprocess(read(content, whole=True)[0])


def memory(options: argparse.Namespace) -> dict[str, object]:
    """The real agent and its child, over many images; no broker answers, which keeps all reports at home."""
    with tempfile.TemporaryDirectory() as name:
        watched = Path(name) / "in"
        watched.mkdir()
        command = [
            sys.executable, "-m", "edge.cli", "--model", options.model, "--allow-unsigned", "--watch", watched,
            "--state", f"{name}/state", "--broker", "127.0.0.1:1", "--first-contact-s", "0", "--log-level", "warning",
            "--settle-s", "0.2",
        ]  # fmt: skip
        with (Path(name) / "log").open("wb") as log:
            process = subprocess.Popen([str(part) for part in command], stdout=log, stderr=log)
            try:
                samples = list(_memory_samples(process.pid, watched, options.images))
            finally:
                process.terminate()
                process.wait(30)
    return {"model": options.model.name, "images, resident megabytes and proportional megabytes": samples}


def _memory_samples(pid: int, watched: Path, images: int) -> Iterator[tuple[int, float, float]]:
    done, step, archive = 0, max(1, images // 10), watched / "archive"
    while done < images:
        made = Path(f"{watched}-next")
        made.mkdir()
        drop_phantoms(made, step, different=10)
        for path in made.iterdir():
            path.write_bytes(path.read_bytes() + f"-{done}".encode())
            path.rename(watched / f"{done:06d}-{path.name}")
        made.rmdir()
        done += step
        while not archive.exists() or len(list(archive.iterdir())) < done:
            time.sleep(0.2)
        both = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
        infos = [one.memory_full_info() for one in both]
        sample = done, round(sum(i.rss for i in infos) / 1e6, 1), round(sum(i.pss for i in infos) / 1e6, 1)
        print(sample, file=sys.stderr, flush=True)
        yield sample


def main() -> int:
    """Run one of the three."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("overhead", "jpeg", "memory"))
    parser.add_argument("--model", type=Path)
    parser.add_argument("--images", type=int)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    options.images = options.images or (1000 if options.what == "overhead" else 10_000)
    result = {"overhead": overhead, "jpeg": jpeg, "memory": memory}[options.what](options)
    machine = f"{platform.machine()}, {platform.python_implementation()} {platform.python_version()}"
    print(json.dumps(result | {"machine": machine}, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
