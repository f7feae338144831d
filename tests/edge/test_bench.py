"""The benchmark lets all contenders run in turn and tells where the bundle's model is the slower one."""

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from edge.bench import Figure, Speed, machine, measure, race
from edge.bundle.bundle import read_bundle
from edge.classify import Timed
from edge.commands.bench import lines
from edge.errors import BundleError


class Fake:
    """Takes a fixed time and notes when it ran."""

    def __init__(self, name: str, log: list[str], takes_s: float = 0.0) -> None:
        self._name, self._log, self._takes_s = name, log, takes_s

    def run(self, pixels: np.ndarray) -> None:
        """Note it."""
        assert pixels.shape == (224, 224, 3)
        self._log.append(self._name)
        time.sleep(self._takes_s)


def test_the_order_turns_from_round_to_round():
    """Nobody always runs behind the same one; three rounds warm up and are not counted."""
    log: list[str] = []

    times_ms = race([Fake(name, log) for name in "abc"], rounds=3, max_s=60)

    assert times_ms.shape == (3, 3)
    assert "".join(log) == "abcbcacab" * 2


def test_a_slow_board_is_not_kept_for_ever():
    """No round begins after the time is up, and there is one at least."""
    log: list[str] = []

    assert len(race([Fake("a", log, 0.02)], rounds=10_000, max_s=0.1)) < 10
    assert len(race([Fake("a", log)], rounds=5, max_s=0)) == 1


def test_ratios_are_of_the_same_round(demo_bundle: Path):
    """The demo's model against itself is about as fast as itself."""
    model = read_bundle(demo_bundle).model

    figures, ratios = measure(model, model, runtimes=["litert"], threads=1, rounds=40, max_s=60)

    assert [(each.model, each.xnnpack, each.n) for each in figures] == [
        ("the bundle's", True, 40),
        ("the other", True, 40),
    ]
    assert all(0 < each.p50_ms <= each.p95_ms for each in figures)
    (ratio,) = ratios.values()
    assert 0.5 < ratio < 2


def test_what_is_no_model_is_refused():
    """With the runtime's reason."""
    with pytest.raises(BundleError, match="cannot load the model"):
        Timed(b"no model at all", runtime="litert", threads=1)


@pytest.mark.parametrize(("ratio", "is_slower"), [(0.8, True), (2.5, False)])
def test_where_float_is_faster_is_told(ratio: float, is_slower: bool):  # noqa: FBT001 - a table's column
    """In capitals, because nobody expects it."""
    speed = Speed(
        model="m@1", other="float.tflite", machine="a box", threads=1, figures=(), times_faster={"litert 2": ratio}
    )

    assert (speed.slower_in == ["litert 2"]) is is_slower
    assert ("the other is FASTER here" in lines(speed)[-1]) is is_slower


def test_figures_are_a_table_for_a_person():
    """Machine, threads, models, and a line for each figure."""
    figure = Figure(model="the bundle's", runtime="litert 2", xnnpack=True, p50_ms=9.876, p95_ms=12, n=50)
    speed = Speed(model="m@1", other=None, machine="a box", threads=1, figures=(figure,), times_faster={})

    assert lines(speed) == [
        "a box, threads: 1",
        "the bundle's is m@1",
        "",
        "model         runtime                 XNNPACK   median ms    p95 ms     n",
        "the bundle's  litert 2                yes            9.88     12.00    50",
    ]


def test_the_command_runs_every_installed_runtime(demo_bundle: Path, tmp_path: Path):
    """One JSON document: both models in both runtimes, and one ratio for each runtime."""
    (tmp_path / "same.tflite").write_bytes(read_bundle(demo_bundle).model)
    command = [
        sys.executable, "-m", "edge.cli", "bench", "--model", str(demo_bundle), "--allow-unsigned",
        "--against", str(tmp_path / "same.tflite"), "--rounds", "3", "--json",
    ]  # fmt: skip

    document = json.loads(subprocess.run(command, capture_output=True, check=True, timeout=120).stdout)

    assert document["threads"] == 1
    assert document["other"] == "same.tflite"
    assert document["machine"] == machine()
    assert [(each["model"], each["xnnpack"], each["n"]) for each in document["figures"]] == [
        ("the bundle's", True, 3), ("the other", True, 3), ("the bundle's", False, 3), ("the other", False, 3),
    ]  # fmt: skip
    assert [name.split()[0] for name in document["times_faster"]] == ["ai-edge-litert", "tflite-runtime"]
