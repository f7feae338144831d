"""The figures of the comparison, and the gate."""

import msgspec
import numpy as np
import pytest

from converter.parity import Probabilities, check, compare, exceeded
from edge.bundle import Parity
from edge.errors import GateError


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


WITHIN = Parity(
    n=200, agreement=0.995, max_probability_shift=0.03, float_agreement=0.9, accuracy_drop=0.985 - 0.98, auc_drop=0.005
)


def test_figures_on_the_very_edge_of_the_budget_pass():
    """Also where a float's last bit lies beyond it; the agreement with the float model is told and not judged."""
    found = exceeded(WITHIN)

    assert found == ()


@pytest.mark.parametrize(
    ("figure", "value", "clause"),
    [
        ("agreement", 0.99, "99.0% of the decisions are the refitted model's, at least 99.5% must be"),
        ("max_probability_shift", 0.031, "a probability lies 0.031 from the refitted model's, at most 0.03 is allowed"),
        ("accuracy_drop", 0.01, "the accuracy is 0.010 below the float model's, at most 0.005 is allowed"),
        ("auc_drop", 0.0061, "the area under the ROC curve is 0.0061 below the float model's, at most 0.005"),
    ],
)
def test_each_figure_beyond_the_budget_stops_the_gate(figure: str, value: float, clause: str):
    """The message names the figure, the bound and what can be done."""
    parity = msgspec.structs.replace(WITHIN, **{figure: value})

    with pytest.raises(GateError) as refused:
        check(parity)

    assert clause in str(refused.value)
    assert "--allow REASON" in str(refused.value)


def test_all_figures_beyond_the_budget_are_named_at_once():
    """Nobody has to find them one after the other."""
    parity = msgspec.structs.replace(WITHIN, agreement=0.5, max_probability_shift=0.9, accuracy_drop=0.5, auc_drop=0.5)

    clauses = exceeded(parity)

    assert len(clauses) == 4


def test_a_model_that_is_better_than_the_float_one_passes():
    """Only drops are bounded."""
    better = msgspec.structs.replace(WITHIN, accuracy_drop=-0.02, auc_drop=-0.01)

    assert exceeded(better) == ()
