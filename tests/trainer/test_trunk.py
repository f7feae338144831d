"""A trunk takes raw RGB and answers as Keras' own preprocessing would have it."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from edge.errors import ConfigError, DataError
from trainer.backbones import BACKBONES
from trainer.trunk import fingerprint, load_trunk

MODULES = {"mobilenet": "mobilenet", "vgg19": "vgg19", "efficientnetv2b0": "efficientnet_v2"}
PIXELS = np.random.default_rng(3).integers(0, 256, (1, 224, 224, 3)).astype(np.float32)


def width(name: str, alpha: float) -> dict[str, float]:
    """The argument that sets a network's width, where it has several."""
    return {"alpha": alpha} if BACKBONES[name].has_alpha else {}


@pytest.mark.parametrize("name", sorted(BACKBONES))
def test_the_graph_does_what_keras_own_preprocessing_does(name: str, tmp_path: Path):
    """Raw RGB into the trunk gives the features that Keras' own network gives of its own preprocessed pixels."""
    facts = BACKBONES[name]
    alpha = 0.25 if facts.has_alpha else 1.0
    application = getattr(keras.applications, facts.application)
    bare = application(
        weights=None, include_top=False, input_shape=(224, 224, 3), **width(name, alpha), **facts.options
    )
    bare.save_weights(tmp_path / "bare.weights.h5")
    own = application(weights=None, include_top=False, input_shape=(224, 224, 3), **width(name, alpha))
    own.set_weights([*own.get_weights()[: len(own.get_weights()) - len(bare.get_weights())], *bare.get_weights()])
    preprocess_input = getattr(keras.applications, MODULES[name]).preprocess_input
    expected = own.predict_on_batch(preprocess_input(PIXELS.copy()))

    trunk = load_trunk(name, weights=str(tmp_path / "bare.weights.h5"), alpha=alpha)

    found = trunk.model.predict_on_batch(PIXELS)
    assert found.shape[1:] == trunk.features_shape == expected.shape[1:]
    assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()
    assert trunk.origin.weights == "bare.weights.h5"


def test_random_weights_come_from_the_seed():
    """The same seed gives the same features' key, another seed another."""
    first, again, other = (load_trunk("mobilenet", weights="none", alpha=0.25, seed=s) for s in (1, 1, 2))

    assert fingerprint(first.model) == fingerprint(again.model)
    assert fingerprint(first.model) != fingerprint(other.model)


def test_weights_of_another_network_are_refused(tmp_path: Path):
    """The message says which network's weights are expected."""
    other = keras.applications.MobileNet(weights=None, include_top=False, input_shape=(224, 224, 3), alpha=0.5)
    other.save_weights(tmp_path / "half.weights.h5")

    with pytest.raises(DataError, match="expected weights of MobileNet without its top layers"):
        load_trunk("mobilenet", weights=str(tmp_path / "half.weights.h5"), alpha=0.25)


def test_a_file_that_holds_no_weights_is_refused(tmp_path: Path):
    """A text file under the right name is told apart."""
    (tmp_path / "text.weights.h5").write_text("not HDF5")

    with pytest.raises(DataError, match="expected weights of MobileNet"):
        load_trunk("mobilenet", weights=str(tmp_path / "text.weights.h5"), alpha=0.25)


def test_a_weights_file_that_is_not_there_is_told():
    """The message lists the three ways to give weights."""
    with pytest.raises(ConfigError, match="expected --weights imagenet, none or a file"):
        load_trunk("mobilenet", weights="/nowhere.h5")


def test_imagenet_weights_that_keras_cannot_give_are_told():
    """A width that nobody trained: the message names the way with a file, and what Keras said."""
    with pytest.raises(ConfigError, match=r"cannot give its ImageNet weights of MobileNet .*--weights FILE"):
        load_trunk("mobilenet", weights="imagenet", alpha=0.3)


def test_a_width_belongs_to_mobilenet_only():
    """VGG19 has none, and says so instead of ignoring it."""
    with pytest.raises(ConfigError, match="VGG19 comes in one width"):
        load_trunk("vgg19", weights="none", alpha=0.5)


def with_even_kernels(name: str) -> keras.Model:
    """A backbone whose convolutions average, so that what a feature describes lies around one middle."""
    network = load_trunk(name, weights="none", **width(name, 0.25)).model.get_layer("backbone")
    for layer in network.layers:
        if hasattr(layer, "kernel"):
            layer.kernel.assign(np.full(layer.kernel.shape, 1 / np.prod(layer.kernel.shape[:3])))
    return network


@pytest.mark.parametrize("name", [name for name, facts in BACKBONES.items() if facts.ahead_cells])
def test_a_feature_describes_what_lies_ahead_of_its_cell_by_the_stated_share(name: str):
    """The middle of the pixels that move one feature, to a twentieth of a cell of 32 pixels."""
    pixels = tf.Variable(np.random.default_rng(0).random((1, 224, 224, 3), np.float32))
    with tf.GradientTape() as tape:
        feature = tf.reduce_sum(with_even_kernels(name)(pixels)[0, 3, 3])
    weight = np.asarray(tape.gradient(feature, pixels))[0].sum(axis=-1)  # (224, 224)

    middles = [(grid * weight).sum() / weight.sum() for grid in np.mgrid[:224, :224]]

    assert np.array(middles) / 32 - 3.5 == pytest.approx(np.full(2, BACKBONES[name].ahead_cells), abs=0.05)


@pytest.mark.parametrize("name", [name for name, facts in BACKBONES.items() if not facts.ahead_cells])
def test_a_grid_that_does_not_look_ahead_mirrors_with_its_picture(name: str):
    """Turned over, the picture gives the same features turned over."""
    network = with_even_kernels(name)
    pixels = np.random.default_rng(0).random((1, 224, 224, 3), np.float32)

    features, turned = (np.asarray(network(each)) for each in (pixels, pixels[:, ::-1, ::-1]))

    assert turned == pytest.approx(features[:, ::-1, ::-1], rel=1e-3)
