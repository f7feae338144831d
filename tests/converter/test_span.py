"""Int8's steps lie where a logit decides something."""

import numpy as np
import pytest

from converter.span import MOST_MOVED, Span, span_of
from edge.decide import softmax

TEMPERATURE = 4.5


@pytest.fixture
def sure() -> np.ndarray:
    """Logits of a head that is far too sure of most images, `(400, 2) float32`."""
    one = np.random.default_rng(3).normal(0, 60, 400).astype(np.float32)
    return np.stack([one, -one], axis=1)


def test_a_head_that_is_too_sure_gets_finer_steps(sure: np.ndarray):
    """And no probability moves."""
    span = span_of(sure, TEMPERATURE)

    assert span.most - span.least < 0.3 * np.ptp(sure)
    moved = softmax(sure.clip(span.least, span.most), TEMPERATURE) - softmax(sure, TEMPERATURE)
    assert np.abs(moved).max() <= MOST_MOVED


def test_a_head_that_is_never_sure_keeps_its_span(sure: np.ndarray):
    """Every logit of it decides something."""
    unsure = sure / 100

    span = span_of(unsure, TEMPERATURE)

    assert span.most - span.least > 0.9 * np.ptp(unsure)


def test_where_only_the_difference_is_small_nothing_is_cut():
    """Two logits far above 0 and near each other are told apart no less."""
    high = np.float32([[60.0, 59.0], [58.0, 60.0]])

    span = span_of(high, 1.0)

    assert span.least == 0
    assert np.abs(softmax(high.clip(span.least, span.most)) - softmax(high)).max() <= MOST_MOVED


def test_one_answer_to_everything_is_a_span_too():
    """A head that has learned nothing does not stop the conversion here; golden vectors will."""
    assert span_of(np.zeros((5, 2), np.float32), 1.0) == Span(0.0, 0.0)
