"""Images that must stay on one side of any split: one film saved twice, or one patient seen twice.

Between the dataset and the split. Invariant: a group is a set of keys of the dataset; where groups touch, they are one.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from trainer.dataset import Dataset

Group = frozenset[str]
"""Keys of images that must stay on one side."""


def components(keys: Iterable[str], groups: Iterable[Group]) -> tuple[Group, ...]:
    """Cut keys into the finest parts that tear no group; a key in no group is a part of its own.

    Args:
        keys: What to cut; whatever else a group names is passed over.
        groups: May overlap; groups that touch end up in one part.

    Returns:
        The parts, in the order of their smallest keys.
    """
    part: dict[str, set[str]] = {key: {key} for key in keys}
    for group in groups:
        touched = {id(part[key]): part[key] for key in group if key in part}
        whole = set[str]().union(*touched.values())
        part.update(dict.fromkeys(whole, whole))
    return tuple(sorted((frozenset(each) for each in {id(each): each for each in part.values()}.values()), key=min))


def groups_of_patients(dataset: Dataset) -> tuple[Group, ...]:
    """The images of each patient the manifest names."""
    images: defaultdict[str, set[str]] = defaultdict(set)
    for item in dataset.items:
        if item.patient:
            images[item.patient].add(item.sha256)
    return tuple(frozenset(keys) for keys in images.values())


def kept_together(dataset: Dataset, films: Sequence[Group], *, by_patient: bool) -> tuple[Group, ...]:
    """The groups of two or more that a split or its folds must not tear.

    Args:
        dataset: Its images; others that `films` names are passed over.
        films: Groups of near-duplicates.
        by_patient: Keep each patient's images together too.
    """
    groups = [*films, *(groups_of_patients(dataset) if by_patient else ())]
    return tuple(group for group in components(dataset.keys, groups) if len(group) > 1)
