"""The splits are seeded, keep apart what they promise to, and say what they cannot keep apart."""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.errors import DataError
from trainer.dataset import Dataset, Item
from trainer.groups import components
from trainer.split import draw_split, folds


def a_dataset(*sizes: int, patients: int = 0, source: str | None = None) -> Dataset:
    """Items with made-up keys; with patients, each has the item's number modulo their count."""
    items = tuple(
        Item(
            f"{label}/{n}.png", f"class{label}", f"{label:02}{n:062}", f"p{n % patients}" if patients else None, source
        )
        for label, size in enumerate(sizes)
        for n in range(size)
    )
    return Dataset(Path(), items, tuple(f"class{label}" for label in range(len(sizes))), 0)


def with_sources(dataset: Dataset, *sources: str) -> Dataset:
    """The same items, each with one of the sources in turn."""
    items = tuple(replace(item, source=sources[n % len(sources)]) for n, item in enumerate(dataset.items))
    return replace(dataset, items=items)


seeds = st.integers(0, 2**32 - 1)
sizes = st.lists(st.integers(5, 60), min_size=2, max_size=4)


@st.composite
def datasets_with_groups(draw: st.DrawFn) -> tuple[Dataset, list[frozenset[str]]]:
    """Two or three classes, and a few groups of up to four images of any class."""
    dataset = a_dataset(*draw(st.lists(st.integers(20, 60), min_size=2, max_size=3)))
    group = st.frozensets(st.sampled_from(dataset.keys), min_size=2, max_size=4)
    return dataset, draw(st.lists(group, max_size=6))


@given(sizes, seeds)
def test_a_fifth_of_each_class_is_held_out_and_nothing_is_on_both_sides(sizes: list[int], seed: int):
    """Stratified, complete and disjoint, whatever the sizes and the seed."""
    dataset = a_dataset(*sizes)

    split = draw_split(dataset, "random", test_share=0.2, seed=seed)

    assert sorted([*split.train, *split.held_out]) == sorted(dataset.keys)
    held_out = dataset.only(split.held_out).counts()
    assert held_out == {f"class{label}": round(size / 5) for label, size in enumerate(sizes)}


@given(datasets_with_groups(), seeds)
def test_a_group_is_on_one_side_and_the_share_still_holds(drawn: tuple[Dataset, list[frozenset[str]]], seed: int):
    """Groups may overlap and span classes; single images make up for what they take."""
    dataset, together = drawn

    split = draw_split(dataset, "random", test_share=0.2, seed=seed, together=together)

    assert sorted([*split.train, *split.held_out]) == sorted(dataset.keys)
    assert all(group <= set(split.held_out) or not group & set(split.held_out) for group in together)
    assert split.near_duplicates == len(frozenset().union(*together))
    wanted = {label: round(size * 0.2) for label, size in dataset.counts().items()}
    assert dataset.only(split.held_out).counts() == pytest.approx(wanted, abs=3)


@given(sizes, st.integers(1, 5), seeds)
def test_no_patient_is_on_both_sides(sizes: list[int], images: int, seed: int):
    """Each class misses its share by less than one patient."""
    dataset = a_dataset(*(4 * size for size in sizes))
    items = tuple(replace(item, patient=f"{item.label}-{n // images}") for n, item in enumerate(dataset.items))
    dataset = replace(dataset, items=items)

    split = draw_split(dataset, "patient", test_share=0.2, seed=seed)

    assert (split.name, split.patients_on_both_sides) == ("patient", 0)
    wanted = {f"class{label}": round(4 * size / 5) for label, size in enumerate(sizes)}
    assert dataset.only(split.held_out).counts() == pytest.approx(wanted, abs=images - 1)


@pytest.mark.parametrize("how", ["random", "patient"])
def test_the_seed_alone_decides(how: str):
    """The same seed draws the same split from the items in another order; another seed draws another."""
    dataset = a_dataset(50, 50, patients=40)
    turned = replace(dataset, items=dataset.items[::-1])
    together = [frozenset(dataset.keys[:2]), frozenset(dataset.keys[7:9])]

    first = draw_split(dataset, how, test_share=0.2, seed=1, together=together)
    again = draw_split(turned, how, test_share=0.2, seed=1, together=together[::-1])
    other = draw_split(dataset, how, test_share=0.2, seed=2, together=together)

    assert first == again
    assert first.held_out != other.held_out


def test_patients_on_both_sides_are_counted():
    """Five patients with ten images each can hardly be kept apart; without names nobody can say."""
    named = draw_split(a_dataset(50, 50, patients=5), "random", test_share=0.2, seed=0)
    nameless = draw_split(a_dataset(50, 50), "random", test_share=0.2, seed=0)

    assert named.patients_on_both_sides == 5
    assert nameless.patients_on_both_sides is None


def test_one_film_under_two_labels_is_told(caplog: pytest.LogCaptureFixture):
    """It stays on one side, and a person learns which files to look at."""
    dataset = a_dataset(20, 20)
    film = frozenset({dataset.keys[0], dataset.keys[20]})

    with caplog.at_level(logging.WARNING):
        split = draw_split(dataset, "random", test_share=0.2, seed=0, together=[film])

    assert film <= set(split.train) or film <= set(split.held_out)
    assert "the same film under two labels: 0/0.png, 1/0.png" in caplog.text


def test_a_source_is_held_out_whole_with_its_patients_and_films():
    """Images of other sources which show its patients or films are on neither side."""
    dataset = with_sources(a_dataset(40, 40, patients=79), "here", "there", "elsewhere")
    film = frozenset({dataset.keys[0], dataset.keys[1]})  # here and there; patient p0 is here, and there once more

    split = draw_split(dataset, "source", test_share=0.2, seed=0, together=[film], held_out_source="here")

    assert set(split.held_out) == {item.sha256 for item in dataset.items if item.source == "here"}
    assert not {item.patient for item in dataset.only(split.train).items} & {
        item.patient for item in dataset.only(split.held_out).items
    }
    assert dataset.keys[1] not in split.train
    assert (split.source, split.patients_on_both_sides) == ("here", 0)
    assert split.left_out == len(dataset.keys) - len(split.train) - len(split.held_out) > 0


@pytest.mark.parametrize(
    ("dataset", "how", "source", "sentence"),
    [
        (a_dataset(50, 2), "random", None, "enough images of 'class1' to hold out 20% of them, got 2"),
        (a_dataset(50, 50), "patient", None, "no image has a patient.*or split at random"),
        (a_dataset(50, 50, patients=1), "patient", None, "no image of class0, class1 is left on one side"),
        (a_dataset(50, 50), "source", "here", "no image has a source.*column source"),
        (with_sources(a_dataset(50, 50), "a", "b"), "source", None, "got none; the manifest names a, b"),
        (with_sources(a_dataset(50, 50), "a", "b"), "source", "c", "got c; the manifest names a, b"),
        (a_dataset(50, 50, source="a"), "source", "a", "no image of class0, class1 is left on one side"),
    ],
)
def test_what_cannot_be_split_is_refused(dataset: Dataset, how: str, source: str | None, sentence: str):
    """The message says what is missing and what would help."""
    with pytest.raises(DataError, match=sentence):
        draw_split(dataset, how, test_share=0.2, seed=0, held_out_source=source)


@settings(deadline=None, max_examples=30)  # the first imports scikit-learn
@given(datasets_with_groups(), st.integers(2, 5), seeds)
def test_folds_tear_no_group_and_are_alike(drawn: tuple[Dataset, list[frozenset[str]]], count: int, seed: int):
    """Every image is in one fold, every class in every fold, whatever the order of the images."""
    dataset, together = drawn
    keys, targets = np.array(dataset.keys), dataset.targets(dataset.labels)
    turned = np.random.default_rng(seed).permutation(len(keys))

    fold = folds(dataset.keys, targets, together, count=count, seed=seed)
    again = folds(keys[turned].tolist(), targets[turned], together, count=count, seed=seed)

    assert (again == fold[turned]).all()
    of_key = dict(zip(dataset.keys, fold.tolist(), strict=True))
    assert all(len({of_key[key] for key in group}) == 1 for group in together)
    for target in range(len(dataset.labels)):
        found = np.bincount(fold[targets == target], minlength=count)
        assert found == pytest.approx(np.full(count, (targets == target).mean() * len(keys) / count), abs=9)
        assert found.min() > 0


def test_too_few_images_for_the_folds_are_refused():
    """Three images that show one film are one film."""
    dataset = a_dataset(20, 6)
    film = frozenset(dataset.keys[-3:])

    with pytest.raises(DataError, match="at least 5 films or patients in every class for 5 folds, got 4"):
        folds(dataset.keys, dataset.targets(dataset.labels), [film], count=5, seed=0)


@given(st.lists(st.frozensets(st.sampled_from("abcdefgh"), max_size=4), max_size=6))
def test_parts_are_the_finest_that_tear_no_group(groups: list[frozenset[str]]):
    """Complete and disjoint; and two keys share a part only where a chain of groups leads from one to the other."""
    parts = components("abcdef", groups)

    assert sorted(key for part in parts for key in part) == list("abcdef")
    inside = [group & set("abcdef") for group in groups]
    assert all(any(group <= part for part in parts) for group in inside if group)
    links = sum(len(group) - 1 for group in inside if group)
    assert len(parts) >= 6 - links
