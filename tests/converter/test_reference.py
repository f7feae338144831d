"""What pictures looked like when the model learned is told in deciles."""

from converter.reference import reference


def test_a_score_has_eleven_deciles():
    """The least, the greatest, and the values between at each tenth."""
    scores = [{"brightness": float(value)} for value in reversed(range(101))]

    assert reference(scores) == {"brightness": tuple(float(value) for value in range(0, 101, 10))}
