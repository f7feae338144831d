"""The figures of the comparison."""

import numpy as np
import pytest

from converter.parity import Probabilities, compare


def two_columns(*positive: float) -> np.ndarray:
    """Probabilities of two labels from those of the first."""
    return np.stack([np.array(positive), 1 - np.array(positive)], axis=1).astype(np.float32)


def test_the_figures_of_a_case_counted_by_hand():
    """One of four decisions differs from the refitted model's, two from the float model's."""
    probabilities = Probabilities(
        shipped=two_columns(0.9, 0.6, 0.4, 0.2),
        refitted=two_columns(0.95, 0.4, 0.4, 0.2),
        trained=two_columns(0.9, 0.4, 0.6, 0.2),
    )

    parity = compare(probabilities, np.array([0, 1, 0, 1]), 0, 0.5)

    assert (parity.n, parity.agreement, parity.float_agreement) == (4, 0.75, 0.5)
    assert parity.max_probability_shift == pytest.approx(0.2)
    assert parity.accuracy_drop == pytest.approx(1.0 - 0.5)
    assert parity.auc_drop == pytest.approx(1.0 - 0.75)
