"""How fast is the model on this very processor, and is int8 faster than float here? On some boards it is not.

Every contender runs once in each round, in an order that turns from round to round, so that a throttled clock or a
neighbour that wants the processor hits all of them alike. Figures in ms hold for this machine; what compares is the
ratio, taken round by round.
"""

import platform
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Final, Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from edge.classify import DISTRIBUTIONS, Timed
from edge.preprocess import SIDE_PX

WARM_UP_ROUNDS: Final = 3
INT8: Final = "the bundle's"
OTHER: Final = "the other"


class Contender(Protocol):
    """Whatever can be asked to run on one image."""

    def run(self, pixels: npt.NDArray[np.uint8]) -> None:
        """Run on `(224, 224, 3) uint8, RGB, 0-255`."""


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """How long one model took in one runtime.

    Attributes:
        model: `the bundle's` or `the other`.
        runtime: Name and version.
        xnnpack: Whether XNNPACK has taken the graph.
        p50_ms: Median.
        p95_ms: 95 of 100 runs took no longer.
        n: Number of runs.
    """

    model: str
    runtime: str
    xnnpack: bool
    p50_ms: float
    p95_ms: float
    n: int


class Speed(msgspec.Struct, frozen=True, kw_only=True):
    """What `edge-agent bench` prints.

    Attributes:
        model: Id of the bundle's model.
        other: Name of the file it ran against; None where it ran alone.
        machine: Processor and operating system.
        threads: Of each interpreter.
        figures: One for each model in each runtime.
        times_faster: By runtime: the other model's time divided by the bundle's, the median over the rounds.
    """

    model: str
    other: str | None
    machine: str
    threads: int
    figures: tuple[Figure, ...]
    times_faster: Mapping[str, float]

    @property
    def slower_in(self) -> list[str]:
        """The runtimes in which the bundle's model is the slower one."""
        return [runtime for runtime, ratio in self.times_faster.items() if ratio < 1]


def race(contenders: Sequence[Contender], *, rounds: int, max_s: float) -> npt.NDArray[np.float64]:
    """Let each contender run once a round, in turning order.

    Args:
        contenders: Loaded models.
        rounds: How many, after the warming up.
        max_s: No new round begins after this, but there is at least one.

    Returns:
        `(rounds run, contenders) float64`, ms.
    """
    pixels = np.random.default_rng(0).integers(0, 256, (SIDE_PX, SIDE_PX, 3), np.uint8)
    started_s = time.monotonic()
    taken: list[npt.NDArray[np.float64]] = []
    for number in range(-WARM_UP_ROUNDS, rounds):
        if taken and time.monotonic() - started_s > max_s:
            break
        times_ms = np.zeros(len(contenders))
        for place in range(len(contenders)):
            who = (place + number) % len(contenders)
            start_s = time.perf_counter()
            contenders[who].run(pixels)
            times_ms[who] = (time.perf_counter() - start_s) * 1000
        if number >= 0:
            taken.append(times_ms)
    return np.stack(taken)


def measure(
    model: bytes, other: bytes | None, *, runtimes: Sequence[str], threads: int, rounds: int, max_s: float
) -> tuple[tuple[Figure, ...], dict[str, float]]:
    """Run the bundle's model, and the other one if there is one, in every runtime, interleaved.

    Returns:
        The figures, and by runtime how many times faster the bundle's model is.

    Raises:
        ConfigError: A runtime is not installed.
        BundleError: A runtime cannot load one of the models.
    """
    entered = [(name, runtime) for runtime in runtimes for name in ((INT8,) if other is None else (INT8, OTHER))]
    models = {INT8: model, OTHER: other or b""}
    contenders = [Timed(models[name], runtime=runtime, threads=threads) for name, runtime in entered]
    times_ms = race(contenders, rounds=rounds, max_s=max_s)  # (rounds, contenders)
    figures = tuple(
        Figure(
            model=name,
            runtime=named(runtime),
            xnnpack=contender.accelerated,
            p50_ms=round(float(np.median(column)), 2),
            p95_ms=round(float(np.quantile(column, 0.95, method="higher")), 2),
            n=len(column),
        )
        for (name, runtime), contender, column in zip(entered, contenders, times_ms.T, strict=True)
    )
    ratios = {
        named(runtime): round(float(np.median(times_ms[:, at + 1] / times_ms[:, at])), 2)
        for at, (name, runtime) in enumerate(entered)
        if other is not None and name == INT8
    }
    return figures, ratios


def named(runtime: str) -> str:
    """A runtime's name and version."""
    return f"{DISTRIBUTIONS[runtime]} {version(DISTRIBUTIONS[runtime])}"


def machine() -> str:
    """Processor, number of cores and system, in words."""
    board = _first_line(Path("/proc/device-tree/model"), "")
    processor = board or _first_line(Path("/proc/cpuinfo"), "model name") or platform.processor() or "unknown"
    return f"{processor}, {platform.machine()}, Python {platform.python_version()} on {platform.system()}"


def _first_line(file: Path, beginning: str) -> str:
    """What stands behind the first line's colon, or the line, where such a file and line are."""
    if not file.is_file():
        return ""
    lines = file.read_text(encoding="utf-8", errors="replace").replace("\0", "").splitlines()
    found = next((line for line in lines if line.startswith(beginning)), "")
    return found.partition(":")[2].strip() if beginning else found.strip()
