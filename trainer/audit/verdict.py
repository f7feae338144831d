"""Measured advantages -> one plain sentence: is it the disease or the source? Pure rules, printed beside the answer.

Used by `audit.py`. A probe's advantage is its area under the ROC curve above that of chance (0.5). Invariant: the
verdict follows from the figures in `Observed` by `RULES` and from nothing else.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import msgspec

from edge.interval import Interval

Code = Literal["shortcut", "suspicious", "clean", "cannot-tell"]

MOST: Final = 0.5
"""Share of the whole image's advantage that is too much to keep without the lungs."""
MUCH: Final = 0.25
"""Share of it from which on a doubt remains."""
CHANCE: Final = 0.5
_LEAST_ADVANTAGE: Final = 0.01
"""What the whole image's advantage counts as where it has none: a probe cannot keep a share of nothing."""

RULES: Final = (
    (
        "An advantage is an AUC less 0.5, on images of patients that the model never saw. A probe beats chance where "
        "the 95% interval of its AUC lies above 0.5. Blind probes are told next to nothing of the lungs: the file's "
        "header, the frame of the picture, the picture with the lungs painted over. Exposure is not blind, for a "
        "disease may change the brightness. The first that applies:"
    ),
    f"shortcut: a blind probe beats chance and keeps at least {MOST:.0%} of the whole image's advantage.",
    (
        f"suspicious: a blind probe beats chance and keeps at least {MUCH:.0%} of it, or exposure alone at least "
        f"{MOST:.0%}; or on other data the whole image keeps less than {MOST:.0%} of its advantage."
    ),
    "cannot-tell: the whole image does not beat chance, or no source shows more than one class.",
    "clean: anything else.",
)
"""How a verdict is found."""

_SENTENCES: Final[dict[Code, str]] = {
    "shortcut": "The classes can be told apart without looking at the lungs, by marks of where the pictures come from; "
    "an accuracy measured on this data must not be read as detecting the disease.",
    "suspicious": "Part of what a model can learn here may be the source and not the disease; do not trust an accuracy "
    "measured on this data alone.",
    "cannot-tell": "This data cannot show whether a model sees the disease or the source.",
    "clean": "No shortcut was found: what these probes can learn without the lungs does not explain the accuracy.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """A measured area under the ROC curve.

    Attributes:
        title: Of the probe, as the reasons name it.
        auc: 0-1.
        ci95: Its interval.
    """

    title: str
    auc: float
    ci95: Interval

    @property
    def beats_chance(self) -> bool:
        """Whether the whole interval lies above chance."""
        return self.ci95[0] > CHANCE

    def kept_of(self, whole: "Area") -> float:
        """Share of the whole image's advantage that this one has, at least 0."""
        return max(self.auc - CHANCE, 0) / max(whole.auc - CHANCE, _LEAST_ADVANTAGE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What the verdict goes by.

    Attributes:
        whole: The whole image.
        blind: Probes that are told nothing of the lungs.
        exposure: Exposure alone.
        elsewhere: The whole image's model on other data; None where none was given, or it holds one class only.
        inseparable: Whether sources are named and none of them shows more than one class.
    """

    whole: Area
    blind: Sequence[Area]
    exposure: Area
    elsewhere: Area | None
    inseparable: bool


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """The answer.

    Attributes:
        code: `shortcut`, `suspicious`, `clean` or `cannot-tell`.
        sentence: In plain words.
        reasons: The figures that it follows from.
        rules: How.
    """

    code: Code
    sentence: str
    reasons: tuple[str, ...]
    rules: tuple[str, ...]


def judge(observed: Observed) -> Verdict:
    """Apply the rules; every reason that speaks against the data is given, not only the one that decides."""
    against = [*_keeping(observed, MOST, observed.blind)]
    doubts = [
        *_keeping(observed, MUCH, [probe for probe in observed.blind if not _keeps(observed, MOST, probe)]),
        *_keeping(observed, MOST, [observed.exposure]),
        *_lost_elsewhere(observed),
    ]
    open_questions = _open_questions(observed)
    code: Code = "clean"
    if against:
        code = "shortcut"
    elif doubts:
        code = "suspicious"
    elif open_questions:
        code = "cannot-tell"
    reasons = (*against, *doubts, *open_questions) or (_nothing_found(observed),)
    return Verdict(code=code, sentence=_SENTENCES[code], reasons=reasons, rules=RULES)


def _keeps(observed: Observed, share: float, probe: Area) -> bool:
    return probe.beats_chance and probe.kept_of(observed.whole) >= share


def _keeping(observed: Observed, share: float, probes: Sequence[Area]) -> list[str]:
    return [_told(probe, observed.whole) for probe in probes if _keeps(observed, share, probe)]


def _told(probe: Area, whole: Area) -> str:
    if not whole.beats_chance:
        return f"{probe.title} alone tells the classes apart: AUC {_figure(probe)}; the whole image does not."
    return (
        f"{probe.title} alone keeps {min(probe.kept_of(whole), 1):.0%} of the whole image's advantage over chance: AUC "
        f"{_figure(probe)} against {whole.auc:.3f}."
    )


def _lost_elsewhere(observed: Observed) -> list[str]:
    if observed.elsewhere is None or not observed.whole.beats_chance:
        return []
    kept = observed.elsewhere.kept_of(observed.whole)
    if kept >= MOST:
        return []
    return [f"On other data the whole image keeps {kept:.0%} of its advantage: AUC {_figure(observed.elsewhere)}."]


def _open_questions(observed: Observed) -> list[str]:
    found = []
    if not observed.whole.beats_chance:
        found.append(f"The whole image does not beat chance: AUC {_figure(observed.whole)}.")
    if observed.inseparable:
        found.append(
            "No source shows more than one class, so disease and source cannot be separated: whatever differs between "
            "the sources differs between the classes."
        )
    return found


def _nothing_found(observed: Observed) -> str:
    most = max(observed.blind, key=lambda probe: probe.auc)
    return (
        f"The best of the blind probes is {most.title[0].lower()}{most.title[1:]}: AUC {_figure(most)} against "
        f"{observed.whole.auc:.3f} of the whole image."
    )


def _figure(area: Area) -> str:
    return f"{area.auc:.3f} (95% {area.ci95[0]:.3f} to {area.ci95[1]:.3f})"
