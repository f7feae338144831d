"""The figures are the textbook's."""

import msgspec
import numpy as np
import pytest

from edge.errors import ConfigError
from trainer.evaluate import Metrics, evaluate, positive_label

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
    assert all(interval[0] <= interval[1] for interval in metrics.ci95.values() if interval)


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


def test_the_band_is_left_aside_and_told_of():
    """The one wrong call lies in the band; outside it everything is right, and the other figures do not change."""
    metrics = evaluate(
        two_columns([0.9, 0.8, 0.6, 0.2, 0.1]), np.array([0, 0, 1, 1, 1]), LABELS, "covid", band=(0.4, 0.7)
    )

    assert (metrics.accuracy, metrics.accuracy_outside_band, metrics.inconclusive) == (0.8, 1.0, 0.2)
    assert metrics.ci95["accuracy_outside_band"][0] < 1
    assert metrics.band == (0.4, 0.7)


def test_nothing_is_said_of_a_band_that_was_not_given():
    """Neither a share nor an interval."""
    metrics = evaluate(two_columns([0.9, 0.2]), np.array([0, 1]), LABELS, "covid")

    assert (metrics.inconclusive, metrics.accuracy_outside_band, metrics.band) == (None, None, None)
    assert metrics.ci95["accuracy_outside_band"] is None


def test_calibration_is_measured_before_and_after():
    """Four images said to be 0.9, three of which are: 0.15 off; said to be 0.75 they are right."""
    sure, modest = two_columns([0.9] * 4), two_columns([0.75] * 4)

    metrics = evaluate(modest, np.array([0, 0, 0, 1]), LABELS, "covid", uncalibrated=sure)

    assert metrics.ece == pytest.approx(0)
    assert metrics.ece_uncalibrated == pytest.approx(0.15)
    assert metrics.brier == pytest.approx((3 * 0.25**2 + 0.75**2) / 4)


def test_each_source_has_its_row():
    """Names in order, the nameless last; a source with one class alone has one of the two rates."""
    metrics = evaluate(
        two_columns([0.9, 0.4, 0.6, 0.1, 0.1]),
        np.array([0, 0, 1, 1, 1]),
        LABELS,
        "covid",
        sources=["spain", "spain", "nih", "nih", None],
    )

    rows = {row.source: (row.counts, row.accuracy, row.sensitivity, row.specificity) for row in metrics.by_source}
    assert list(rows) == ["nih", "spain", None]
    assert rows["nih"] == ({"covid": 0, "normal": 2}, 0.5, None, 0.5)
    assert rows["spain"] == ({"covid": 2, "normal": 0}, 0.5, 0.5, None)


def test_no_source_no_table():
    """Neither for names that were not given nor for those that are unknown."""
    plain = evaluate(two_columns([0.9, 0.2]), np.array([0, 1]), LABELS, "covid", sources=[None, None])

    assert plain.by_source == ()


def test_the_document_says_how_the_intervals_came_about():
    """Patients and images without one are counted; the measures that Wilson stands in for are named."""
    metrics = evaluate(
        two_columns([0.9, 0.8, 0.3, 0.1]), np.array([0, 0, 1, 1]), LABELS, "covid", patients=["a", "a", "b", None]
    )

    assert "2 patients and 1 images whose patient is not known" in metrics.ci95_method
    assert set(metrics.ci95_stand_ins) == {"accuracy", "sensitivity", "specificity", "auc"}
    assert (metrics.patients, metrics.images_without_patient) == (2, 1)
    assert msgspec.json.decode(msgspec.json.encode(metrics), type=Metrics) == metrics


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
