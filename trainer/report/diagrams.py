"""The four charts of an evaluation: how well it ranks, what a call is worth, and what a probability is worth.

Each takes the positive label's probabilities and the truth, and the figures of the same images as `metrics.json` holds
them; its words name those figures and compute none of their own.
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from edge.interval import wilson
from trainer.curves import Reliability, precision_recall, receiver_operating, reliability
from trainer.report.chart import Axis, Bars, Chart, Dots, Line, Mark, Rule, Values, Zone
from trainer.report.page import between, number, percent

Scores = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]
Figures = Mapping[str, Any]

HISTOGRAM_BINS: Final = 20
"""Of equal width."""
_DECADES: Final = (0.0, 1.0, 10.0, 100.0, 1000.0, 10_000.0, 100_000.0)
_WARM, _COOL, _GRAY = 0, 1, 2  # series colours of the page


def roc_chart(scores: Scores, is_positive: Bools, figures: Figures) -> Chart:
    """Sensitivity against false alarms, with the chosen threshold; both sides need an image."""
    x, y = receiver_operating(scores, is_positive)
    area = f"area {number(figures['auc'])} ({between(figures['ci95']['auc'], shares=False)})"
    chosen = f"sensitivity {percent(figures['sensitivity'])}, specificity {percent(figures['specificity'])}"
    return Chart(
        title="Found, against false alarms (ROC)",
        alt=f"ROC curve: {area}. The chosen threshold has {chosen}.",
        x=Axis(label="False alarms among the others (1 - specificity)"),
        y=Axis(label="Found among the positive (sensitivity)"),
        lines=(Line(label=f"Model: {area}", colour=_COOL, x=x, y=y),),
        marks=(Mark(label=f"Chosen threshold: {chosen}", x=1 - figures["specificity"], y=figures["sensitivity"]),),
        diagonal="Guessing",
    )


def precision_chart(scores: Scores, is_positive: Bools, figures: Figures) -> Chart:
    """Precision against recall, with the chosen threshold; both sides need an image."""
    recall, precision = precision_recall(scores, is_positive)
    positive, share = figures["positive"], float(is_positive.mean())
    column = list(figures["labels"]).index(positive)
    called = [row[column] for row in figures["confusion_matrix"]]
    trust = called[column] / sum(called) if any(called) else None
    chosen = "calls nothing positive" if trust is None else f"{percent(trust)} of {sum(called)} positive calls right"
    return Chart(
        title="Trust in a positive call (precision and recall)",
        alt=f"Precision against recall. The chosen threshold: {chosen}.",
        x=Axis(label="Found among the positive (recall)"),
        y=Axis(label="Right among positive calls (precision)"),
        lines=(
            Line(label="Model", colour=_COOL, x=recall, y=precision),
            Line(label=f"Guessing: {percent(share)}", colour=_GRAY, x=[0, 1], y=[share, share]),
        ),
        marks=() if trust is None else (Mark(label=f"Chosen threshold: {chosen}", x=figures["sensitivity"], y=trust),),
        caption=f"Here {percent(share)} of the images are {positive}. Where it is rarer, fewer such calls are right.",
    )


def reliability_chart(plain: Scores, scores: Scores, is_positive: Bools, figures: Figures) -> Chart:
    """What happened against what was said, before (`plain`) and after temperature scaling."""
    before, after = reliability(plain, is_positive), reliability(scores, is_positive)
    counted = zip(after.observed, after.count.tolist(), strict=True)
    low, high = np.array([wilson(share * count, count) for share, count in counted]).T
    scaled = _dots(f"Calibrated: error {number(figures['ece'])}", _COOL, after, low, high)
    raw = _dots(
        f"Before temperature scaling: error {number(before.error)}", _GRAY, before, before.observed, before.observed
    )
    changed = not np.array_equal(plain, scores)
    return Chart(
        title="What a probability is worth (calibration)",
        alt="Reliability diagram. " + ". ".join(dots.label for dots in ((raw, scaled) if changed else (scaled,))) + ".",
        x=Axis(label=f"Said: probability of {figures['positive']}"),
        y=Axis(label="Seen: share that is"),
        dots=(raw, scaled) if changed else (scaled,),
        diagonal="Said equals seen",
        caption="Ten bins of equal width. A disc's area is its number of images, a whisker the 95% interval of the "
        "share; the error is the mean distance from the diagonal, image by image.",
    )


def histogram_chart(scores: Scores, is_positive: Bools, figures: Figures) -> Chart:
    """How the two sides' probabilities lie around threshold and band."""
    positive, band = figures["positive"], figures["band"]
    counts = [np.histogram(scores[side], HISTOGRAM_BINS, (0, 1))[0] for side in (is_positive, ~is_positive)]
    most = max(int(count.max()) for count in counts)
    top = next(decade for decade in _DECADES[1:] if decade >= most)
    edges = np.linspace(0, 1, 2 * HISTOGRAM_BINS + 1)
    halves = [np.zeros(2 * HISTOGRAM_BINS) for _ in counts]
    for number_of_side, count in enumerate(counts):
        halves[number_of_side][number_of_side::2] = count  # side by side in each bin
    zones: tuple[Zone, ...] = ()
    if band is not None and band[0] < band[1]:
        share = f"{band[0]:.2g} to {band[1]:.2g}, {percent(figures['inconclusive'])} of the images"
        zones = (Zone(label=f"Inconclusive: {share}", low=band[0], high=band[1]),)
    return Chart(
        title="Where threshold and band lie",
        alt=f"Histogram of the probability of {positive} for images that are {positive} and for the others, "
        f"with the threshold at {figures['threshold']:.3g}.",
        x=Axis(label=f"Calibrated probability of {positive}"),
        y=Axis(label="Images (logarithmic)", high=top, ticks=tuple(d for d in _DECADES if d <= top), scale="counts"),
        bars=tuple(
            Bars(label=label, colour=colour, edges=edges, heights=heights)
            for label, colour, heights in zip((f"Truly {positive}", "The others"), (_WARM, _COOL), halves, strict=True)
        ),
        rules=(Rule(label=f"Threshold {figures['threshold']:.3g}", at=figures["threshold"]),),
        zones=zones,
    )


def _dots(label: str, colour: int, seen: Reliability, low: Values, high: Values) -> Dots:
    return Dots(
        label=label,
        colour=colour,
        x=seen.predicted,
        y=seen.observed,
        weights=seen.count.astype(np.float64),
        low=low,
        high=high,
    )
