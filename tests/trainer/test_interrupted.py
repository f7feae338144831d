"""The real command, stopped while it computes features: what it had computed stays, and the end is the same."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

RUNNER = """
import sys
from trainer.cli import main
from trainer.recipes import RECIPES, Recipe

for head in ("gap", "paper"):
    RECIPES[head] = Recipe(name=head, backbone="mobilenet", head=head, frozen=True, epochs=30, alpha=0.5, folds=2)
sys.exit(main(sys.argv[1:]))
"""
IMAGES = 192
"""Six batches."""


def command(data: Path, folder: Path, *, head: str = "gap", out: str = "out") -> list[str]:
    """`edge-trainer train` with a recipe of seconds; model and cache lie below one folder."""
    paths = ["--out", str(folder / out), "--cache", str(folder / "cache")]
    return [sys.executable, "-c", RUNNER, "train", str(data), "--recipe", head, "--weights", "none", *paths]


def run(*arguments: Any, **options: Any) -> None:
    """Run the command to its end."""
    done = subprocess.run(command(*arguments, **options), capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr


def figures(folder: Path) -> dict[str, Any]:
    """What `metrics.json` holds, without what no two runs share."""
    document = json.loads((folder / "out" / "metrics.json").read_bytes())
    return {name: value for name, value in document.items() if name not in {"seconds", "created_at"}}


def kept(folder: Path) -> list[str]:
    """Keys of the images whose features are in the cache, in the order in which they came."""
    return [key for keys in folder.glob("cache/features-*/keys.txt") for key in keys.read_text().split()]


def first_features(folder: Path, process: Any, timeout_s: float = 120) -> list[str]:
    """Wait for the first batch of features, and return what is then in the cache."""
    deadline_s = time.monotonic() + timeout_s
    while not (keys := kept(folder)):
        if process.popen.poll() is not None or time.monotonic() > deadline_s:
            pytest.fail(f"expected features, found none; err: {process.err[-10:]}")
        time.sleep(0.002)
    return keys


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of noise, one of them brighter on the left."""
    root = tmp_path_factory.mktemp("data") / "films"
    generator = np.random.default_rng(7)
    for number in range(IMAGES):
        name = "covid" if number % 2 else "normal"
        pixels = generator.integers(0, 150, (32, 32)).astype(np.uint8)
        pixels[:, :16] += np.uint8(100 * (name == "covid"))
        (root / name).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(root / name / f"{number:03}.png")
    return root


@pytest.fixture(scope="module")
def undisturbed(films: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that nothing happened to."""
    folder = tmp_path_factory.mktemp("undisturbed")
    run(films, folder)
    return folder


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_a_run_stopped_among_its_features_goes_on_where_it_was(
    start: Any, films: Path, undisturbed: Path, tmp_path: Path, number: int, exit_code: int
):
    """No batch that was written is computed again, and the figures are those of a run left alone."""
    stopped = start(*command(films, tmp_path))
    seen = first_features(tmp_path, stopped)
    code = stopped.end(number)
    left = kept(tmp_path)

    run(films, tmp_path)

    assert code == exit_code
    assert seen == left[: len(seen)]
    assert len(left) < IMAGES
    if number == signal.SIGINT:
        assert stopped.err[-1] == "edge-trainer: interrupted; what is in the cache will not be computed again"
        assert not any("Traceback" in line for line in stopped.err)
    whole = kept(tmp_path)
    assert whole[: len(left)] == left
    assert len(set(whole)) == len(whole) == IMAGES
    assert figures(tmp_path) == figures(undisturbed)


def test_another_head_computes_no_feature(films: Path, undisturbed: Path):
    """The second run on the same images finds them all in the cache."""
    before = kept(undisturbed)

    run(films, undisturbed, head="paper", out="other")

    assert kept(undisturbed) == before
    assert (undisturbed / "other" / "model.keras").is_file()
