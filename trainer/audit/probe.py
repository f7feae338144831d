"""A small model, asked the same question from one kind of evidence: which class is this image of?

Used by `audit.py`, which compares what a model is told with how well it answers. Invariant: every answer is given
by a model that saw neither the image, nor its patient, nor another copy of its film.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from trainer.audit.traits import Table
from trainer.dataset import Dataset
from trainer.evaluate import Metrics, auc, evaluate
from trainer.groups import kept_together
from trainer.material import Material
from trainer.split import folds

FOLDS: Final = 5
PULL: Final = 0.01
"""Inverse of how strongly logistic regression pulls on its weights (scikit-learn's C), features at unit variance."""
TREES: Final = 100
_NAMED: Final = 5
_SMALL_TREE_LEAVES: Final = 8
_FEWEST_PER_LEAF: Final = 5

Features = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """Which images, which classes, and which fold each image is asked in.

    Attributes:
        dataset: The images.
        positive: The class that is looked for.
        together: Groups of keys that are learned from or asked about as one.
        fold_of: `(n,) int64`.
    """

    dataset: Dataset
    positive: str
    together: tuple[frozenset[str], ...]
    fold_of: npt.NDArray[np.int64]

    @property
    def targets(self) -> npt.NDArray[np.int64]:
        """Index of each image's label, `(n,) int64`."""
        return self.dataset.targets(self.dataset.labels)

    @property
    def is_positive(self) -> Bools:
        """Which images are of the class that is looked for, `(n,) bool`."""
        return self.targets == self.dataset.labels.index(self.positive)


class Strongest(msgspec.Struct, frozen=True, kw_only=True):
    """One figure that tells much by itself.

    Attributes:
        name: Of the figure.
        auc: Of a small decision tree that is told this figure alone, cross-validated.
        typical: Label to the figure's median there, or its most frequent value.
    """

    name: str
    auc: float
    typical: dict[str, str]


def ask(material: Material, positive: str, *, seed: int) -> Question:
    """Draw the folds, patients and near-duplicates kept together.

    Raises:
        DataError: A class has fewer patients or films than there are folds.
    """
    dataset = material.dataset
    together = kept_together(dataset, material.together, by_patient=True)
    drawn = folds(dataset.keys, dataset.targets(dataset.labels), together, count=FOLDS, seed=seed)
    return Question(dataset, positive, together, drawn)


def linear() -> Any:
    """Logistic regression, for many features of like kind; each class counts as much as another."""
    return make_pipeline(StandardScaler(), LogisticRegression(C=PULL, class_weight="balanced", max_iter=2000))


def forest() -> Any:
    """A random forest, for a few figures of different kinds, numbered words among them; classes count alike."""
    return RandomForestClassifier(TREES, min_samples_leaf=_FEWEST_PER_LEAF, class_weight="balanced", random_state=0)


def unseen_answers(question: Question, features: Features, build: Callable[[], Any]) -> Features:
    """What a model says of each image when its fold was left out, `(n, labels) float32`, probabilities.

    Args:
        question: The images.
        features: `(n, d) float32`.
        build: Makes a model that is not fitted yet.
    """
    answers = np.empty((len(features), len(question.dataset.labels)), np.float32)
    for fold in range(FOLDS):
        out = question.fold_of == fold
        answers[out] = build().fit(features[~out], question.targets[~out]).predict_proba(features[out])
    return answers


def measure(question: Question, answers: Features) -> Metrics:
    """Compare answers to all images with the truth."""
    return measure_on(question.dataset, answers, question.dataset.labels, question.positive)


def measure_on(dataset: Dataset, answers: Features, labels: tuple[str, ...], positive: str) -> Metrics:
    """Compare answers to a dataset's images with the truth.

    Args:
        dataset: The images.
        answers: `(n, labels) float32`, probabilities.
        labels: In the order of the columns.
        positive: One of them.
    """
    return evaluate(
        answers,
        dataset.targets(labels),
        labels,
        positive,
        patients=[item.patient for item in dataset.items],
        sources=[item.source for item in dataset.items],
    )


def strongest(question: Question, table: Table) -> tuple[Strongest, ...]:
    """The figures that tell most by themselves, best first, those that tell nothing left out."""
    found = []
    for column, name in enumerate(table.names):
        answers = unseen_answers(question, table.values[:, column : column + 1], _small_tree)
        area = auc(answers[:, question.dataset.labels.index(question.positive)], question.is_positive) or 0.5
        typical = {
            label: table.typical(column, question.targets == number)
            for number, label in enumerate(question.dataset.labels)
        }
        found.append(Strongest(name=name, auc=area, typical=typical))
    telling = (each for each in found if each.auc > 0.5)  # noqa: PLR2004 - chance
    return tuple(sorted(telling, key=lambda each: -each.auc)[:_NAMED])


def _small_tree() -> Any:
    return DecisionTreeClassifier(max_leaf_nodes=_SMALL_TREE_LEAVES, min_samples_leaf=_FEWEST_PER_LEAF, random_state=0)
