"""The calibration sample is balanced, seeded and spans the input's range."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from converter.calibrate import calibration_positions, spanning
from edge.errors import DataError


@given(st.lists(st.integers(0, 2), min_size=3, max_size=200), st.integers(1, 60), st.integers(0, 99))
def test_each_class_gives_the_same_number(targets: list[int], per_class: int, seed: int):
    """As many as asked for, or as the smallest class has; never the same image twice."""
    array = np.array(targets)
    array, labels = np.unique(array, return_inverse=True)[1], [f"label {k}" for k in np.unique(array)]
    smallest = min(np.unique(array, return_counts=True)[1])

    positions = calibration_positions(array, labels, seed=seed, per_class=per_class)

    counts = np.unique(array[positions], return_counts=True)[1]
    assert set(counts.tolist()) == {min(per_class, smallest)}
    assert len(set(positions.tolist())) == len(positions)
    assert positions.tolist() == calibration_positions(array, labels, seed=seed, per_class=per_class).tolist()


def test_images_of_one_class_only_are_no_sample():
    """The class that is missing is named."""
    with pytest.raises(DataError, match="got none of normal; train the model on data that has some"):
        calibration_positions(np.zeros(9, np.int64), ["covid", "normal"], seed=0)


def test_the_sample_spans_black_to_white_and_its_source_is_left_alone():
    """Two corner pixels of a copy are changed, nothing else."""
    pixels = np.full((2, 224, 224, 3), 100, np.uint8)

    sample = spanning(pixels)

    assert (sample.min(), sample.max(), (sample != pixels).sum()) == (0, 255, 6)
    assert (pixels == 100).all()
