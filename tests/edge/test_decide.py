"""One rule decides, for one image on the box and for many in the trainer."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.decide import decide, is_inconclusive, softmax

LOGITS = st.lists(st.lists(st.floats(-30, 30, width=32), min_size=3, max_size=3), min_size=1, max_size=5)


@given(LOGITS, st.integers(0, 2), st.sampled_from([0.2, 0.5, 0.8]))
def test_the_rule_is_its_sentence_for_one_and_for_many(logits: list[list[float]], positive: int, threshold: float):
    """The positive label from the threshold on, else the likeliest of the others."""
    probabilities = softmax(np.array(logits, np.float32))

    many = decide(probabilities, positive, threshold)

    for row, decided in zip(probabilities, many, strict=True):
        others = [label for label in range(3) if label != positive]
        expected = positive if row[positive] >= threshold else max(others, key=lambda label: row[label])
        assert decided == expected
        assert int(decide(row, positive, threshold)) == expected


def test_probabilities_sum_to_one_also_for_large_logits():
    """The softmax does not overflow, and one image gives the same bits as many."""
    logits = np.array([[1000.0, 0.0], [0.3, -0.2]], np.float32)

    many = softmax(logits)

    assert many[0].tolist() == [1.0, 0.0]
    assert many.sum(axis=1) == pytest.approx([1, 1])
    assert (softmax(logits[1]) == many[1]).all()


@given(LOGITS, st.floats(0.1, 20))
def test_a_temperature_moves_no_decision_between_two_labels(logits: list[list[float]], temperature: float):
    """It divides the logits: what is likelier stays likelier, and above 1 the likeliest becomes less sure."""
    two = np.array(logits, np.float32)[:, :2]

    plain, calibrated = softmax(two), softmax(two, temperature)

    assert np.allclose(softmax(two / np.float32(temperature)), calibrated, atol=1e-5)
    surer = calibrated.max(axis=1) - plain.max(axis=1)
    assert (surer <= 1e-6).all() if temperature >= 1 else (surer >= -1e-6).all()


@pytest.mark.parametrize(
    ("share", "band", "expected"),
    [
        (0.5, (0.5, 0.5), False),  # an empty band holds nothing, not even its own edge
        (0.3, (0.3, 0.7), True),
        (0.69, (0.3, 0.7), True),
        (0.7, (0.3, 0.7), False),
        (0.29, (0.3, 0.7), False),
    ],
)
def test_a_picture_in_the_band_is_inconclusive(share: float, band: tuple[float, float], expected: bool):  # noqa: FBT001
    """The band holds its lower end and not its upper one."""
    assert bool(is_inconclusive(np.array([share, 1 - share]), 0, band)) is expected
