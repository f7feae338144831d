"""Temperature, threshold and band, against definitions written out in full."""

import logging

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.decide import decide, is_inconclusive, softmax
from edge.errors import DataError
from trainer.operating_point import EVERYTHING, TEMPERATURES, choose_band, choose_operating_point, choose_threshold


def logits_of(scores: list[float] | np.ndarray) -> np.ndarray:
    """Two columns whose difference is the log odds of the first label."""
    return np.stack([np.asarray(scores), np.zeros(len(scores))], axis=1).astype(np.float32)


def drawn(n: int, *, seed: int = 0, spread: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    """Log odds that are exactly right for normal scores of two classes, and the classes."""
    generator = np.random.default_rng(seed)
    targets = generator.integers(0, 2, n)
    scores = generator.normal(np.where(targets == 0, spread, -spread), np.sqrt(2 * spread))
    return logits_of(scores), targets


def fewest_inside(scores: np.ndarray, right: np.ndarray, threshold: float, target: float) -> int:
    """The narrowest band by trying all of them."""
    edges = [0.0, *np.unique(scores), 2.0]
    best = len(scores)
    for low in edges:
        for high in edges:
            outside = (scores < min(low, threshold)) | (scores >= max(high, threshold))
            if outside.any() and right[outside].mean() >= target - 1e-9:
                best = min(best, int((~outside).sum()))
    return best


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0, 10.0])
def test_the_temperature_undoes_a_wrong_confidence(factor: float):
    """Logits that are right, multiplied by a factor, come back to themselves."""
    logits, targets = drawn(5000)

    point = choose_operating_point(logits * np.float32(factor), targets, 0)

    assert point.temperature == pytest.approx(factor, rel=0.06)


def test_half_is_the_threshold_where_it_finds_enough():
    """Sensitivity that the model has is not given away."""
    scores = np.array([0.9, 0.8, 0.7, 0.6, 0.55, 0.1], np.float32)

    assert choose_threshold(scores, np.array([1, 1, 1, 0, 0, 0], bool), 0.95) == 0.5


def test_else_the_highest_threshold_that_finds_enough():
    """Of twenty positives nineteen have to be found: the nineteenth's probability, rounded down."""
    scores = np.linspace(0.6, 0.123456, 20, dtype=np.float32)

    threshold = choose_threshold(scores, np.ones(20, bool), 0.95)

    assert int((scores >= threshold).sum()) == 19
    assert scores[18] - 1e-3 < threshold <= scores[18]


@given(
    cases=st.lists(st.tuples(st.integers(0, 12), st.booleans()), min_size=1, max_size=30),
    threshold=st.sampled_from([0.2, 0.5, 0.5 / 12]),
    target=st.sampled_from([0.5, 0.8, 0.95, 0.98, 1.0]),
)
@settings(deadline=None, max_examples=300)
def test_no_narrower_band_would_do(cases: list[tuple[int, bool]], threshold: float, target: float):
    """Against every band there is: as few images inside, and outside it the target is kept."""
    scores = np.array([step / 12 for step, _ in cases], np.float32) * np.float32(0.99)
    right = np.array([good for _, good in cases])

    low, high = choose_band(scores, right, threshold, target)

    inside = is_inconclusive(scores[:, None], 0, (low, high))
    assert low <= threshold <= high
    assert inside.sum() == fewest_inside(scores, right, threshold, target)
    assert (low, high) == EVERYTHING or right[~inside].mean() >= target - 1e-9


def test_the_point_tells_what_the_box_s_own_rule_reaches():
    """Its figures are those of `edge.decide` on the same images."""
    logits, targets = drawn(2000, spread=1.5)

    point = choose_operating_point(logits * np.float32(4), targets, 0)

    probabilities = softmax(logits * np.float32(4), point.temperature)
    decided = decide(probabilities, 0, point.threshold)
    outside = ~is_inconclusive(probabilities, 0, point.band)
    assert point.sensitivity == (decided[targets == 0] == 0).mean() >= 0.95
    assert point.accuracy_outside_band == (decided == targets)[outside].mean() >= 0.98
    assert point.inconclusive == pytest.approx(1 - outside.mean())
    assert point.reaches_sensitivity
    assert point.reaches_accuracy


def test_a_perfect_separation_moves_nothing():
    """No image says how sure to be: temperature 1, threshold 0.5, and nothing between."""
    point = choose_operating_point(logits_of([5, 4, 3, -3, -4]), np.array([0, 0, 0, 1, 1]), 0)

    assert (point.temperature, point.threshold, point.band) == (1.0, 0.5, (0.5, 0.5))
    assert (point.sensitivity, point.specificity, point.inconclusive) == (1.0, 1.0, 0.0)


@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_the_temperature_stays_finite(scale: float):
    """However large or small the logits and however few the images."""
    point = choose_operating_point(logits_of([1, -1, 0.5]) * np.float32(scale), np.array([0, 0, 1]), 0)

    assert TEMPERATURES[0] <= point.temperature <= TEMPERATURES[1]


def test_equal_probabilities_are_never_parted(caplog):
    """A constant model decides nothing, and says so."""
    with caplog.at_level(logging.WARNING):
        point = choose_operating_point(logits_of([0, 0, 0, 0]), np.array([0, 1, 0, 1]), 0)

    assert (point.band, point.inconclusive, point.accuracy_outside_band) == (EVERYTHING, 1.0, None)
    assert not point.reaches_accuracy
    assert "every picture is called inconclusive" in caplog.text


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_alone_chooses_nothing(label: int, caplog):
    """The neutral point, with a warning."""
    point = choose_operating_point(logits_of([3, -1]), np.array([label, label]), 0)

    assert (point.temperature, point.threshold, point.band) == (1.0, 0.5, (0.5, 0.5))
    assert "one side" in caplog.text


def test_a_third_class_counts_as_a_wrong_call():
    """Of three labels only the right one is right, outside the band too."""
    generator = np.random.default_rng(3)
    targets = generator.integers(0, 3, 600)
    logits = (generator.normal(size=(600, 3)) + 2.5 * np.eye(3)[targets]).astype(np.float32)

    point = choose_operating_point(logits, targets, 1, target_accuracy=0.9)

    probabilities = softmax(logits, point.temperature)
    outside = ~is_inconclusive(probabilities, 1, point.band)
    right = decide(probabilities, 1, point.threshold)[outside] == targets[outside]
    assert point.accuracy_outside_band == right.mean() >= 0.9


@pytest.mark.parametrize("logits", [np.empty((0, 2), np.float32), logits_of([1, np.nan])])
def test_nothing_is_chosen_on_nothing(logits):
    """No image, or one whose logit is no number."""
    with pytest.raises(DataError, match="finite logits"):
        choose_operating_point(logits, np.zeros(len(logits), np.int64), 0)


@pytest.mark.timeout(10)
def test_twenty_thousand_images_are_no_matter():
    """No step grows with the square of the images."""
    logits, targets = drawn(20_000, spread=1.0)

    assert choose_operating_point(logits, targets, 0).reaches_accuracy
