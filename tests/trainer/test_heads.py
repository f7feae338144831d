"""Heads learn, repeatably, and leave their start alone."""

import resource
from pathlib import Path

import keras
import numpy as np
import pytest

from trainer.heads import Schedule, build_head, fit_head, logits_of
from trainer.store import Rows

SHAPE = (7, 7, 8)


def separable(n: int = 64) -> tuple[Rows, np.ndarray]:
    """Features whose first channel tells the label."""
    generator = np.random.default_rng(5)
    targets = np.arange(n) % 2
    features = generator.normal(size=(n, *SHAPE)).astype(np.float32)
    features[..., 0] += 2 * targets[:, None, None]
    return Rows(features, np.arange(n)), targets


@pytest.mark.parametrize(("kind", "dense"), [("paper", [512, 256, 2]), ("gap", [2])])
def test_a_head_has_the_published_layers(kind: str, dense: list[int]):
    """ReLU behind each hidden layer, none behind the logits."""
    head = build_head(kind, SHAPE, 2, seed=0)

    layers = [layer for layer in head.layers if isinstance(layer, keras.layers.Dense)]
    assert [layer.units for layer in layers] == dense
    assert [layer.activation.__name__ for layer in layers] == ["relu"] * (len(dense) - 1) + ["linear"]


@pytest.mark.parametrize("kind", ["paper", "gap"])
def test_a_fitted_head_tells_separable_features_apart(kind: str):
    """And the head it started from is as it was."""
    features, targets = separable()
    start = build_head(kind, SHAPE, 2, seed=0)
    before = start.get_weights()

    fitted = fit_head(start, [features], targets, Schedule(epochs=40, batch=16, learning_rate=1e-2, seed=0), what="t")

    assert (logits_of(fitted, features).argmax(axis=1) == targets).mean() >= 0.98
    assert all(np.array_equal(a, b) for a, b in zip(before, start.get_weights(), strict=True))


def test_the_same_seed_fits_the_same_head():
    """Bit for bit; another seed sees the images in another order."""
    features, targets = separable()

    first, again, other = (
        fit_head(
            build_head("paper", SHAPE, 2, seed=1),
            [features],
            targets,
            Schedule(epochs=2, batch=16, learning_rate=1e-3, seed=seed),
            what="t",
        ).get_weights()
        for seed in (4, 4, 5)
    )

    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


def resident_mb() -> float:
    """Memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20


def test_a_head_that_is_let_go_leaves_no_memory_behind():
    """Nor do its moments in Adam: a comparison fits eighty heads in one process. Each of these takes 150 MB."""
    features = Rows(np.ones((32, 7, 7, 512), np.float32), np.arange(32))
    targets = np.arange(32) % 2
    sizes = []

    for seed in range(5):
        head = build_head("paper", features.row_shape, 2, seed=seed)
        fit_head(head, [features], targets, Schedule(epochs=1, batch=32, learning_rate=1e-3, seed=0), what="t")
        sizes.append(resident_mb())

    assert sizes[-1] - sizes[1] < 150, sizes
