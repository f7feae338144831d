"""Plain words for a nurse: what a finding says, how far a report has come, what the doctor answered.

Pure: no clock, no disk. Every sentence a person reads about a picture is made here.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from edge.outbox.entry import Entry, Rung, State
from edge.study import INCONCLUSIVE, NOT_ASSESSABLE
from edge.wire.messages import Report, Review

STEPS: Final = (
    (Rung.QUEUED, "On this box"),
    (Rung.BROKER, "On its way"),
    (Rung.DOCTOR, "Doctor has it"),
    (Rung.OPENED, "Doctor opened it"),
    (Rung.ANSWERED, "Doctor answered"),
)
"""The ladder from the box to an answer, each rung as the clinic reads it."""
_VERDICTS: Final = {"agree": "agrees", "disagree": "disagrees", "cannot-judge": "cannot judge this picture"}
_ORIGINS: Final = {
    "folder": "from a folder",
    "dicom": "from the X-ray machine",
    "camera": "from the camera",
    "http": "sent by this page",
}


class Tone(StrEnum):
    """How a finding is coloured; the words say the same, for whoever sees no colours."""

    SIGNS = "signs"
    """The box sees what it looks for."""
    CLEAR = "clear"
    """It does not."""
    UNSURE = "unsure"
    """It cannot tell."""
    NONE = "none"
    """It could not assess the picture."""


@dataclass(frozen=True, slots=True)
class Share:
    """How much speaks for one label.

    Attributes:
        label: The model's.
        percent: Whole percents.
        words: The same for a person; never certain.
    """

    label: str
    percent: int
    words: str


@dataclass(frozen=True, slots=True)
class Said:
    """A finding in words.

    Attributes:
        headline: A few words, large.
        sentence: What they mean.
        tone: How it is coloured.
        shares: How much speaks for each label, the likeliest first.
    """

    headline: str
    sentence: str
    tone: Tone
    shares: tuple[Share, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """One rung of the ladder.

    Attributes:
        text: What it is called.
        is_done: Whether the report has come so far.
        is_current: Whether it stands here.
    """

    text: str
    is_done: bool
    is_current: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """The doctor's answer in words.

    Attributes:
        headline: Who, and whether they agree.
        sees: What they see, in their words; empty where they named nothing.
        text: Their free text.
        agrees: Whether they agree with the box; None where they cannot judge.
        call_back: Whether they want to be called at once.
        new_image: Whether they want the picture taken again.
    """

    headline: str
    sees: str
    text: str
    agrees: bool | None
    call_back: bool
    new_image: bool


def said(report: Report) -> Said:
    """What the box says of a picture."""
    likeliest = sorted(report.probabilities.items(), key=lambda item: -item[1])
    shares = tuple(_share(label, probability) for label, probability in likeliest)
    if report.decision == NOT_ASSESSABLE:
        return Said("Cannot be assessed", f"The box cannot assess this picture: {report.reason}.", Tone.NONE, shares)
    if report.decision == INCONCLUSIVE:
        sentence = f"The box cannot tell whether this picture shows {report.positive}. The doctor decides."
        return Said("Not sure", sentence, Tone.UNSURE, shares)
    if report.decision == report.positive:
        sentence = f"The box sees signs of {report.positive} in this picture. The doctor decides."
        return Said(f"Signs of {report.positive}", sentence, Tone.SIGNS, shares)
    sentence = f"The box calls this picture {report.decision}. The doctor decides."
    return Said(f"No signs of {report.positive}", sentence, Tone.CLEAR, shares)


def ladder(entry: Entry) -> tuple[Step, ...]:
    """The way to an answer, and how far this report has come on it."""
    order = [rung for rung, _ in STEPS]
    reached = order.index(entry.rung)
    return tuple(Step(text, place <= reached, place == reached) for place, (_, text) in enumerate(STEPS))


def trouble(entry: Entry) -> str | None:
    """Why a report does not come on, where the broker has refused it."""
    if entry.state is not State.REFUSED:
        return None
    return f"The broker refused it ({entry.last_error}). It is kept here and tried again. Tell your technician."


def answered(review: Review | None) -> Answer | None:
    """The doctor's answer; None until there is one."""
    if review is None or review.verdict is None:
        return None
    return Answer(
        headline=f"{review.reader} {_VERDICTS[review.verdict]}",
        sees=review.label or "",
        text=review.text,
        agrees={"agree": True, "disagree": False}.get(review.verdict),
        call_back=review.call_back,
        new_image=review.new_image,
    )


def _share(label: str, probability: float) -> Share:
    percent = round(100 * probability)
    words = {0: "less than 1 %", 100: "more than 99 %"}.get(percent, f"{percent} %")
    return Share(label, percent, words)


def origin(report: Report) -> str:
    """How the picture came to the box."""
    return _ORIGINS.get(report.origin, f"from {report.origin}")


def size(count_bytes: int) -> str:
    """A number of bytes as a person says it: `3.4 GB`."""
    amount = float(count_bytes)
    for unit in ("bytes", "KB", "MB"):
        if amount < 1024:  # noqa: PLR2004 - the step between units
            return f"{amount:.0f} {unit}"
        amount /= 1024
    return f"{amount:.1f} GB"
