"""Where a channel's range ends: at the limit of least squared error, and that is not always its largest value."""

import numpy as np
import pytest

from converter.histogram import STEPS, Histogram


def limit_of(values: np.ndarray) -> float:
    """The limit of one channel."""
    histogram = Histogram(1)
    histogram.add(values[:, np.newaxis].astype(np.float32))
    return float(histogram.limit()[0])


def squared_error(values: np.ndarray, limit: float) -> float:
    """Of values that int8 holds with this limit, by rounding them."""
    step = limit / STEPS
    return float(((np.clip(np.rint(values / step), 0, STEPS) * step - values) ** 2).sum())


def test_even_values_keep_their_largest():
    """Cutting costs more than it gives."""
    values = np.random.default_rng(0).uniform(0, 3, 5000)

    assert limit_of(values) == pytest.approx(3, rel=0.05)


def test_a_lone_outlier_is_cut():
    """One value in a million that would make the steps of all others twenty times as wide."""
    values = np.append(np.random.default_rng(0).uniform(0, 1, 1_000_000), 20)

    assert limit_of(values) < 15


@pytest.mark.parametrize("seed", range(5))
def test_no_other_limit_is_better(seed: int):
    """Found by rounding for each of many limits; the bins are 4% wide, which costs up to a tenth."""
    values = np.random.default_rng(seed).exponential(1 + seed, 20_000)
    others = np.linspace(0.2, 1, 60) * values.max()

    best = min(squared_error(values, other) for other in others)

    assert squared_error(values, limit_of(values)) <= 1.1 * best


def test_channels_are_counted_apart_and_a_silent_one_has_no_limit():
    """By column; zeros and what is below are exact."""
    values = np.random.default_rng(0).uniform(0, 1, (1000, 3)).astype(np.float32) * np.float32([1, 8, 0])
    histogram = Histogram(3)

    histogram.add(values[:400])
    histogram.add(values[400:])

    assert histogram.limit() == pytest.approx([1, 8, 0], rel=0.05)
