"""A bundle says the same to the bit in every runtime that is supported: the newest LiteRT, the oldest, tflite-runtime.

Each runs in a process of its own, as on a box. `make` unpacks the oldest LiteRT beside the installed one.
EDGE_XRAY_BUNDLES=A.bundle:B.bundle asks the same of bundles of one's own, on real X-rays.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from edge.decoding.decode import decode
from edge.phantom import phantom
from edge.preprocess import preprocess

ROOT = Path(__file__).resolve().parents[2]
OLDEST = Path(os.environ.get("EDGE_XRAY_OLDEST", ROOT / ".cache" / "litert-oldest"))
OLDEST_VERSION = "2.1.0"
IMAGES = 60
FIRST_SEED = 6_000_000
RUN = """
import importlib.metadata, sys
from pathlib import Path
import numpy as np
from edge.bundle.bundle import read_bundle
from edge.classify import DISTRIBUTIONS, Classifier
classifier = Classifier(read_bundle(Path(sys.argv[1])).model, runtime=sys.argv[2])
outputs = [classifier.run(image) for image in np.load(sys.argv[3])]
np.savez(
    sys.argv[4],
    version=importlib.metadata.version(DISTRIBUTIONS[sys.argv[2]]),
    logits=[each.logits for each in outputs],
    features=[each.features for each in outputs],
)
"""

Answers = Mapping[str, npt.NDArray[Any]]
Ask = Callable[[Path, Path, str], Answers]


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Ask:
    """What a runtime says of images, `newest`, `oldest` or `tflite-runtime`: logits and features; and its version."""
    out = tmp_path_factory.mktemp("answers") / "answers.npz"

    def run(bundle: Path, images: Path, which: str) -> Answers:
        if which == "oldest" and not (OLDEST / "ai_edge_litert").is_dir():
            pytest.skip(f"needs ai-edge-litert {OLDEST_VERSION} in {OLDEST}; `make {OLDEST.name}` unpacks it there")
        runtime = "tflite-runtime" if which == "tflite-runtime" else "litert"
        path = [str(OLDEST)] if which == "oldest" else []
        subprocess.run(
            [sys.executable, "-c", RUN, str(bundle), runtime, str(images), str(out)],
            capture_output=True, check=True, timeout=600,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([*path, str(ROOT)])},
        )  # fmt: skip
        with np.load(out) as answers:
            return dict(answers)

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


def assert_same(one: Answers, other: Answers) -> None:
    """Every logit, and every cell of the last feature map, to the bit; and not one answer to everything."""
    assert len(np.unique(one["logits"], axis=0)) > 1
    for what in ("features", "logits"):
        differing = (one[what] != other[what]).reshape(len(one[what]), -1).any(axis=1)
        assert not differing.any(), f"{what} of {differing.sum()} of {len(differing)} images differ"


@pytest.mark.parametrize("which", ["oldest", "tflite-runtime"])
def test_the_demo_s_bundle_says_of_phantoms_what_it_says_in_the_newest_runtime(
    demo_bundle: Path, phantom_pixels: Path, ask: Ask, which: str
) -> None:
    """On sixty phantoms that training never saw."""
    expected = ask(demo_bundle, phantom_pixels, "newest")

    found = ask(demo_bundle, phantom_pixels, which)

    assert found["version"] == {"oldest": OLDEST_VERSION, "tflite-runtime": "2.14.0"}[which]
    assert found["version"] != expected["version"]
    assert len(found["logits"]) == IMAGES
    assert_same(expected, found)


@pytest.mark.shared
@pytest.mark.parametrize("which", ["oldest", "tflite-runtime"])
@pytest.mark.parametrize("bundle", [name for name in os.environ.get("EDGE_XRAY_BUNDLES", "").split(":") if name])
def test_a_bundle_says_of_x_rays_what_it_says_in_the_newest_runtime(
    bundle: str, x_ray_pixels: Path, ask: Ask, which: str
) -> None:
    """On two hundred real X-rays; for bundles that were named."""
    expected = ask(Path(bundle), x_ray_pixels, "newest")

    assert_same(expected, ask(Path(bundle), x_ray_pixels, which))
