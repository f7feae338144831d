"""Answers -> agreement, sensitivity and specificity with their intervals, by clinic, model and month."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from doctor.learning.answered import Answered
from edge.interval import Interval, wilson

Dimension = Literal["site", "model", "month"]


@dataclass(frozen=True, slots=True)
class Share:
    """A counted share with Wilson's 95% interval.

    Attributes:
        hits: How many.
        n: Of how many, at least 1.
    """

    hits: int
    n: int

    @property
    def value(self) -> float:
        """The share, 0-1."""
        return self.hits / self.n

    @property
    def ci95(self) -> Interval:
        """Wilson's interval."""
        interval = wilson(self.hits, self.n)
        assert interval is not None  # noqa: S101 - n is at least 1
        return interval


@dataclass(frozen=True, slots=True)
class Performance:
    """What the answers of one group say.

    Attributes:
        group: Dimension to its value here.
        answered: Reports with an answer.
        cannot_judge: Of these, how many the reader could not judge or named nothing for.
        undecided: Of those judged, how many the box left undecided: inconclusive or not assessable.
        agreement: Where box and reader both decided: how often they name the same.
        sensitivity: Of the images in which the reader sees what is looked for, and which the box decided: how often the
            box called it. None without such an image.
        specificity: The same for the images in which the reader does not see it.
    """

    group: dict[Dimension, str]
    answered: int
    cannot_judge: int
    undecided: int
    agreement: Share | None
    sensitivity: Share | None
    specificity: Share | None


def performance(answered: Iterable[Answered], by: Sequence[Dimension]) -> list[Performance]:
    """One row for each combination that occurs, sorted."""
    groups: dict[tuple[str, ...], list[Answered]] = {}
    for one in answered:
        groups.setdefault(tuple(_value(one, dimension) for dimension in by), []).append(one)
    return [_of(dict(zip(by, values, strict=True)), groups[values]) for values in sorted(groups)]


def _value(one: Answered, dimension: Dimension) -> str:
    match dimension:
        case "site":
            return one.report.site
        case "model":
            return one.report.model.id
        case "month":
            return one.month


def _of(group: dict[Dimension, str], answered: Sequence[Answered]) -> Performance:
    judged = [one for one in answered if one.sees_positive is not None]
    decided = [one for one in judged if one.called_positive is not None]
    return Performance(
        group=group,
        answered=len(answered),
        cannot_judge=len(answered) - len(judged),
        undecided=len(judged) - len(decided),
        agreement=_share([one.seen == one.report.decision for one in decided]),
        sensitivity=_share([one.called_positive is True for one in decided if one.sees_positive]),
        specificity=_share([one.called_positive is False for one in decided if not one.sees_positive]),
    )


def _share(hits: Sequence[bool]) -> Share | None:
    return Share(sum(hits), len(hits)) if hits else None
