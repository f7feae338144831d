"""Which clinical columns a joint model may read, and how they become numbers."""

from pathlib import Path

import numpy as np
import pytest

from trainer.comparison.clinical import ClinicalColumns, choose_columns, encode
from trainer.dataset import Dataset, Item


def dataset_of(*records: dict[str, str]) -> Dataset:
    """One image per record, of two classes in turn."""
    items = tuple(
        Item(f"{number}.png", ("covid", "normal")[number % 2], f"{number:064x}", clinical=record)
        for number, record in enumerate(records)
    )
    return Dataset(Path("films"), items, ("covid", "normal"), 0)


def test_numbers_and_categories_are_told_apart():
    """A column of numbers is a number, one of a few words a category."""
    columns = choose_columns(dataset_of(*({"age": str(20 + n), "sex": "FM"[n // 2 % 2]} for n in range(20))))

    assert columns == ClinicalColumns(numbers=("age",), categories=("sex",), left_out={})
    assert columns.refusal is None


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (lambda n: {"age": str(n)} if n % 2 else {}, "age: known for 0% of covid and 100% of normal"),
        (lambda n: {"age": str(n)} if n >= 5 else {}, "age: known for 70% of covid and 80% of normal"),
        (lambda _: {"hospital": "A"}, "hospital: the same for every image"),
        (lambda n: {"note": f"seen {n}"}, "note: 20 different words, wanted at most 10"),
        (lambda _: {}, "the manifest has no clinical columns"),
    ],
)
def test_a_column_that_would_tell_too_much_or_nothing_is_left_out(record, reason: str):
    """Above all one that is known for one class and not for the other; the reason gives the figures."""
    columns = choose_columns(dataset_of(*(record(number) for number in range(20))))

    assert (columns.numbers, columns.categories) == ((), ())
    assert (columns.refusal or "").startswith(reason)


def test_columns_with_one_reason_are_named_together():
    """One sentence for all columns of a record that was kept for one class only."""
    columns = choose_columns(dataset_of(*({"age": "40", "sex": "F"} if n % 2 else {} for n in range(20))))

    assert (columns.refusal or "").startswith("age and sex: known for 0% of covid")


def test_numbers_are_standardised_and_words_one_hot_by_the_images_learned_from():
    """The held-out record decides nothing; a missing number is the median, an unseen word all zeros."""
    columns = ClinicalColumns(numbers=("age",), categories=("sex",), left_out={})
    records = [{"age": "40", "sex": "F"}, {"age": "60", "sex": " m"}, {"sex": "f"}, {"age": "1000", "sex": "x"}]

    table = encode(records, columns, np.array([True, True, True, False]))

    scale = np.std([40, 60, 50])
    expected = [[-10 / scale, 1, 0], [10 / scale, 0, 1], [0, 1, 0], [950 / scale, 0, 0]]
    np.testing.assert_allclose(table, expected, rtol=1e-6)
    assert table.dtype == np.float32
