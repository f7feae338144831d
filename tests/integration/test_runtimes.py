"""A bundle decides the same in every runtime that is supported: the newest and the oldest LiteRT, and tflite-runtime.

Each runs in a process of its own, as on a box. `make` unpacks the oldest LiteRT beside the installed one.
EDGE_XRAY_BUNDLES=A.bundle:B.bundle asks the same of bundles of one's own, on real X-rays.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from edge.bundle.bundle import Card, read_bundle
from edge.decide import softmax
from edge.decoding.decode import decode
from edge.golden import TOLERANCE, decisions
from edge.phantom import phantom
from edge.preprocess import preprocess

ROOT = Path(__file__).resolve().parents[2]
OLDEST = Path(os.environ.get("EDGE_XRAY_OLDEST", ROOT / ".cache" / "litert-oldest"))
OLDEST_VERSION = "2.1.0"
MOVED = 0.02
"""How far a probability may lie apart between two runtimes."""
IMAGES = 60
FIRST_SEED = 6_000_000
RUN = """
import importlib.metadata, json, sys
from pathlib import Path
import numpy as np
from edge.bundle.bundle import read_bundle
from edge.classify import DISTRIBUTIONS, Classifier
classifier = Classifier(read_bundle(Path(sys.argv[1])).model, runtime=sys.argv[2])
logits = [classifier.run(image).logits.tolist() for image in np.load(sys.argv[3])]
print(json.dumps({"version": importlib.metadata.version(DISTRIBUTIONS[sys.argv[2]]), "logits": logits}))
"""

Logits = npt.NDArray[np.float32]
Ask = Callable[[Path, Path, str], tuple[str, Logits]]


@pytest.fixture(scope="module")
def ask() -> Ask:
    """What a runtime says of images: `newest`, `oldest` or `tflite-runtime`; and its version."""

    def run(bundle: Path, images: Path, which: str) -> tuple[str, Logits]:
        if which == "oldest" and not (OLDEST / "ai_edge_litert").is_dir():
            pytest.skip(f"needs ai-edge-litert {OLDEST_VERSION} in {OLDEST}; `make {OLDEST.name}` unpacks it there")
        runtime = "tflite-runtime" if which == "tflite-runtime" else "litert"
        path = [str(OLDEST)] if which == "oldest" else []
        done = subprocess.run(
            [sys.executable, "-c", RUN, str(bundle), runtime, str(images)],
            capture_output=True, text=True, check=True, timeout=600,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([*path, str(ROOT)])},
        )  # fmt: skip
        document = json.loads(done.stdout)
        return document["version"], np.array(document["logits"], np.float32)

    return run


@pytest.fixture(scope="module")
def phantom_pixels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty phantoms as they enter the network."""
    pixels = [preprocess(decode(phantom(seed).png())) for seed in range(FIRST_SEED, FIRST_SEED + IMAGES)]
    np.save(path := tmp_path_factory.mktemp("phantoms") / "pixels.npy", np.stack(pixels))
    return path


@pytest.fixture(scope="module")
def x_ray_pixels(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two hundred real X-rays, as many of each class."""
    files = [
        file for label in ("covid", "normal") for file in sorted((shared / "data" / "cxr" / label).iterdir())[::5][:100]
    ]
    pixels = [preprocess(decode(file.read_bytes())) for file in files]
    np.save(path := tmp_path_factory.mktemp("x-rays") / "pixels.npy", np.stack(pixels))
    return path


def agree(card: Card, one: Logits, other: Logits) -> None:
    """The same decisions, and no probability that lies further apart than is allowed."""
    expected, found = (softmax(logits, card.temperature) for logits in (one, other))
    moved = np.abs(expected - found).max(axis=1)

    assert (decisions(expected, card) == decisions(found, card)).all()
    assert moved.max() <= MOVED, f"{(moved > MOVED).sum()} of {len(moved)} images, by up to {moved.max():.3f}"


@pytest.mark.parametrize("which", ["oldest", "tflite-runtime"])
def test_the_demo_s_bundle_decides_phantoms_as_in_the_newest_runtime(
    demo_bundle: Path, phantom_pixels: Path, ask: Ask, which: str
) -> None:
    """On sixty phantoms that training never saw."""
    newest, expected = ask(demo_bundle, phantom_pixels, "newest")

    version, found = ask(demo_bundle, phantom_pixels, which)

    assert version == {"oldest": OLDEST_VERSION, "tflite-runtime": "2.14.0"}[which]
    assert version != newest
    assert len(found) == IMAGES
    agree(read_bundle(demo_bundle).card, expected, found)


@pytest.mark.shared
@pytest.mark.parametrize("which", ["oldest", "tflite-runtime"])
@pytest.mark.parametrize("bundle", [name for name in os.environ.get("EDGE_XRAY_BUNDLES", "").split(":") if name])
def test_a_bundle_decides_x_rays_as_in_the_newest_runtime(
    bundle: str, x_ray_pixels: Path, ask: Ask, which: str
) -> None:
    """On two hundred real X-rays; for bundles that were named."""
    _, expected = ask(Path(bundle), x_ray_pixels, "newest")

    _, found = ask(Path(bundle), x_ray_pixels, which)

    agree(read_bundle(Path(bundle)).card, expected, found)


def test_what_is_allowed_between_runtimes_is_what_a_box_tolerates() -> None:
    """Else a box with another runtime could refuse a bundle that this test lets pass."""
    assert MOVED <= TOLERANCE
