"""The split is the paper's, seeded, and says what it cannot keep apart."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import DataError
from trainer.dataset import Dataset, Item
from trainer.split import random_split


def a_dataset(*sizes: int, patients: int = 0) -> Dataset:
    """Items with made-up keys; with patients, each has the item's number modulo their count."""
    items = tuple(
        Item(f"{label}/{n}.png", f"class{label}", f"{label:02}{n:062}", f"p{n % patients}" if patients else None)
        for label, size in enumerate(sizes)
        for n in range(size)
    )
    return Dataset(Path(), items, tuple(f"class{label}" for label in range(len(sizes))), 0)


@given(st.lists(st.integers(5, 60), min_size=2, max_size=4), st.integers(0, 2**32 - 1))
def test_a_fifth_of_each_class_is_held_out_and_nothing_is_on_both_sides(sizes: list[int], seed: int):
    """Stratified, complete and disjoint, whatever the sizes and the seed."""
    dataset = a_dataset(*sizes)

    split = random_split(dataset, test_share=0.2, seed=seed)

    assert sorted([*split.train, *split.held_out]) == sorted(dataset.keys)
    held_out = dataset.only(split.held_out).counts()
    assert held_out == {f"class{label}": round(size / 5) for label, size in enumerate(sizes)}


def test_the_seed_alone_decides():
    """The same seed draws the same split from the items in another order; another seed draws another."""
    dataset = a_dataset(50, 50)
    turned = Dataset(dataset.root, dataset.items[::-1], dataset.labels, 0)

    first = random_split(dataset, test_share=0.2, seed=1)
    again = random_split(turned, test_share=0.2, seed=1)
    other = random_split(dataset, test_share=0.2, seed=2)

    assert first == again
    assert first.held_out != other.held_out


def test_patients_on_both_sides_are_counted():
    """Five patients with ten images each can hardly be kept apart; without names nobody can say."""
    named = random_split(a_dataset(50, 50, patients=5), test_share=0.2, seed=0)
    nameless = random_split(a_dataset(50, 50), test_share=0.2, seed=0)

    assert named.patients_on_both_sides == 5
    assert nameless.patients_on_both_sides is None


def test_a_class_too_small_to_split_is_refused():
    """Two images cannot give a fifth."""
    with pytest.raises(DataError, match=r"expected enough images of 'class1' to hold out 20% of them, got 2"):
        random_split(a_dataset(50, 2), test_share=0.2, seed=0)
