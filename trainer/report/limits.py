"""What an evaluation does not show, in plain sentences: they stand beside the accuracy wherever it is shown."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from edge.wire.messages import NOTICE

FEW_PATIENTS: Final = 100
"""Below this many patients, or images whose patient is not known, the number itself is a limit."""


class Limit(NamedTuple):
    """One limit: the point, and what follows from it."""

    point: str
    rest: str


def limits(document: Mapping[str, Any]) -> tuple[Limit, ...]:
    """The limits of an evaluation.

    Args:
        document: What `metrics.json` holds.
    """
    found = (
        _notice(),
        _elsewhere(document),
        _patients(document),
        _sources(document),
        _few(document),
        _targets(document),
    )
    return tuple(limit for limit in found if limit is not None)


def one_source_per_class(sources: Mapping[str, Mapping[str, int]]) -> bool:
    """Whether no source gave images of more than one class, so that the source alone tells the class.

    Args:
        sources: Label to source to number of images; False where a label's sources are not known.
    """
    known = [set(names) for names in sources.values()]
    return bool(known) and all(known) and not any(a & b for i, a in enumerate(known) for b in known[i + 1 :])


def _notice() -> Limit:
    support, diagnosis = NOTICE.split(". ")
    return Limit(f"{support}.", f"{diagnosis} Nobody has tried it in clinical use.")


def _elsewhere(document: Mapping[str, Any]) -> Limit:
    name = document["data"]["name"]
    if document.get("split") == "source" and "n_train" in document:
        return Limit(
            f"One source of {name} was held out.",
            "It stands for one hospital the model has not seen, and for no other; nor for projections, ages or "
            "diseases that the data does not hold.",
        )
    return Limit(
        f"Not validated outside {name}:",
        "on images from other hospitals, machines or patients, or on projections, ages or diseases it does not hold.",
    )


def _patients(document: Mapping[str, Any]) -> Limit | None:
    if "patients_on_both_sides" not in document:
        return None
    shared = document["patients_on_both_sides"]
    if shared is None:
        return Limit("Patients may be on both sides of the split:", "the data names none, so nobody knows.")
    if shared == 0 and document["images_without_patient"]:
        return Limit(
            "No known patient is on both sides of the split,",
            f"but of {document['images_without_patient']} of the {document['n']} images the patient is not known.",
        )
    if shared == 0:
        return Limit("No patient is on both sides of the split.", "The figures speak of new patients of these sources.")
    return Limit(
        f"{shared} {'patient has' if shared == 1 else 'patients have'} images on both sides of the split,",
        "which flatters the figures: expect less on new patients.",
    )


def _sources(document: Mapping[str, Any]) -> Limit | None:
    sources = document["data"].get("sources")
    if sources is None:
        return None
    if one_source_per_class(sources):
        return Limit(
            "No source gave images of more than one class:",
            "the model may know the source instead of the disease; edge-trainer audit measures how far that goes.",
        )
    if not all(sources.values()):
        return Limit(
            "The data does not say where all its images come from,",
            "so a model that knows the source instead of the disease would not be noticed here.",
        )
    return None


def _few(document: Mapping[str, Any]) -> Limit | None:
    known, alone = document["patients"] or 0, document["images_without_patient"]
    if known + alone >= FEW_PATIENTS:
        return None
    counted = " and ".join(f"{count} {what}" for count, what in ((known, "patients"), (alone, "images")) if count)
    return Limit(f"Only {counted}:", "the intervals are wide, and rare appearances are not among them.")


def _targets(document: Mapping[str, Any]) -> Limit | None:
    point = document.get("operating_point")
    if point is None:
        return None
    missed = [
        f"{what} {target:.0%} ({'nothing to measure it on' if reached is None else f'{reached:.1%} reached'})"
        for what, target, reached in (
            ("sensitivity", point["target_sensitivity"], point["sensitivity"]),
            ("accuracy outside the band", point["target_accuracy"], point["accuracy_outside_band"]),
        )
        if reached is None or reached < target - 1e-9
    ]
    if not missed:
        return None
    return Limit("A target could not be reached on the validation images:", f"{'; '.join(missed)}.")
