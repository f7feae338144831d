"""What pictures looked like when the model learned is told in deciles."""

import numpy as np

from converter.reference import reference
from edge.bundle import read_bundle
from edge.guard import exposure


def test_a_score_has_eleven_deciles():
    """The least, the greatest, and the values between at each tenth."""
    scores = [{"brightness": float(value)} for value in reversed(range(101))]

    assert reference(scores) == {"brightness": tuple(float(value) for value in range(0, 101, 10))}


def test_the_card_tells_how_bright_the_training_images_were(line):
    """Under the names that the box's reports use, from the images learned from."""
    card = read_bundle(line.bundle).card
    names = set(exposure(np.zeros((224, 224, 3), np.uint8)))

    assert names <= set(card.reference)
    assert 0 < card.reference["brightness"][0] < card.reference["brightness"][-1] < 255
