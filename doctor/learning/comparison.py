"""Two models on the same answered images: which is right more often, and is that more than luck?

An image seen by two models makes two reports; an answer to either tells what the reader sees in the image, so one
answer serves both. Where answers contradict each other, the image is left out.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from math import comb

from doctor.learning.answered import Answered
from doctor.learning.outline import Outline
from edge.study import INCONCLUSIVE, NOT_ASSESSABLE
from edge.wire.messages import Report


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two models on the images that both have decided and a reader has answered.

    Attributes:
        first: One model's id.
        second: The other's.
        n: Number of images.
        both_right: Images that both decided as the reader did.
        only_first: Images that only the first did.
        only_second: Images that only the second did.
        p_value: How likely a difference of this size or a larger one is if both models are equally good: McNemar's
            test, exact (1947, Psychometrika 12).
    """

    first: str
    second: str
    n: int
    both_right: int
    only_first: int
    only_second: int

    @property
    def p_value(self) -> float:
        """Two-sided, 0-1; 1 where no image tells the models apart."""
        n, fewer = self.only_first + self.only_second, min(self.only_first, self.only_second)
        tail = sum(comb(n, k) for k in range(fewer + 1))
        return min(1.0, 2 * tail / 2**n)


def compare(answered: Iterable[Answered], reports: Iterable[Outline]) -> list[Comparison]:
    """Each pair of models that have decided an answered image in common, by their ids.

    Args:
        answered: The answers.
        reports: Every report on those images, answered or not.
    """
    seen: dict[str, set[str]] = {}  # image -> what readers see
    for one in answered:
        if (image := _image(one.report)) and one.seen is not None:
            seen.setdefault(image, set()).add(one.seen)
    right: dict[str, dict[str, bool]] = {}  # image -> model -> whether it decided as the reader did
    for report in reports:
        labels = seen.get(_image(report) or "", set())
        if len(labels) == 1 and report.decision not in {INCONCLUSIVE, NOT_ASSESSABLE}:
            right.setdefault(_image(report) or "", {})[report.model.id] = report.decision in labels
    models = sorted({model for by_model in right.values() for model in by_model})
    pairs = (_pair(first, second, right.values()) for first, second in combinations(models, 2))
    return [pair for pair in pairs if pair.n]


def _image(report: Report | Outline) -> str | None:
    return report.picture.sha256 if report.picture else None


def _pair(first: str, second: str, images: Iterable[Mapping[str, bool]]) -> Comparison:
    right = [(image[first], image[second]) for image in images if first in image and second in image]
    return Comparison(
        first=first,
        second=second,
        n=len(right),
        both_right=right.count((True, True)),
        only_first=right.count((True, False)),
        only_second=right.count((False, True)),
    )
