"""All that the answers teach, at one look: for `edge-doctor statistics` and for the page of that name."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from doctor.learning import records
from doctor.learning.comparison import Comparison, compare
from doctor.learning.drift import Alarm, drift
from doctor.learning.outline import Outline
from doctor.learning.performance import Performance, performance
from doctor.learning.records import Selection
from doctor.store import Store

RECENT: Final = timedelta(days=30)
"""What counts as now where an alarm speaks of drift."""


@dataclass(frozen=True, slots=True)
class BoxAlarm:
    """An alarm of drift and the box it is about."""

    site: str
    device: str
    model: str
    alarm: Alarm


@dataclass(frozen=True, slots=True)
class Overview:
    """What the answers teach.

    Attributes:
        by_clinic: A row for each clinic and model.
        by_month: A row for each clinic, model and month.
        comparisons: Each pair of models that saw the same answered images.
        alarms: Where a box's images or findings are not what they were.
    """

    by_clinic: Sequence[Performance]
    by_month: Sequence[Performance]
    comparisons: Sequence[Comparison]
    alarms: Sequence[BoxAlarm]


def overview(store: Store, selection: Selection, *, now: datetime) -> Overview:
    """Compute everything from the store.

    Args:
        store: The doctor's store.
        selection: Which answers count. Drift is looked for in all of a clinic's reports.
        now: Aware UTC; the recent days end here.
    """
    answered = list(records.answered(store, selection))
    stored = list(records.outlines(store, Selection(site=selection.site)))
    return Overview(
        by_clinic=performance(answered, ["site", "model"]),
        by_month=performance(answered, ["site", "model", "month"]),
        comparisons=compare(answered, [report for report, _ in stored]),
        alarms=_alarms(store, stored, now - RECENT),
    )


def _alarms(store: Store, stored: Iterable[tuple[Outline, datetime]], recent_from: datetime) -> list[BoxAlarm]:
    recent: dict[tuple[str, str, str], list[Outline]] = {}
    earlier: dict[tuple[str, str, str], list[Outline]] = {}
    for report, stored_at in stored:
        key = (report.site, report.device, report.model.id)
        (recent if stored_at >= recent_from else earlier).setdefault(key, []).append(report)
    references = records.references(store)
    return [
        BoxAlarm(*key, alarm)
        for key in sorted(recent)
        for alarm in drift(recent[key], earlier.get(key, []), references.get(key[:2], {}))
    ]
