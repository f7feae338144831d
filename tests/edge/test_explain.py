"""The heatmap is the gradient times the activation, whatever the head."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.classify import Dense, Head
from edge.explain import as_rows, gradient, heatmap, placed, unit_peak


def a_head(rng: np.random.Generator, *sizes: int, pooled: bool) -> Head:
    """A random int8 head with a zero point that is not zero."""
    layers = tuple(
        Dense(
            weights=rng.integers(-127, 128, (outputs, inputs)).astype(np.int8),
            scale=rng.uniform(0.001, 0.01, (outputs, 1)).astype(np.float32),
            zero_point=np.full((1, 1), 3, np.float32),
            bias=rng.normal(size=outputs).astype(np.float32),
        )
        for inputs, outputs in pairwise(sizes)
    )
    return Head(pooled=pooled, layers=layers)


def logits(features: np.ndarray, head: Head) -> np.ndarray:
    """The head in float64, written another way."""
    x = features.astype(np.float64)
    x = x.mean(axis=(0, 1)) if head.pooled else x.reshape(-1)
    for number, layer in enumerate(head.layers):
        x = (layer.scale * (layer.weights.astype(np.float64) - layer.zero_point)) @ x + layer.bias
        if number < len(head.layers) - 1:
            x = np.maximum(x, 0)
    return x


@pytest.mark.parametrize(("pooled", "sizes"), [(True, (8, 2)), (False, (72, 20, 6, 2)), (True, (8, 5, 3))])
def test_the_gradient_is_the_slope_of_the_logit(*, pooled: bool, sizes: tuple[int, ...]):
    """Moving one feature a little moves the logit by the gradient."""
    rng = np.random.default_rng(5)
    head = a_head(rng, *sizes, pooled=pooled)
    features = rng.uniform(0, 6, (3, 3, 8)).astype(np.float32)

    slopes = gradient(features, head, 1)

    for place in [(0, 0, 0), (1, 2, 3), (2, 2, 7)]:
        step = np.zeros_like(features, np.float64)
        step[place] = 1e-5
        expected = (logits(features + step, head)[1] - logits(features - step, head)[1]) / 2e-5
        assert slopes[place] == pytest.approx(expected, rel=1e-3, abs=1e-6)


def test_with_a_pooled_head_of_one_layer_the_map_is_cam():
    """The weighted sum of channels, as Zhou et al. define it, up to the number of places."""
    rng = np.random.default_rng(6)
    head = a_head(rng, 8, 2, pooled=True)
    features = rng.uniform(0, 6, (7, 7, 8)).astype(np.float32)
    layer = head.layers[0]
    cam = features @ (layer.scale[0] * (layer.weights[0].astype(np.float32) - 3))

    found = heatmap(features, head, 0)

    assert found == pytest.approx(np.maximum(cam, 0) / 49, rel=1e-4, abs=1e-6)


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_map_is_never_negative_and_its_peak_is_one(seed: int):
    """What is shown lies between 0 and 1; a map without evidence stays 0."""
    rng = np.random.default_rng(seed)
    features = rng.uniform(0, 6, (7, 7, 8)).astype(np.float32)

    shown = np.array(as_rows(unit_peak(heatmap(features, a_head(rng, 8, 2, pooled=True), 0))))

    assert shown.shape == (7, 7)
    assert shown.min() >= 0
    assert shown.max() in {0.0, 1.0}


def test_a_map_that_looks_ahead_is_moved_ahead():
    """A lone peak comes to lie between its cell and the next ones, evenly for half a cell; nothing else appears."""
    values = np.zeros((7, 7), np.float32)
    values[2, 4] = 1

    moved = placed(values, 0.5)

    assert moved[2:4, 4:6] == pytest.approx(np.full((2, 2), 81 / 256))
    assert np.delete(np.delete(moved, [2, 3], 0), [4, 5], 1).max() < 0.01


@given(st.floats(0, 0.99), st.integers(1, 5), st.integers(1, 5))
def test_the_middle_of_a_map_moves_by_what_it_looks_ahead(ahead_cells: float, top: int, left: int):
    """To a fiftieth of a cell, measured on a smooth bump; a map that does not look ahead is left as it is."""
    rows, columns = np.mgrid[:16, :16]
    bump = np.exp(-((rows - top - 4) ** 2 + (columns - left - 4) ** 2) / 4).astype(np.float32)

    moved = placed(bump, ahead_cells)

    for grid in (rows, columns):
        shift = (grid * moved).sum() / moved.sum() - (grid * bump).sum() / bump.sum()
        assert shift == pytest.approx(ahead_cells, abs=0.02)
    assert placed(bump, 0) is bump
