"""Dataset -> Split: which images are learned from and which are held out; and folds of the learned ones.

Invariants: the two parts share no image bytes and no near-duplicate, whatever the way of drawing; what else they share
(patients, in the paper's split) is counted. A draw depends on the images' content and the seed, not on file names.
"""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final, Literal, get_args

import msgspec
import numpy as np
import numpy.typing as npt

from edge.errors import DataError
from trainer.dataset import Dataset, named
from trainer.groups import Group, components, groups_of_patients, kept_together

How = Literal["random", "patient", "source"]
"""`random`: a share of each class, as in the paper. `patient`: likewise, and no patient on both sides. `source`: all
images of one source are held out."""

HOW: Final[tuple[How, ...]] = get_args(How)

log = logging.getLogger(__name__)


class Split(msgspec.Struct, frozen=True, kw_only=True):
    """A drawn split; it travels with the model, so the converter never shows it a held-out image.

    Attributes:
        name: How it was drawn.
        seed: Of the draw.
        train: SHA-256 of the images learned from, sorted.
        held_out: SHA-256 of the held-out images, sorted.
        validation: SHA-256 of images on the training side that nothing learns from, sorted.
        patients_on_both_sides: None where the data names no patients.
        near_duplicates: How many images repeat another one's film; each film is on one side.
        source: The source that was held out; None for the other ways of drawing.
        left_out: How many images are on neither side, since they show a held-out film or patient.
    """

    name: How
    seed: int
    train: tuple[str, ...]
    held_out: tuple[str, ...]
    patients_on_both_sides: int | None
    near_duplicates: int = 0
    source: str | None = None
    left_out: int = 0
    validation: tuple[str, ...] = ()


def draw_split(
    dataset: Dataset,
    how: How,
    *,
    test_share: float,
    seed: int,
    together: Sequence[Group] = (),
    held_out_source: str | None = None,
) -> Split:
    """Draw a split.

    Args:
        dataset: What to split.
        how: The way of drawing.
        test_share: Share of each class to hold out, 0-1; met exactly unless groups do not allow it. `source` takes
            all images of the source, however many.
        seed: Of the draw; `source` draws nothing.
        together: Groups of near-duplicates; they may span classes, and may name images the dataset does not hold.
        held_out_source: For `source`: the manifest's name of it.

    Raises:
        DataError: A class has too few images, or the manifest does not name what `how` goes by.
    """
    films = kept_together(dataset, together, by_patient=False)
    _warn_of_two_labels(dataset, films)
    left_out = set[str]()
    if how == "source":
        held_out, left_out = _of_source(dataset, films, held_out_source)
    else:
        if how == "patient":
            _check_patients(dataset)
        held_out = _drawn(dataset, kept_together(dataset, films, by_patient=how == "patient"), test_share, seed)
    train = set(dataset.keys) - held_out - left_out
    _check_classes(dataset, train, held_out if how != "source" else train)
    return Split(
        name=how,
        seed=seed,
        train=tuple(sorted(train)),
        held_out=tuple(sorted(held_out)),
        patients_on_both_sides=_shared_patients(dataset, train, held_out),
        near_duplicates=sum(map(len, films)),
        source=held_out_source if how == "source" else None,
        left_out=len(left_out),
    )


def set_aside(split: Split, dataset: Dataset, together: Sequence[Group], *, share: float) -> Split:
    """Set about a share of the training images aside, on which the operating point is chosen.

    Args:
        split: Drawn without a validation part.
        dataset: What was split.
        together: Groups of near-duplicates; a patient's images stay together too.
        share: 0-1, met as nearly as whole folds allow.

    Raises:
        DataError: A class has too few films or patients.
    """
    learned = dataset.only(split.train)
    groups = kept_together(learned, together, by_patient=True)
    targets = learned.targets(dataset.labels)
    fold_of = folds(learned.keys, targets, groups, count=max(2, round(1 / share)), seed=split.seed)
    chosen = {key for key, fold in zip(learned.keys, fold_of, strict=True) if fold == 0}
    return msgspec.structs.replace(
        split, train=tuple(sorted(set(split.train) - chosen)), validation=tuple(sorted(chosen))
    )


def folds(
    keys: Sequence[str], targets: npt.NDArray[np.int64], together: Sequence[Group], *, count: int, seed: int
) -> npt.NDArray[np.int64]:
    """Cut images into folds of about the same size and classes, no group in two of them.

    Args:
        keys: The images' SHA-256.
        targets: Index of each image's class, `(n,) int64`.
        together: Groups that stay in one fold.
        count: Number of folds, at least 2.
        seed: Of the draw.

    Returns:
        Each image's fold, `(n,) int64`, 0 to count - 1.

    Raises:
        DataError: A class has fewer groups of images than there are folds.
    """
    from sklearn.model_selection import StratifiedGroupKFold  # noqa: PLC0415 - takes a second to import

    order = np.array(sorted(range(len(keys)), key=keys.__getitem__), np.int64)  # names and order decide nothing
    number = {key: index for index, group in enumerate(components(keys, together)) for key in group}
    groups = np.array([number[keys[position]] for position in order], np.int64)
    fewest = min(len(set(groups[targets[order] == target].tolist())) for target in np.unique(targets))
    if fewest < count:
        raise DataError(
            f"expected at least {count} films or patients in every class for {count} folds, got {fewest}; add images"
        )
    drawn = np.empty(len(keys), np.int64)
    cuts = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
    for fold, (_, chosen) in enumerate(cuts.split(order, targets[order], groups)):
        drawn[order[chosen]] = fold
    return drawn


def _drawn(dataset: Dataset, together: Sequence[Group], test_share: float, seed: int) -> set[str]:
    """Hold groups out until each class has its share.

    Class by class, in an order drawn from the seed: first every group that fits into what is still wanted; then, of
    those that did not, each that brings the shares nearer all the same.
    """
    wanted = _wanted(dataset, test_share)
    labels = {item.sha256: item.label for item in dataset.items}
    groups = components(dataset.keys, together)
    contents = [Counter(labels[key] for key in group) for group in groups]
    generator = np.random.default_rng(seed)
    order: list[int] = []
    for label in dataset.labels:
        mine = [index for index, content in enumerate(contents) if content[label]]
        order += [mine[place] for place in generator.permutation(len(mine))]
    still = Counter(wanted)
    chosen: set[int] = set()
    for index in order:
        if index not in chosen and all(still[label] >= size for label, size in contents[index].items()):
            chosen.add(index)
            still.subtract(contents[index])
    for index in order:
        if index not in chosen and _nearer(still, contents[index], wanted):
            chosen.add(index)
            still.subtract(contents[index])
    return {key for index in chosen for key in groups[index]}


def _wanted(dataset: Dataset, test_share: float) -> dict[str, int]:
    wanted = {label: round(size * test_share) for label, size in dataset.counts().items()}
    for label, size in dataset.counts().items():
        if not 0 < wanted[label] < size:
            raise DataError(
                f"expected enough images of {label!r} to hold out {test_share:.0%} of them, "
                f"got {size}; add images of this class"
            )
    return wanted


def _nearer(still: Mapping[str, int], content: Mapping[str, int], wanted: Mapping[str, int]) -> bool:
    """Whether holding a group out brings the classes nearer to their shares, each counted in shares of its own."""
    change = sum((abs(still[label] - size) - abs(still[label])) / wanted[label] for label, size in content.items())
    return change < 0


def _of_source(dataset: Dataset, films: Sequence[Group], source: str | None) -> tuple[set[str], set[str]]:
    """The images of a source, and those elsewhere that show a film or a patient of it."""
    known = sorted({item.source for item in dataset.items if item.source})
    if not known:
        raise DataError("no image has a source, so none can be held out; fill the manifest's column source")
    if source not in known:
        raise DataError(
            f"expected the name of a source to hold out, got {source or 'none'}; the manifest names {', '.join(known)}"
        )
    held_out = {item.sha256 for item in dataset.items if item.source == source}
    touched = (group for group in kept_together(dataset, films, by_patient=True) if group & held_out)
    left_out = set[str]().union(*touched) - held_out
    if left_out:
        log.warning("%d images of other sources show a film or a patient of %s: left out", len(left_out), source)
    return held_out, left_out


def _warn_of_two_labels(dataset: Dataset, films: Sequence[Group]) -> None:
    for film in films:
        shown = dataset.only(film).items
        if len({item.label for item in shown}) > 1:
            log.warning("the same film under two labels: %s; one of them is wrong", named(item.file for item in shown))


def _check_patients(dataset: Dataset) -> None:
    nameless = sum(item.patient is None for item in dataset.items)
    if nameless == len(dataset.items):
        raise DataError(
            "no image has a patient, so patients cannot be kept apart; fill the manifest's column patient, "
            "or split at random"
        )
    if nameless:
        log.warning(
            "%d of %d images have no patient: each counts as a patient of its own", nameless, len(dataset.items)
        )


def _check_classes(dataset: Dataset, *sides: set[str]) -> None:
    """Refuse a split that leaves a side without a class."""
    for side in sides:
        absent = [label for label, size in dataset.only(side).counts().items() if size == 0]
        if absent:
            raise DataError(
                f"no image of {named(absent)} is left on one side of the split, since all show one source, patient or "
                "film; add images of others, or split another way"
            )


def _shared_patients(dataset: Dataset, train: set[str], held_out: set[str]) -> int | None:
    patients = groups_of_patients(dataset)
    return sum(bool(images & train and images & held_out) for images in patients) if patients else None
