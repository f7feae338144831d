"""The figures are the textbook's."""

import numpy as np
import pytest

from edge.errors import ConfigError
from trainer.evaluate import evaluate, positive_label, wilson

LABELS = ("covid", "normal")


def two_columns(positive: list[float]) -> np.ndarray:
    """Probabilities of two labels from those of the first."""
    return np.stack([np.array(positive), 1 - np.array(positive)], axis=1).astype(np.float32)


def test_the_figures_of_a_case_counted_by_hand():
    """Five images: two of three covid found, one of two normal cleared; five of six pairs ordered right."""
    metrics = evaluate(two_columns([0.9, 0.8, 0.3, 0.6, 0.1]), np.array([0, 0, 0, 1, 1]), LABELS, "covid")

    assert metrics.confusion_matrix == ((2, 1), (1, 1))
    assert (metrics.accuracy, metrics.n) == (0.6, 5)
    assert metrics.sensitivity == pytest.approx(2 / 3)
    assert metrics.specificity == pytest.approx(1 / 2)
    assert metrics.auc == pytest.approx(5 / 6)
    assert all(low <= high for low, high in metrics.ci95.values())


def test_sensitivity_speaks_of_the_positive_label_wherever_it_stands():
    """With the labels in the other order the figures are the same."""
    metrics = evaluate(
        two_columns([0.9, 0.8, 0.3, 0.6, 0.1])[:, ::-1].copy(), np.array([1, 1, 1, 0, 0]), LABELS[::-1], "covid"
    )

    assert (metrics.sensitivity, metrics.specificity) == (pytest.approx(2 / 3), pytest.approx(1 / 2))


def test_what_cannot_be_said_is_not_said():
    """Without a normal image there is no specificity and no ROC curve."""
    metrics = evaluate(two_columns([0.9, 0.2]), np.array([0, 0]), LABELS, "covid")

    assert (metrics.auc, metrics.specificity) == (None, None)
    assert (metrics.ci95["auc"], metrics.ci95["specificity"]) == (None, None)


def test_wilson_s_interval_of_a_published_example():
    """81 of 263 (Newcombe, 1998, Stat. Med. 17: 0.2553 to 0.3662); a perfect score is no certainty."""
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(200, 200)[0] == pytest.approx(0.981, abs=5e-4)


@pytest.mark.parametrize("healthy", ["normal", "clear", "no-finding", "Negative"])
def test_the_class_that_is_not_healthy_is_the_positive_one(healthy: str):
    """Where the names tell, nobody has to."""
    assert positive_label([healthy, "opacity"], None) == "opacity"
    assert positive_label(["opacity", healthy], healthy) == healthy


@pytest.mark.parametrize(("labels", "wanted"), [(["a", "b"], None), (["normal", "clear"], None), (["a", "b"], "c")])
def test_a_positive_class_is_never_guessed(labels: list[str], wanted: str | None):
    """The message names the option."""
    with pytest.raises(ConfigError, match="--positive"):
        positive_label(labels, wanted)
