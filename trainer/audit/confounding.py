"""Does the class follow from the source? What the data's design allows anybody to conclude, before any pixel.

Used by `audit.py`. Sources smaller than `FEWEST` are left out together, as one: alone they would tell nothing.
Invariant: `Design` depends on the manifest alone.
"""

from collections import Counter
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from trainer.audit.probe import FOLDS, Features, Question, linear, measure_on
from trainer.dataset import Dataset
from trainer.evaluate import Metrics

FEWEST: Final = 10
"""Images of a source that is left out by itself."""


class Design(msgspec.Struct, frozen=True, kw_only=True):
    """How classes and sources go together.

    Attributes:
        counts: Source to label to number of images.
        nameless: Images without a source.
        cramers_v: Association of class and source, 0-1 (Cramer, 1946, Mathematical Methods of Statistics, 21.9); at 1
            the source gives the class away. None where fewer than two sources are named.
        mixed_share: Share of the images with a source whose source shows more than one class: those from which the
            disease could be told apart from the source. None where no source is named.
    """

    counts: dict[str, dict[str, int]]
    nameless: int
    cramers_v: float | None
    mixed_share: float | None

    @property
    def inseparable(self) -> bool:
        """Whether no source shows more than one class, so that every difference may be one of sources."""
        return self.mixed_share == 0


class LeftOut(msgspec.Struct, frozen=True, kw_only=True):
    """One source, asked about by a model that never saw it.

    Attributes:
        source: Its name, or that of several small ones together.
        counts: Label to number of its images.
        paired_with: Label to number of images of other sources that were held out beside them, where the source shows
            one class only. The model has seen their sources.
        metrics: On the source's images and those; None where leaving the source out leaves a class without images.
        lost_class: That class.
    """

    source: str
    counts: dict[str, int]
    paired_with: dict[str, int]
    metrics: Metrics | None
    lost_class: str | None


class SourceRow(msgspec.Struct, frozen=True, kw_only=True):
    """What a source's images of one class were called.

    Attributes:
        source: None for images without one.
        label: The true class.
        n: Number of images.
        called: Label to number of images.
    """

    source: str | None
    label: str
    n: int
    called: dict[str, int]


def design_of(dataset: Dataset) -> Design:
    """Count classes and sources against each other."""
    pairs = Counter((item.source, item.label) for item in dataset.items if item.source)
    sources = sorted({source for source, _ in pairs if source})
    counts = {
        source: {label: pairs[source, label] for label in dataset.labels if pairs[source, label]} for source in sources
    }
    named = sum(pairs.values())
    mixed = sum(sum(by_label.values()) for by_label in counts.values() if len(by_label) > 1)
    table = np.array([[pairs[source, label] for label in dataset.labels] for source in sources], np.float64)
    return Design(
        counts=counts,
        nameless=len(dataset.items) - named,
        cramers_v=_cramers_v(table) if len(sources) > 1 else None,
        mixed_share=mixed / named if named else None,
    )


def leave_sources_out(question: Question, features: Features) -> tuple[LeftOut, ...]:
    """Leave each source out of the training and ask about it, the largest first.

    A source with one class only is paired with a fold of the other classes' images, which are not learned from either:
    the model's sensitivity (or specificity) is then that on a source it never saw, the other figure is not.

    Args:
        question: The images.
        features: `(n, d) float32`, of the whole images.
    """
    return tuple(
        _leave_out(question, features, name, members, fold=number % FOLDS)
        for number, (name, members) in enumerate(_to_leave_out(question.dataset))
    )


def source_rows(dataset: Dataset, answers: Features, labels: tuple[str, ...]) -> tuple[SourceRow, ...]:
    """What each source's images of each class were called, the largest row first.

    Args:
        dataset: The images.
        answers: `(n, labels) float32`, probabilities.
        labels: In the order of the columns.
    """
    decided = [labels[index] for index in answers.argmax(axis=1)]
    called = Counter((item.source, item.label, name) for item, name in zip(dataset.items, decided, strict=True))
    rows = Counter((item.source, item.label) for item in dataset.items)
    return tuple(
        SourceRow(source=source, label=label, n=n, called={name: called[source, label, name] for name in labels})
        for (source, label), n in sorted(rows.items(), key=lambda row: (-row[1], str(row[0])))
    )


def _cramers_v(table: npt.NDArray[np.float64]) -> float:
    """Cramer's V of counts, `(sources, labels)`, every row and column with at least one image."""
    table = table[:, table.sum(axis=0) > 0]
    smaller = min(table.shape) - 1
    if smaller == 0:
        return 0.0
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    chi2 = ((table - expected) ** 2 / expected).sum()
    return float(np.sqrt(chi2 / (table.sum() * smaller)))


def _to_leave_out(dataset: Dataset) -> list[tuple[str, frozenset[str]]]:
    """Name and sources of what is left out at one time, the largest first."""
    sizes = Counter(item.source for item in dataset.items if item.source)
    small = frozenset(source for source, size in sizes.items() if size < FEWEST)
    large = [(source, frozenset([source])) for source, _ in sizes.most_common() if source not in small]
    return [*large, *([(f"{len(small)} sources of fewer than {FEWEST} images", small)] if small else [])]


def _leave_out(question: Question, features: Features, name: str, sources: frozenset[str], *, fold: int) -> LeftOut:
    dataset, labels = question.dataset, question.dataset.labels
    theirs = np.array([item.source in sources for item in dataset.items])
    counts = Counter(item.label for item in dataset.items if item.source in sources)
    paired = np.zeros_like(theirs)
    if len(counts) == 1:
        paired = (question.fold_of == fold) & np.array([item.label not in counts for item in dataset.items])
    asked = theirs | paired
    learned = ~_touching(question, asked)
    lost = sorted(set(labels) - {item.label for item, kept in zip(dataset.items, learned, strict=True) if kept})
    metrics: Metrics | None = None
    if lost:
        paired[:] = False
    else:
        fitted = linear().fit(features[learned], question.targets[learned])
        images = dataset.only(np.array(dataset.keys)[asked].tolist())
        metrics = measure_on(images, fitted.predict_proba(features[asked]), labels, question.positive)
    return LeftOut(
        source=name,
        counts=dict(counts),
        paired_with=dict(Counter(item.label for item, here in zip(dataset.items, paired, strict=True) if here)),
        metrics=metrics,
        lost_class=lost[0] if lost else None,
    )


def _touching(question: Question, chosen: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """The chosen images and all that belong together with one of them."""
    keys = question.dataset.keys
    picked = {key for key, here in zip(keys, chosen, strict=True) if here}
    picked = picked.union(*(group for group in question.together if group & picked))
    return np.array([key in picked for key in keys])
