"""How long a box waits before it tries again."""

import pytest

from edge.mqtt.reconnect import Backoff


@pytest.mark.parametrize(
    ("attempt", "luck", "expected_s"),
    [(0, 0, 1), (1, 0, 2), (3, 0, 8), (4, 0, 10), (60, 0, 10), (10_000, 0, 10), (0, 1, 0.5), (4, 0.5, 7.5)],
)
def test_the_wait_doubles_up_to_a_limit_less_some_luck(attempt: int, luck: float, expected_s: float):
    """min(max_s, first_s * factor ** attempt), less up to a half."""
    assert Backoff(first_s=1, factor=2, max_s=10).delay_s(attempt, luck) == expected_s
