"""What the pipeline costs beside decoding, inference and the disk, and what a large photograph costs.

    python tests/benchmarks/intake_speed.py overhead --model BUNDLE [--images 1000] [--folder DIR] [--disk DIR]
    python tests/benchmarks/intake_speed.py jpeg [--rounds 5]

`overhead` runs the agent's own line on a folder of images (phantoms, unless a folder is given) with one thread of the
interpreter, and takes the time of the line's thread apart: the network, the rest of the assessment, waiting for the
child that decodes, exchanging task and answer with it, waiting for the thread that puts away, everything else. The
overhead is the last two, beside the first two (inference). Wall time, because it is what an image waits for; processor
time beside it, because what else the machine does does not count there. `jpeg` decodes a photograph of 13 megapixels as
the agent does, in full, and by the library alone at its smallest scale, in turn. Prints one JSON document.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as `edge-agent` does; it is read when NumPy is loaded

import argparse
import io
import json
import logging
import platform
import shutil
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache, partial
from pathlib import Path
from threading import Event, get_ident
from typing import Any

import numpy as np
from PIL import Image

from edge import agent
from edge.assess import Assessor
from edge.behind import Behind
from edge.bundle.bundle import read_bundle
from edge.classify import Classifier
from edge.decoding.attempts import Attempts
from edge.decoding.decode import decode, read
from edge.decoding.decoder import Decoder, one_ahead
from edge.doors import watched_folders
from edge.intake.folder import FolderIntake
from edge.outbox.room import Room
from edge.phantom import phantom
from edge.preprocess import prepare, preprocess
from edge.settings.config import AgentConfig, load

JPEG_SIZE = (4160, 3120)
NETWORK = "network"
ASSESSMENT = "the rest of the assessment (guard, heatmap)"
CHILD = "waiting for the child that decodes"
EXCHANGE = "exchange with it"
KEEPER = "waiting for the thread that puts away"
ELSE = "everything else"
OUTSIDE = "outside"
BEHIND = "the thread that puts away, syncs included"


class Ledger:
    """Wall and processor time of one thread by what it went to; what is inside something else is not counted there."""

    def __init__(self) -> None:
        self.spent_s: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
        self._thread = get_ident()
        self._stack: list[str] = []
        self._since_s = (time.perf_counter(), time.thread_time())
        self._bookings = 0

    def _switch(self) -> None:
        now_s = (time.perf_counter(), time.thread_time())
        spent_s = self.spent_s[self._stack[-1] if self._stack else OUTSIDE]
        for clock in range(2):
            spent_s[clock] += now_s[clock] - self._since_s[clock]
        self._since_s = now_s

    @contextmanager
    def on(self, what: str) -> Iterator[None]:
        """Book what follows under a name, unless another thread does it."""
        if get_ident() != self._thread:
            yield
            return
        self._bookings += 1
        self._switch()
        self._stack.append(what)
        try:
            yield
        finally:
            self._switch()
            self._stack.pop()

    def milliseconds(self, count: int) -> dict[str, tuple[float, float]]:
        """Name to wall and processor time, each of `count`-th; without what the booking itself costs those outside."""
        outside = booking_s()
        for clock in range(2):
            self.spent_s[ELSE][clock] -= self._bookings * outside[clock]
        return {what: (wall_s / count * 1000, busy_s / count * 1000) for what, (wall_s, busy_s) in self.spent_s.items()}


@cache
def booking_s() -> tuple[float, float]:
    """What one booking costs whoever is outside of it."""
    ledger = Ledger()
    with ledger.on(ELSE):
        for _ in range(10_000):
            with ledger.on("inside"):
                pass
    wall_s, busy_s = ledger.spent_s[ELSE]
    return wall_s / 10_000, busy_s / 10_000


@contextmanager
def booked(ledgers: Sequence[Ledger], holder: object, name: str, what: str) -> Iterator[None]:
    """Book every call of a function under a name while this lasts."""
    function: Callable[..., Any] = getattr(holder, name)

    def wrapped(*arguments: Any, **options: Any) -> Any:
        with ExitStack() as stack:
            for ledger in ledgers:
                stack.enter_context(ledger.on(what))
            return function(*arguments, **options)

    setattr(holder, name, wrapped)
    try:
        yield
    finally:
        setattr(holder, name, function)


def drop_phantoms(folder: Path, count: int, *, different: int = 100) -> None:
    """Phantoms that differ in their last bytes at least, so that each is an image of its own."""
    contents = [phantom(seed).png() for seed in range(min(count, different))]
    for number in range(count):
        (folder / f"{number:06d}.png").write_bytes(contents[number % different] + f"{number:06d}".encode())


def overhead(options: argparse.Namespace) -> dict[str, object]:
    """Take the line's time apart, round after round, and set it against inference alone on the same pictures."""
    logging.basicConfig(stream=io.StringIO(), level=logging.INFO)
    assessor = Assessor(read_bundle(options.model), threads=1)
    rounds: list[dict[str, float]] = []
    for _ in range(options.rounds):
        with tempfile.TemporaryDirectory(dir=options.disk) as name:
            rounds.append(_one_round(Path(name), assessor, options))
        print(rounds[-1], file=sys.stderr, flush=True)
    return {
        "model": options.model.name,
        "images": options.images,
        "rounds": options.rounds,
        "milliseconds an image, medians of the rounds": {
            what: round(statistics.median(each[what] for each in rounds), 3) for what in rounds[0]
        },
    }


def _one_round(root: Path, assessor: Assessor, options: argparse.Namespace) -> dict[str, float]:
    watched = root / "in"
    watched.mkdir()
    if options.folder:
        for number, path in enumerate(sorted(options.folder.iterdir())[: options.images]):
            shutil.copy(path, watched / f"{number:06d}{path.suffix}")
    else:
        drop_phantoms(watched, options.images)
    paths = sorted(watched.iterdir())
    alone_ms, alone_busy_ms = _inference_alone_ms(assessor, paths[:: max(1, len(paths) // 100)])
    config = load({"watch": [str(watched)], "state": str(root / "state"), "settle_s": 0, "threads": 1})
    spent = _run_line(config, assessor, len(paths))
    wall, processor = ((spent[ELSE][clock] + spent[KEEPER][clock]) / _inference_ms(spent, clock) for clock in range(2))
    return {
        "inference alone, wall": alone_ms,
        "inference alone, processor, of all threads": alone_busy_ms,
        "the line, wall": sum(wall_ms for what, (wall_ms, _) in spent.items() if what != BEHIND),
        **{f"{what}, wall": wall_ms for what, (wall_ms, _) in spent.items()},
        **{f"{what}, processor": busy_ms for what, (_, busy_ms) in spent.items()},
        "overhead / inference, wall": wall,
        "overhead / inference, processor": processor,
    }


def _inference_ms(spent: Mapping[str, tuple[float, float]], clock: int) -> float:
    return spent[NETWORK][clock] + spent[ASSESSMENT][clock]


def _inference_alone_ms(assessor: Assessor, paths: Sequence[Path]) -> tuple[float, float]:
    pictures = [prepare(decode(path.read_bytes())) for path in paths]
    start_s = time.perf_counter(), time.process_time()
    for picture in pictures:
        assessor.judge(picture)
    each = 1000 / len(pictures)
    return (time.perf_counter() - start_s[0]) * each, (time.process_time() - start_s[1]) * each


def _run_line(config: AgentConfig, assessor: Assessor, count: int) -> dict[str, tuple[float, float]]:
    """The agent's own line, as `agent.run` sets it up: what its thread did, and the one behind it meanwhile."""
    sys.setswitchinterval(agent.SWITCH_INTERVAL_S)
    config.state_dir.mkdir()
    stop, ledger, behind = Event(), Ledger(), [0, 0.0, 0.0]
    put_away = agent.put_away

    def timed(*arguments: Any, **options: Any) -> None:
        start_s = time.perf_counter(), time.thread_time()
        put_away(*arguments, **options)
        behind[0] += 1
        behind[1] += time.perf_counter() - start_s[0]
        behind[2] += time.thread_time() - start_s[1]
        if behind[0] == count:
            stop.set()

    with ExitStack() as stack:
        attempts = stack.enter_context(Attempts(config.state_dir))
        decoder = stack.enter_context(agent.decoder_of(config, attempts))
        outbox = stack.enter_context(agent.open_outbox(config))
        intake = FolderIntake(watched_folders(config), device="box-1", attempts=attempts)
        agent.put_away = timed
        stack.callback(setattr, agent, "put_away", put_away)
        work = partial(agent.putting_away, config, intake, assessor)
        keeper = stack.enter_context(Behind(work, name="put away", most=agent.MOST_BEHIND))
        # Only now: what the thread needs is opened once, when the agent starts.
        for holder, name, what in (
            (Classifier, "run", NETWORK), (Assessor, "judge", ASSESSMENT), (Decoder, "ask", EXCHANGE),
            (Decoder, "answer", EXCHANGE), (Decoder, "await_answer", CHILD), (Behind, "_wait", KEEPER),
        ):  # fmt: skip
            stack.enter_context(booked([ledger], holder, name, what))
        arrivals = intake.arrivals(stop, at_rest=keeper.finish)
        with ledger.on(ELSE):
            agent.process(one_ahead(arrivals, decoder), intake, assessor, keeper, Room(outbox, stop))
    spent = ledger.milliseconds(count)
    del spent[OUTSIDE]
    return spent | {BEHIND: (behind[1] / count * 1000, behind[2] / count * 1000)}


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
        times: dict[str, list[float]] = {"reduced": [], "full": [], "least": []}
        for _ in range(options.rounds):
            for name, decode_one in (("reduced", _reduced), ("full", _full), ("least", _least)):
                start_s = time.process_time()
                decode_one(content)
                times[name].append(time.process_time() - start_s)
        reduced_s, full_s, least_s = (statistics.median(times[name]) for name in ("reduced", "full", "least"))
        key = f"{'colour' if mode == 'RGB' else 'gray'}, quality {quality}{', progressive' if progressive else ''}"
        results[key] = {
            "reduced_ms": round(reduced_s * 1000), "full_ms": round(full_s * 1000),
            "least_ms": round(least_s * 1000),
            "times faster": round(full_s / reduced_s, 2), "megabytes": round(len(content) / 1e6, 1),
        }  # fmt: skip
    return results


def _reduced(content: bytes) -> None:
    preprocess(decode(content))


def _least(content: bytes) -> None:
    """The library alone, at an eighth, the smallest it offers: unpacking the entropy code is nearly all of it."""
    picture = Image.open(io.BytesIO(content))
    picture.draft("L", (picture.width // 8, picture.height // 8))
    picture.load()


def _full(content: bytes) -> None:
    preprocess(read(content, whole=True)[0])


def main() -> int:
    """Run one of the two."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("overhead", "jpeg"))
    parser.add_argument("--model", type=Path)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--disk", type=Path, help="for `overhead`'s state; on /dev/shm, syncs cost nothing")
    options = parser.parse_args()
    result = {"overhead": overhead, "jpeg": jpeg}[options.what](options)
    machine = f"{platform.machine()}, {platform.python_implementation()} {platform.python_version()}"
    print(json.dumps(result | {"machine": machine}, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
