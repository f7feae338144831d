"""The budget: four figures, each with its bound, and the reason that overrides them."""

import msgspec
import pytest

from converter.gate import allowed, check, exceeded
from edge.bundle.bundle import Parity
from edge.errors import GateError

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


def test_a_reason_that_is_not_needed_is_not_on_the_card(caplog):
    """A model within the budget must not look like one that was let pass."""
    caplog.set_level("INFO")

    reason = allowed(WITHIN, "just in case")

    assert (reason, "was not needed" in caplog.text) == (None, True)


def test_a_reason_lets_a_model_pass_and_the_log_says_with_what(caplog):
    """What was exceeded stands beside the reason."""
    beyond = msgspec.structs.replace(WITHIN, agreement=0.9)

    reason = allowed(beyond, "a study, no patients")

    assert reason == "a study, no patients"
    assert "90.0% of the decisions" in caplog.text
