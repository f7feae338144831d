"""Audit -> `audit.html`: the verdict first, then what it follows from, then what the models saw."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from trainer.audit.confounding import LeftOut, SourceRow
from trainer.audit.occlude import COVERAGE
from trainer.audit.record import Audit, Probed
from trainer.report.page import UNKNOWN, between, number, percent, render

WIDTH: Final = 480
ROW: Final = 46
_BAR: Final = 16
_TICKS: Final = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
_BLIND_COLOUR: Final = 0
_SIGHTED_COLOUR: Final = 2
_REFERENCE_COLOUR: Final = 1
_MARGIN: Final = 8
_UNSEEN: Final = "no source"

Cells = list[str]


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """What the models saw of one image.

    Attributes:
        file: Its path below the data.
        label: Its class.
        views: Title of each view to the picture, `(224, 224, 3) uint8`.
    """

    file: str
    label: str
    views: Mapping[str, npt.NDArray[np.uint8]]


@dataclass(frozen=True, slots=True, kw_only=True)
class AreaBar:
    """One bar of AUC, from chance to the right, with the whisker of its interval.

    Attributes:
        title: Written above it.
        figure: The AUC and its interval, in words.
        colour: Of the page's series.
        top: Of the row, in pixels.
        start: Left end of the bar.
        end: Its right end.
        low: Left end of the whisker.
        high: Its right end.
    """

    title: str
    figure: str
    colour: int
    top: int
    start: float
    end: float
    low: float
    high: float


def page_of(record: Audit, samples: Sequence[Sample]) -> str:
    """The page, as HTML that needs nothing else."""
    labels = list(record.data.counts)
    return render(
        "audit.html.j2",
        record=record,
        bars=[_bar(probe, top=place * ROW) for place, probe in enumerate(record.probes)],
        ticks=[(_across(tick), f"{tick:g}") for tick in _TICKS],
        width=WIDTH,
        height=len(record.probes) * ROW,
        bar_px=_BAR,
        probe_rows=[_probe_row(probe) for probe in record.probes],
        source_rows=[_called_row(row, labels) for row in record.by_source],
        left_out_rows=[_left_out_row(record, each) for each in record.left_out if each.metrics],
        not_left_out=[each for each in record.left_out if each.metrics is None],
        external_rows=[_called_row(row, labels) for row in (record.external.by_source if record.external else ())],
        samples=samples,
        coverage=COVERAGE,
        told=[(probe.title, probe.told) for probe in record.probes],
        called=[f"called {label}" for label in labels],
    )


def counted(counts: Mapping[str, int]) -> str:
    """{"covid": 76, "normal": 3} -> `76 covid, 3 normal`."""
    return ", ".join(f"{n:,} {label}" for label, n in counts.items() if n) or "none"


def _across(area: float) -> float:
    """Pixel of an AUC; what lies below chance is drawn at chance."""
    share = (max(area, _TICKS[0]) - _TICKS[0]) / (_TICKS[-1] - _TICKS[0])
    return round(_MARGIN + share * (WIDTH - 2 * _MARGIN), 1)


def _bar(probe: Probed, *, top: int) -> AreaBar:
    interval = probe.metrics.ci95["auc"] or (0.5, 1.0)
    sighted = _REFERENCE_COLOUR if probe.name == "whole-image" else _SIGHTED_COLOUR
    return AreaBar(
        title=probe.title,
        figure=f"{number(probe.metrics.auc)} ({between(interval, shares=False)})",
        colour=_BLIND_COLOUR if probe.blind else sighted,
        top=top,
        start=_across(0.5),
        end=_across(probe.metrics.auc or 0.5),
        low=_across(interval[0]),
        high=_across(interval[1]),
    )


def _probe_row(probe: Probed) -> Cells:
    metrics = probe.metrics
    return [
        probe.title,
        f"{number(metrics.auc)} ({between(metrics.ci95['auc'], shares=False)})",
        f"{percent(metrics.accuracy)} ({between(metrics.ci95['accuracy'])})",
        percent(metrics.sensitivity),
        percent(metrics.specificity),
        percent(min(probe.kept, 1), 0),
    ]


def _called_row(row: SourceRow, labels: Iterable[str]) -> Cells:
    return [
        row.source or _UNSEEN,
        row.label,
        number(row.n),
        *(number(row.called[label]) for label in labels),
        percent(row.called[row.label] / row.n),
    ]


def _left_out_row(record: Audit, left: LeftOut) -> Cells:
    """Sensitivity, specificity and AUC of a source that was left out; in brackets where the others' source was seen."""
    metrics, positive = left.metrics, record.data.positive
    assert metrics is not None  # noqa: S101 - the caller picked those
    own = {label == positive for label in left.counts}
    figures = []
    for side, name in ((True, "sensitivity"), (False, "specificity")):
        share = getattr(metrics, name)
        text = UNKNOWN if share is None else f"{percent(share)} ({between(metrics.ci95[name])})"
        figures.append(text if side in own or share is None else f"[{percent(share)}]")
    area = number(metrics.auc)
    return [left.source, counted(left.counts), *figures, f"[{area}]" if left.paired_with else area]
