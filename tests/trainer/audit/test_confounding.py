"""What the design of a data set allows anybody to conclude, and what it does not."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from trainer.audit.confounding import design_of, leave_sources_out, source_rows
from trainer.audit.probe import FOLDS, Features, Question
from trainer.dataset import Dataset, Item

LABELS = ("covid", "normal")


def dataset_of(rows: Sequence[tuple[str, str | None]]) -> Dataset:
    """Images of these labels and sources; two neighbours are one patient."""
    items = [
        Item(f"{number}.png", label, f"{number:03}", patient=f"{number // 2}", source=source)
        for number, (label, source) in enumerate(rows)
    ]
    return Dataset(Path("data"), tuple(items), LABELS, 0)


def asked(dataset: Dataset) -> tuple[Question, Features]:
    """A question about it, and features that give the class away."""
    together = tuple(frozenset({f"{n:03}", f"{n + 1:03}"}) for n in range(0, len(dataset.items), 2))
    question = Question(dataset, "covid", together, np.arange(len(dataset.items)) // 2 % FOLDS)
    noise = np.random.default_rng(0).normal(size=(len(dataset.items), 4)).astype(np.float32)
    return question, noise + 9 * question.targets[:, np.newaxis]


@pytest.mark.parametrize(
    ("rows", "v", "mixed"),
    [
        ([("covid", "a"), ("normal", "a"), ("covid", "b"), ("normal", "b")], 0, 1),
        ([("covid", "a"), ("covid", "a"), ("normal", "b"), ("normal", "c")], 1, 0),
        ([("covid", "a"), ("normal", "a"), ("covid", "b"), ("covid", None)], 0.5, 2 / 3),
        ([("covid", "a"), ("normal", "a")], None, 1),
        ([("covid", None), ("normal", None)], None, None),
    ],
)
def test_association_of_class_and_source(rows: list[tuple[str, str | None]], v: float | None, mixed: float | None):
    """Cramer's V is 1 where the source gives the class away; images without a source do not count."""
    design = design_of(dataset_of(rows))

    assert (design.cramers_v, design.mixed_share) == (pytest.approx(v), pytest.approx(mixed))
    assert design.inseparable == (mixed == 0)
    assert design.nameless == sum(source is None for _, source in rows)


def test_a_source_of_one_class_is_paired_and_the_only_one_of_a_class_cannot_be_left_out():
    """With one place for the healthy, nothing can be said of the healthy elsewhere; small sources go together."""
    rows = [("covid", "north")] * 20 + [("covid", "east")] * 4 + [("covid", "west")] * 2 + [("normal", "south")] * 30
    question, features = asked(dataset_of(rows))

    south, north, small = leave_sources_out(question, features)

    assert (south.source, south.lost_class, south.metrics, south.paired_with) == ("south", "normal", None, {})
    assert (north.source, north.counts, north.paired_with) == ("north", {"covid": 20}, {"normal": 6})
    assert (north.metrics.n, north.metrics.sensitivity) == (26, 1)
    assert (small.source, small.counts) == ("2 sources of fewer than 10 images", {"covid": 6})


def test_whoever_has_images_in_the_source_is_not_learned_from():
    """A patient seen in two places would be known; leaving both out leaves nobody with the disease to learn from."""
    rows = [("covid", "north"), ("covid", "south")] * 10 + [("normal", "north")] * 10 + [("normal", "south")] * 10
    question, features = asked(dataset_of(rows))

    north, south = leave_sources_out(question, features)

    assert (north.lost_class, south.lost_class) == ("covid", "covid")


def test_rows_count_what_each_source_was_called():
    """One row per source and class, the largest first."""
    dataset = dataset_of([("covid", "a"), ("covid", "a"), ("normal", None)])
    answers = np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6]], np.float32)

    first, second = source_rows(dataset, answers, LABELS)

    assert (first.source, first.label, first.n, first.called) == ("a", "covid", 2, {"covid": 1, "normal": 1})
    assert (second.source, second.called) == (None, {"covid": 0, "normal": 1})
