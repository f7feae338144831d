"""Does a clinic's stream of images still look like what the model learned from, and like what it was?

Two questions. Guard scores and exposure statistics of recent images are held against their quantiles on the training
data, which the bundle's card carries; the mix of findings, which training data says nothing about, is held against the
same clinic's earlier images. An alarm is a reason to look, and no proof.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log, sqrt
from typing import Final

from doctor.learning.outline import Outline

LARGE_PSI: Final = 0.25
"""Population stability index from which a shift is customarily called large (Siddiqi, Credit Risk Scorecards, 2006)."""
FEWEST: Final = 30
"""Recent images below which nothing is said."""
_Z999: Final = 3.090232306167813
"""Of the standard normal distribution, one-sided 0.001: a clinic with ten statistics sees one false alarm in a hundred
looks."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """One thing that is not as it was.

    Attributes:
        what: The statistic's name, or `findings`.
        size: Population stability index, or chi-square divided by the number of recent images.
        limit: Above which there is an alarm.
        n: Number of recent images.
        text: A sentence for the reader.
    """

    what: str
    size: float
    limit: float
    n: int
    text: str


def drift(
    recent: Sequence[Outline], earlier: Sequence[Outline], reference: Mapping[str, Sequence[float]]
) -> list[Alarm]:
    """What differs in recent reports of one clinic and model.

    Args:
        recent: Say, of the last 30 days.
        earlier: Of the time before.
        reference: Statistic to its quantiles on the training data, equally spaced from the least to the largest.
    """
    if len(recent) < FEWEST:
        return []
    alarms = [_statistic(name, recent, quantiles) for name, quantiles in sorted(reference.items())]
    alarms.append(_findings(recent, earlier))
    return [alarm for alarm in alarms if alarm is not None and alarm.size > alarm.limit]


def stability_index(values: Sequence[float], quantiles: Sequence[float]) -> tuple[float, int]:
    """Population stability index of values against quantiles, and the number of bins: sum of (o - e) ln(o / e).

    A bin is what lies between two neighbouring quantiles; bins of no width are joined with their neighbour. An empty
    bin counts half an image, so that the logarithm exists.
    """
    share = 1 / (len(quantiles) - 1)
    inner = [edge for edge in quantiles[1:-1] if edge < quantiles[-1]]
    edges = sorted(set(inner))
    expected = [share * inner.count(edge) for edge in edges]
    expected.append(1 - sum(expected))
    counts = Counter(sum(value > edge for edge in edges) for value in values)
    observed = [max(counts[bin_], 0.5) / len(values) for bin_ in range(len(expected))]
    return sum((o - e) * log(o / e) for o, e in zip(observed, expected, strict=True)), len(expected)


def chi_square_limit(degrees: int) -> float:
    """What chi-square exceeds with probability 0.001 (Wilson and Hilferty, 1931, PNAS 17)."""
    spread = 2 / (9 * degrees)
    return float(degrees * (1 - spread + _Z999 * sqrt(spread)) ** 3)


def _statistic(name: str, recent: Sequence[Outline], quantiles: Sequence[float]) -> Alarm | None:
    values = [report.guard[name] for report in recent if name in report.guard]
    if len(values) < FEWEST:
        return None
    size, bins = stability_index(values, quantiles)
    if bins == 1:
        return None
    # n times the index is about chi-square with bins - 1 degrees of freedom (Yurdakul, 2018): few images vary by luck
    limit = max(LARGE_PSI, chi_square_limit(bins - 1) / len(values))
    low, high = quantiles[0], quantiles[-1]
    outside = sum(not low <= value <= high for value in values)
    text = f"{name} of the last {len(values)} images is not spread as on the training data"
    return Alarm(name, size, limit, len(values), f"{text}; {outside} lie outside all that the model learned from")


def _findings(recent: Sequence[Outline], earlier: Sequence[Outline]) -> Alarm | None:
    if len(earlier) < FEWEST:
        return None
    now, then = (Counter(report.decision for report in reports) for reports in (recent, earlier))
    decisions = sorted(now | then)
    if len(decisions) == 1:
        return None
    total = len(recent) + len(earlier)
    chi_square = 0.0
    for decision in decisions:
        for counts, n in ((now, len(recent)), (then, len(earlier))):
            expected = (now[decision] + then[decision]) * n / total
            chi_square += (counts[decision] - expected) ** 2 / expected
    most = max(decisions, key=lambda decision: abs(now[decision] / len(recent) - then[decision] / len(earlier)))
    return Alarm(
        what="findings",
        size=chi_square / len(recent),
        limit=chi_square_limit(len(decisions) - 1) / len(recent),
        n=len(recent),
        text=f"{most} is {now[most] / len(recent):.0%} of the last {len(recent)} findings, and was "
        f"{then[most] / len(earlier):.0%} of the {len(earlier)} before",
    )
