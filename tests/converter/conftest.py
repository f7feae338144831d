"""A small trained model and its bundle, made once by the real trainer and the real converter."""

from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from converter import convert as converter
from converter.keys import make_key, read_key
from edge.bundle.signature import PublicKey
from edge.phantom import phantom
from trainer import train as trainer
from trainer.recipes import Recipe

ALPHA = 0.25
PER_CLASS = 24


@dataclass(frozen=True)
class Line:
    """What trainer and converter have left on the disk."""

    data: Path
    model: Path
    bundle: Path
    cache: Path
    summary: dict
    key: PublicKey


def write_phantoms(root: Path) -> Path:
    """Phantoms of two classes that even random convolutions tell apart: one has coarse stripes."""
    for label in ("clear", "striped"):
        (root / label).mkdir(parents=True)
    for seed in range(2 * PER_CLASS):
        drawn = phantom(seed, opacity=False)
        film = (drawn.pixels / 2 ** (drawn.bit_depth - 8)).astype(np.uint8)
        if seed % 2:
            film = film // 4 + (np.arange(len(film)) // 12 % 2 * 180).astype(np.uint8)[:, np.newaxis]
        Image.fromarray(film).save(root / ("striped" if seed % 2 else "clear") / f"{seed}.png")
    return root


def write_weights(path: Path) -> Path:
    """Random convolutions that neither amplify nor forget: He et al., 2015 (arXiv:1502.01852).

    A network whose BatchNorm were fitted to the data would amplify each rounding error from layer to layer, as no
    trained network does, and no two runtimes would agree on it.
    """
    generator = np.random.default_rng(11)
    network = keras.applications.MobileNet(weights=None, include_top=False, input_shape=(224, 224, 3), alpha=ALPHA)
    for layer in network.layers:
        if isinstance(layer, (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)):
            kernel = layer.kernel
            channels = 1 if isinstance(layer, keras.layers.DepthwiseConv2D) else kernel.shape[2]
            inputs = np.prod(kernel.shape[:2]) * channels
            kernel.assign(generator.normal(0, np.sqrt(2 / inputs), kernel.shape))
    network.save_weights(path)
    return path


def make_line(folder: Path, head: str) -> Line:
    """Train and convert."""
    data = write_phantoms(folder / "phantoms")
    weights = write_weights(folder / "random.weights.h5")
    recipe = Recipe(
        name=f"small-{head}",
        backbone="mobilenet",
        head=head,
        frozen=True,
        epochs=60,
        batch=8,
        learning_rate=1e-2 if head == "gap" else 1e-3,
        alpha=ALPHA,
        folds=2,
    )
    cache, bundle = folder / "cache", folder / "small.bundle"
    trainer.train(trainer.Order(data=data, recipe=recipe, weights=str(weights), out=folder / "out", cache=cache))
    model = folder / "out" / "model.keras"
    keys = make_key(folder / "bundle.key")
    summary = converter.convert(
        converter.Order(model=model, data=data, out=bundle, cache=cache, key=read_key(keys.private), version=7)
    )
    return Line(data, model, bundle, cache, summary, keys.key)


@pytest.fixture(scope="session", params=["gap", "paper"])
def line(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Line:
    """One line for each head."""
    return make_line(tmp_path_factory.mktemp(f"line-{request.param}"), request.param)
