"""The trainer's heatmaps are those that a gradient tape would give."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from edge.explain import gradient
from trainer.explain import head_of, heatmaps
from trainer.heads import build_head


@pytest.mark.parametrize("kind", ["paper", "gap"])
def test_the_gradient_is_tensorflow_s(kind: str):
    """Of both heads, for both labels."""
    head = build_head(kind, (3, 3, 8), 2, seed=1)
    features = np.random.default_rng(0).normal(size=(3, 3, 8)).astype(np.float32)

    for label in (0, 1):
        with tf.GradientTape() as tape:
            at = tf.Variable(features[np.newaxis])
            logit = head(at)[0, label]
        wanted = tape.gradient(logit, at).numpy()[0]

        assert gradient(features, head_of(head), label) == pytest.approx(wanted, abs=1e-6)


def test_each_image_has_its_own_map():
    """Peak 1 where anything speaks for the label; no image, no map."""
    head = head_of(build_head("gap", (3, 3, 8), 2, seed=1))
    features = np.random.default_rng(0).normal(size=(4, 3, 3, 8)).astype(np.float32)

    maps = heatmaps(features, head, np.array([0, 1, 0, 1]))

    assert maps.shape == (4, 3, 3)
    assert set(maps.max(axis=(1, 2))) <= {0.0, 1.0}
    assert heatmaps(features[:0], head, np.array([], np.int64)).shape == (0, 3, 3)


def test_only_layers_with_weights_are_layers():
    """Pooling and flattening are said once, not listed."""
    assert [len(head_of(build_head(kind, (3, 3, 8), 2, seed=1)).layers) for kind in ("paper", "gap")] == [3, 1]
    assert (
        head_of(keras.Sequential([keras.Input((3, 3, 8)), keras.layers.Flatten(), keras.layers.Dense(2)])).pooled
        is False
    )
