"""A small trained model and its bundle, made once by the real trainer and the real converter."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from converter import convert as converter
from converter import quantize
from converter.keys import make_key, read_key
from edge.bundle.signature import PublicKey
from edge.phantom import phantom
from edge.preprocess import SIDE_PX
from trainer import train as trainer
from trainer.recipes import Recipe

L = keras.layers
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


@pytest.fixture(scope="session")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Line]:
    """One line for each head, made when it is first asked for, and kept: a parametrized fixture would be made anew for
    every file of tests.
    """
    return cache(lambda head: make_line(tmp_path_factory.mktemp(f"line-{head}"), head))


@pytest.fixture(params=["gap", "paper"])
def line(request: pytest.FixtureRequest, lines: Callable[[str], Line]) -> Line:
    """One line for each head."""
    return lines(request.param)


def trunk_of(backbone: keras.Model) -> keras.Model:
    """A trunk as the trainer builds them: `normalise`, then `backbone`."""
    pixels = keras.Input((SIDE_PX, SIDE_PX, 3), name="pixels")
    return keras.Model(pixels, backbone(L.Rescaling(1 / 127.5, offset=-1.0, name="normalise")(pixels)), name="trunk")


@pytest.fixture
def separable() -> keras.Model:
    """As MobileNet: normalised convolutions with ReLU6 behind them; one hidden channel in two is 50 times smaller,
    and matters as much.
    """
    keras.utils.set_random_seed(3)
    inputs = keras.Input((SIDE_PX, SIDE_PX, 3))
    x = L.Conv2D(8, 3, strides=16, padding="same", use_bias=False)(inputs)
    x = L.ReLU(6.0)(L.BatchNormalization(beta_initializer="ones", name="uneven")(x))
    x = L.DepthwiseConv2D(3, padding="same", use_bias=False, name="reader")(L.ZeroPadding2D(1)(x))
    x = L.ReLU(6.0)(L.BatchNormalization(beta_initializer="ones")(x))
    x = L.Conv2D(8, 1, use_bias=False, name="last")(x)
    backbone = keras.Model(inputs, L.ReLU(6.0)(L.BatchNormalization(beta_initializer="ones")(x)), name="backbone")
    small = np.float32([1, 0.02] * 4)
    uneven = backbone.get_layer("uneven")
    uneven.gamma.assign(small)
    uneven.beta.assign(small)
    kernel = backbone.get_layer("reader").kernel  # (3, 3, 8, 1)
    kernel.assign(np.asarray(kernel) / small[:, np.newaxis])
    return trunk_of(backbone)


@pytest.fixture
def plain() -> keras.Model:
    """As VGG: convolutions with a bias and a ReLU of their own, and pooling between them."""
    keras.utils.set_random_seed(3)
    inputs = keras.Input((SIDE_PX, SIDE_PX, 3))
    x = L.Conv2D(8, 3, strides=16, activation="relu", bias_initializer="ones", name="first")(inputs)
    x = L.Conv2D(8, 3, activation="relu", bias_initializer="ones", name="last")(L.MaxPooling2D(2)(x))
    return trunk_of(keras.Model(inputs, x, name="backbone"))


@pytest.fixture
def branching() -> keras.Model:
    """A sum of two branches: what is multiplied into one would be missing in the other."""
    inputs = keras.Input((SIDE_PX, SIDE_PX, 3))
    x = L.ReLU(6.0)(L.BatchNormalization()(L.Conv2D(8, 3, strides=16, padding="same")(inputs)))
    x = L.Add()([x, L.Conv2D(8, 3, padding="same")(x)])
    return trunk_of(keras.Model(inputs, x, name="backbone"))


@pytest.fixture
def pooled() -> Callable[[keras.Model], keras.Model]:
    """Makes a pooled head of two labels for a trunk."""

    def head_for(trunk: keras.Model) -> keras.Model:
        keras.utils.set_random_seed(5)
        features = keras.Input(trunk.output_shape[1:])
        return keras.Model(features, L.Dense(2)(L.Flatten()(L.AveragePooling2D(trunk.output_shape[1:3])(features))))

    return head_for


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    """Eight pictures of noise, `(8, 224, 224, 3) uint8`."""
    return np.random.default_rng(0).integers(0, 256, (8, SIDE_PX, SIDE_PX, 3), dtype=np.uint8)


@pytest.fixture
def unsettled(monkeypatch: pytest.MonkeyPatch) -> Callable[..., bytes]:
    """Quantizes as TensorFlow's converter does it alone, its multipliers what they happen to be."""

    def quantize_plainly(trunk: keras.Model, head: keras.Model, sample: np.ndarray) -> bytes:
        with monkeypatch.context() as patch:
            patch.setattr(quantize, "rounded_alike", lambda _tree, _exact: None)
            return quantize.quantize(trunk, head, sample)

    return quantize_plainly
