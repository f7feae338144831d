"""A head that learns on int8's grid ends on it, and the file holds the very weights that it learned."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from converter import refit
from converter.grid import learning_on_grid, rounded, settled
from converter.material import read_material
from edge.bundle.bundle import read_bundle
from edge.classify import Classifier
from trainer.heads import build_head


@given(arrays(np.float32, (5, 3), elements=st.floats(-10, 10, width=32)))
def test_rounding_moves_no_weight_by_more_than_half_a_step_and_only_once(kernel: np.ndarray):
    """What lies on the grid stays there."""
    step = np.abs(kernel).max() / 127

    once = rounded(kernel)

    assert np.abs(once - kernel).max() <= step * 0.501
    assert rounded(once) == pytest.approx(once, rel=1e-6)


@pytest.mark.parametrize("kind", ["gap", "paper"])
def test_a_head_on_the_grid_computes_what_it_will_be_when_it_has_settled(kind: str):
    """So what learns sees the losses of the file."""
    head = build_head(kind, (2, 2, 8), 2, seed=3)
    features = np.random.default_rng(1).uniform(0, 6, (4, 2, 2, 8)).astype(np.float32)
    on_grid = learning_on_grid(head)

    seen = np.asarray(on_grid(features))

    plain = settled(on_grid, head)
    assert not any(isinstance(layer, type(on_grid.layers[-1])) for layer in plain.layers)
    assert seen == pytest.approx(np.asarray(plain(features)), abs=1e-4)
    assert np.abs(seen - np.asarray(head(features))).max() > 1e-4


def test_the_gradient_passes_the_rounding():
    """A kernel learns through the grid, else a small step would never leave its value."""
    head = learning_on_grid(build_head("gap", (2, 2, 8), 2, seed=3))
    before = head.get_weights()[0]
    head.compile(optimizer=keras.optimizers.SGD(1e-6), loss="mse")

    head.train_on_batch(np.ones((1, 2, 2, 8), np.float32), np.array([[5.0, -5.0]], np.float32))

    moved = head.get_weights()[0] - before
    assert 0 < np.abs(moved).max() < np.abs(before).max() / 127 / 2


def test_the_file_holds_the_refitted_head_s_weights(line):
    """Weight for weight, so neither logits nor heatmap lose anything by the head's rounding."""
    bundle = read_bundle(line.bundle)
    trained = read_material(line.model, line.data, line.cache).trained
    refitted = refit.find(bundle.card.recipe["refit"]["head_sha256"], trained.head, line.cache)
    kernels = [array for array in refitted.get_weights() if array.ndim > 1]

    found = [(layer.weights - layer.zero_point) * layer.scale for layer in Classifier(bundle.model).head().layers]

    for kernel, dense in zip(kernels, found, strict=True):
        assert pytest.approx(kernel, abs=float(np.abs(kernel).max()) * 1e-5) == dense.T
