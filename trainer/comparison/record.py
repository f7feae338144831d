"""What a comparison consists of: one score per method, features and seed, and their mean and spread. Pure values.

Every score is of images that the method did not learn from, and every decision is for the label with the highest score:
with two classes that is the paper's threshold of 0.5.
"""

from collections.abc import Sequence
from datetime import datetime
from statistics import fmean, stdev
from typing import Final, Self

import msgspec
import numpy as np
import numpy.typing as npt

from trainer.evaluate import auc
from trainer.recipes import Recipe

PIXELS: Final = "pixels"
"""The feature set that needs no network."""

Matrix = tuple[tuple[int, ...], ...]
"""Rows = true, columns = decided, in the order of the labels."""


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """How one fitted method did on the held-out images of one split.

    Attributes:
        accuracy: Share of decisions that are right.
        auc: Area under the ROC curve of the positive label's score; None where one side has no image.
        sensitivity: Share of positive images that are called positive; None where there is none.
        specificity: Share of other images that are not called positive; None where there is none.
        confusion_matrix: Counts.
    """

    accuracy: float
    auc: float | None
    sensitivity: float | None
    specificity: float | None
    confusion_matrix: Matrix

    @classmethod
    def of(cls, scores: npt.NDArray[np.float32], targets: npt.NDArray[np.int64], positive: int) -> Self:
        """Compare decisions with the truth.

        Args:
            scores: `(n, labels)`, higher is likelier; n at least 1.
            targets: `(n,)`, index of each image's true label.
            positive: Index of the label that is looked for.
        """
        decided = scores.argmax(axis=1)
        matrix = np.zeros((scores.shape[1], scores.shape[1]), np.int64)
        np.add.at(matrix, (targets, decided), 1)
        found = targets == positive
        return cls(
            accuracy=float((decided == targets).mean()),
            auc=auc(scores[:, positive], found),
            sensitivity=float((decided == positive)[found].mean()) if found.any() else None,
            specificity=float((decided != positive)[~found].mean()) if not found.all() else None,
            confusion_matrix=tuple(tuple(row) for row in matrix.tolist()),
        )

    @property
    def n(self) -> int:
        """Number of images."""
        return sum(map(sum, self.confusion_matrix))

    @property
    def wrong(self) -> int:
        """Number of wrong decisions."""
        return self.n - sum(row[at] for at, row in enumerate(self.confusion_matrix))


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """One figure over all seeds.

    Attributes:
        mean: Arithmetic.
        sd: Standard deviation of the sample (n - 1); None where there is one seed.
        low: The least.
        high: The greatest.
        n: Number of seeds.
    """

    mean: float
    sd: float | None
    low: float
    high: float
    n: int

    @classmethod
    def of(cls, figures: Sequence[float | None]) -> Self | None:
        """Mean and spread; None where a figure is missing."""
        known = [figure for figure in figures if figure is not None]
        if not known or len(known) < len(figures):
            return None
        sd = stdev(known) if len(known) > 1 else None
        return cls(mean=fmean(known), sd=sd, low=min(known), high=max(known), n=len(known))


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One method fitted once.

    Attributes:
        method: A recipe's name, or a name of `trainer.comparison.baselines.METHODS`.
        features: What a classical method was given: `pixels` or a backbone's name; None for a network.
        seed: Of the split and everything else random.
        score: On the held-out images.
        seconds: By stage; what the cache holds already takes none.
    """

    method: str
    features: str | None
    seed: int
    score: Score
    seconds: dict[str, float]


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """One method over all seeds.

    Attributes:
        method: As in its runs.
        features: As in its runs.
        accuracy: Over the seeds.
        auc: Over the seeds.
        sensitivity: Over the seeds.
        specificity: Over the seeds.
        wrong: Number of wrong decisions, over the seeds.
        n: Held-out images per seed.
        first: The confusion matrix of the first seed.
        total: The sum of all seeds' matrices; an image that several seeds hold out is counted each time.
        runs: In the order of the seeds.
    """

    method: str
    features: str | None
    accuracy: Spread
    auc: Spread | None
    sensitivity: Spread | None
    specificity: Spread | None
    wrong: Spread
    n: int
    first: Matrix
    total: Matrix
    runs: tuple[Run, ...]


def summarise(runs: Sequence[Run]) -> Summary:
    """One method's runs, one per seed, in the order of the seeds -> mean and spread."""
    scores = [run.score for run in runs]
    accuracy, wrong = Spread.of([score.accuracy for score in scores]), Spread.of([score.wrong for score in scores])
    if accuracy is None or wrong is None:
        raise ValueError("expected at least one run")
    total = np.sum([score.confusion_matrix for score in scores], axis=0)
    return Summary(
        method=runs[0].method,
        features=runs[0].features,
        accuracy=accuracy,
        auc=Spread.of([score.auc for score in scores]),
        sensitivity=Spread.of([score.sensitivity for score in scores]),
        specificity=Spread.of([score.specificity for score in scores]),
        wrong=wrong,
        n=scores[0].n,
        first=scores[0].confusion_matrix,
        total=tuple(tuple(row) for row in total.tolist()),
        runs=tuple(runs),
    )


class HeldOut(msgspec.Struct, frozen=True, kw_only=True):
    """The split of one seed.

    Attributes:
        seed: Of the draw.
        learned: Images learned from.
        held_out: Images held out.
        patients_on_both_sides: None where the data names no patients.
    """

    seed: int
    learned: int
    held_out: int
    patients_on_both_sides: int | None


class Data(msgspec.Struct, frozen=True, kw_only=True):
    """The images.

    Attributes:
        name: The folder's.
        fingerprint: Of all keys and labels.
        counts: Label to number of images.
        sources: Label to source to number of images; empty where the manifest names none.
        duplicates: Files left out because they repeat another's bytes.
        near_duplicates: Images that look the same as another; each such group is on one side of every split.
        skipped: Unreadable files left out.
    """

    name: str
    fingerprint: str
    counts: dict[str, int]
    sources: dict[str, dict[str, int]]
    duplicates: int
    near_duplicates: int
    skipped: int


class Weights(msgspec.Struct, frozen=True, kw_only=True):
    """A backbone's weights.

    Attributes:
        name: `imagenet`, `none`, or the file's name.
        sha256: Of the file; None where there is none.
    """

    name: str
    sha256: str | None


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a comparison found: `compare.json`.

    Attributes:
        labels: In the order of every matrix.
        positive: The label that is looked for.
        data: The images.
        splits: One per seed; every method of a seed has the same.
        weights: By backbone.
        networks: The paper's four runs, in the order of its figures.
        methods: Those of the related work: by feature set, then by method.
        not_run: Method to why it could not be run.
        columns: The clinical columns that the joint model read.
        recipes: The networks' training choices.
        features: Feature set to what it is, in words.
        versions: Of what the figures depend on.
        created_at: When this was written, UTC.
    """

    labels: tuple[str, ...]
    positive: str
    data: Data
    splits: tuple[HeldOut, ...]
    weights: dict[str, Weights]
    networks: tuple[Summary, ...]
    methods: tuple[Summary, ...]
    not_run: dict[str, str]
    columns: tuple[str, ...]
    recipes: tuple[Recipe, ...]
    features: dict[str, str]
    versions: dict[str, str]
    created_at: datetime

    @property
    def all(self) -> tuple[Summary, ...]:
        """Networks and methods."""
        return self.networks + self.methods
