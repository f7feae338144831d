"""A report and what the doctor said of it: what everything in this package is computed from.

What a reader sees counts as the truth. It is none: the reader knew what the box had said, and saw only images that
somebody sent. `CAVEAT` says so wherever a figure is shown.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from edge.study import INCONCLUSIVE, NOT_ASSESSABLE
from edge.wire.messages import Report, Review

CAVEAT: Final = (
    "Measured against what the readers said, who had seen the box's finding first; no second reading and no laboratory "
    "test stands behind it. Images nobody answered are not counted, and several images of one patient count as many, "
    "so the intervals are narrower than the truth."
)


@dataclass(frozen=True, slots=True)
class Answered:
    """One answered report.

    Attributes:
        report: As the box sent it.
        review: The answer that stands.
        stored_at: When the inbox got the report, aware UTC, by the inbox's clock: a box may not know the time.
    """

    report: Report
    review: Review
    stored_at: datetime

    def __post_init__(self) -> None:
        """Refuse a report that was only opened."""
        if self.review.verdict is None or self.review.id != self.report.id:
            raise ValueError(f"expected the answer to report {self.report.id}, got a review of {self.review.id}")

    @property
    def seen(self) -> str | None:
        """What the reader sees, in the model's words or their own; None where they cannot judge or name nothing."""
        if self.review.verdict == "cannot-judge":
            return None
        label = self.review.label or (self.report.decision if self.review.verdict == "agree" else None)
        return None if label in {INCONCLUSIVE, NOT_ASSESSABLE} else label

    @property
    def sees_positive(self) -> bool | None:
        """Whether the reader sees what is looked for; None where that is not known."""
        return None if self.seen is None else self.seen == self.report.positive

    @property
    def called_positive(self) -> bool | None:
        """Whether the box decided for what is looked for; None where it left the image undecided."""
        if self.report.decision in {INCONCLUSIVE, NOT_ASSESSABLE}:
            return None
        return self.report.decision == self.report.positive

    @property
    def month(self) -> str:
        """Year and month in which the inbox got the report, `2026-01`."""
        return f"{self.stored_at:%Y-%m}"
