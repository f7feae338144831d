"""A manifest's clinical columns -> numbers beside an image's features, for the joint model.

Invariant: a column is used only where it is known for nearly every image of every class. A column that is filled in for
one class and empty for another would tell the class by its absence, and a model that read it would have learned who
kept the records. For the same reason a missing value is filled in without leaving a mark that it was missing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from trainer.dataset import Dataset

KNOWN_SHARE: Final = 0.9
"""Of every class, for a column to be used."""
MOST_CATEGORIES: Final = 10
"""A column of words with more different values is text, not a category."""
_FEWEST_VALUES: Final = 2

Records = Sequence[Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class ClinicalColumns:
    """Which columns a joint model may read.

    Attributes:
        numbers: Every known value is a number.
        categories: A few different words.
        left_out: Every other column, and why.
    """

    numbers: tuple[str, ...]
    categories: tuple[str, ...]
    left_out: Mapping[str, str]

    @property
    def refusal(self) -> str | None:
        """Why there can be no joint model; None where there can."""
        if self.numbers or self.categories:
            return None
        if not self.left_out:
            return "the manifest has no clinical columns"
        columns: dict[str, list[str]] = {}
        for column, reason in self.left_out.items():
            columns.setdefault(reason, []).append(column)
        return "; ".join(f"{' and '.join(names)}: {reason}" for reason, names in columns.items())


def choose_columns(dataset: Dataset) -> ClinicalColumns:
    """Choose the clinical columns that a joint model may read."""
    names = sorted({name for item in dataset.items for name in item.clinical})
    left_out = {name: reason for name in names if (reason := _objection(dataset, name))}
    used = [name for name in names if name not in left_out]
    numbers = tuple(name for name in used if _all_numbers(_known(dataset, name)))
    return ClinicalColumns(numbers, tuple(name for name in used if name not in numbers), left_out)


def encode(records: Records, columns: ClinicalColumns, learned: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
    """Turn records into numbers: numbers standardised, categories one-hot, all fitted on the records learned from.

    A missing number becomes the median, a missing category the most frequent one; a category never seen becomes zeros.

    Args:
        records: One per image, column to value; an unknown value is left out.
        columns: Which to read.
        learned: `(n,) bool`, the images learned from.

    Returns:
        `(n, columns and categories) float32`.
    """
    numbers, categories = len(columns.numbers), len(columns.categories)
    table = np.empty((len(records), numbers + categories), object)
    for row, record in zip(table, records, strict=True):
        row[:numbers] = [float(record.get(name, "nan")) for name in columns.numbers]
        row[numbers:] = [_word(record.get(name, "")) for name in columns.categories]
    parts = make_column_transformer(
        (make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), list(range(numbers))),
        (_one_hot(), list(range(numbers, numbers + categories))),
    )
    return np.asarray(parts.fit(table[learned]).transform(table), np.float32)


def _one_hot() -> Any:
    return make_pipeline(
        SimpleImputer(missing_values="", strategy="most_frequent"),
        OneHotEncoder(handle_unknown="ignore", sparse_output=False),
    )


def _objection(dataset: Dataset, name: str) -> str | None:
    """Why a column is not to be read; None where it is."""
    counts = dataset.counts()
    known = {
        label: sum(name in item.clinical for item in dataset.items if item.label == label) / count
        for label, count in counts.items()
    }
    if min(known.values()) < KNOWN_SHARE:
        shares = " and ".join(f"{share:.0%} of {label}" for label, share in known.items())
        return f"known for {shares}, wanted for {KNOWN_SHARE:.0%} of every class, or its absence tells the class"
    values = _known(dataset, name)
    different = {_word(value) for value in values}
    if len(different) < _FEWEST_VALUES:
        return "the same for every image"
    if len(different) > MOST_CATEGORIES and not _all_numbers(values):
        return f"{len(different)} different words, wanted at most {MOST_CATEGORIES}"
    return None


def _known(dataset: Dataset, name: str) -> list[str]:
    return [item.clinical[name] for item in dataset.items if name in item.clinical]


def _all_numbers(values: Sequence[str]) -> bool:
    try:
        return bool(np.isfinite([float(value) for value in values]).all())
    except ValueError:
        return False


def _word(value: str) -> str:
    """So that `F`, `f` and ` F` are one category."""
    return value.strip().casefold()
