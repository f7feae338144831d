"""Comparison -> the page that shows it, and its tables in Markdown. Both are filled from the same rows.

Invariant: every figure here is in the comparison or in `paper.py`; nothing is measured while a page is written.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from trainer.comparison.baselines import METHODS, Method
from trainer.comparison.paper import FIGURES, HELD_OUT, LEFT_OPEN, TABLE_1, TABLE_1_DOUBTS, Figure
from trainer.comparison.record import PIXELS, Comparison, Spread, Summary, Weights
from trainer.report.limits import one_source_per_class
from trainer.report.page import UNKNOWN, number, percent, render
from trainer.trunk import NONE

_NOT_PUBLISHED: Final = "not in the paper"
_SAME_COLLECTION: Final = (
    "Every held-out image comes from the same collection as those learned from. The spread over seeds says how much "
    "the draw matters; it says nothing about another hospital, another machine or another year."
)
_TITLES: Final = {method.name: method.title for method in METHODS}


@dataclass(frozen=True, slots=True)
class Cell:
    """A figure and, smaller, what belongs to it."""

    value: str
    details: tuple[str, ...] = ()

    def __str__(self) -> str:
        """On one line."""
        return f"{self.value} ({', '.join(self.details)})" if self.details else self.value


@dataclass(frozen=True, slots=True)
class Panel:
    """One of the paper's matrices and ours.

    Attributes:
        figure: The paper's; None for a recipe of somebody's own.
        summary: Ours.
        title: Network and whether its training images were augmented.
        counts: Name, figure, detail: the paper's wrong decisions, the first seed's, all seeds'.
        matrix: Of the first seed, each row behind its label.
    """

    figure: Figure | None
    summary: Summary
    title: str
    counts: tuple[tuple[str, str, str], ...]
    matrix: tuple[tuple[object, ...], ...]


def as_html(comparison: Comparison) -> str:
    """The whole page, self-contained."""
    return render("compare.html.j2", **_content(comparison))


def as_markdown(comparison: Comparison) -> str:
    """The tables, for a text."""
    return render("compare.md.j2", **_content(comparison))


def _content(comparison: Comparison) -> dict[str, object]:
    return {
        "it": comparison,
        "seeds": _seeds(len(comparison.splits)),
        "panels": [_panel(summary, comparison.labels) for summary in comparison.networks],
        "network_rows": [_network_row(summary) for summary in comparison.networks],
        "table_1": _table_1(comparison),
        "doubts": TABLE_1_DOUBTS,
        "feature_sets": [(_name(name), words) for name, words in comparison.features.items()],
        "method_rows": [_method_row(method, comparison) for method in METHODS],
        "settings": [(method.title, method.settings) for method in METHODS],
        "limits": limits(comparison),
        "left_open": LEFT_OPEN,
        "images": sum(comparison.data.counts.values()),
        "augmentation": next((recipe.augmentation for recipe in comparison.recipes if recipe.augmentation), None),
        "random_weights": any(weights.name == NONE for weights in comparison.weights.values()),
        "called": [f"called {label}" for label in comparison.labels],
        "group_heads": [(_on(name), 2) for name in comparison.features],
        "method_head": [f"{_on(name)}, {figure}" for name in comparison.features for figure in ("accuracy", "AUC")],
        "not_run": [(_TITLES[name], reason) for name, reason in comparison.not_run.items()],
        "made": _made(comparison),
    }


def limits(comparison: Comparison) -> list[str]:
    """What the figures do not say, in sentences."""
    return [_on_sources(comparison), _on_patients(comparison), _SAME_COLLECTION, _on_luck(comparison)]


def _on_sources(comparison: Comparison) -> str:
    sources = comparison.data.sources
    if not all(sources.values()):
        return (
            "The manifest does not name the sources of every class, so nothing here tells whether they differ. Where "
            "they do, a network that learned the source looks as good as one that learned the disease."
        )
    if one_source_per_class(sources):
        return (
            "No source has images of more than one class. Whatever tells the sources apart (exposure, borders, "
            "letters, age) tells the classes apart, and a high accuracy cannot say which of the two was learned."
        )
    return "Some sources have images of more than one class; where one has not, its marks may be what was learned."


def _on_luck(comparison: Comparison) -> str:
    held_out = comparison.networks[0].n
    return (
        f"One of {held_out} held-out images is {percent(1 / held_out)}. Among {len(comparison.all)} rows the best is "
        "so partly by luck: rows whose ranges overlap should not be ranked."
    )


def _on_patients(comparison: Comparison) -> str:
    shared = [split.patients_on_both_sides for split in comparison.splits]
    known = [count for count in shared if count is not None]
    if not known:
        return "The manifest names no patients, so images of one patient may be on both sides of the random split."
    counts = f"{min(known)}" if min(known) == max(known) else f"{min(known)} to {max(known)}"
    who = "1 patient has" if counts == "1" else f"{counts} patients have"
    return (
        f"The split is the paper's, at random: {who} images on both sides, so some held-out images show somebody the "
        "method has seen."
    )


def _panel(summary: Summary, labels: Sequence[str]) -> Panel:
    figure = FIGURES.get(summary.method)
    first = summary.runs[0]
    of_ours, spread = f"of {summary.n} wrong", summary.wrong
    paper = ((f"Paper, {figure.number}", str(figure.wrong), f"of {HELD_OUT} wrong"),) if figure else ()
    ours = ((f"Here, seed {first.seed}", str(first.score.wrong), of_ours),)
    over = ((f"Mean of {spread.n} seeds", f"{spread.mean:.1f}", f"{of_ours}; {spread.low:.0f} to {spread.high:.0f}"),)
    counts = (*paper, *ours, *(over if spread.n > 1 else ()))
    matrix = tuple((f"truly {label}", *row) for label, row in zip(labels, summary.first, strict=True))
    return Panel(figure, summary, _title(summary), counts, matrix)


def _title(summary: Summary) -> str:
    figure = FIGURES.get(summary.method)
    return figure.title if figure else summary.method


def _network_row(summary: Summary) -> list[Cell]:
    figure = FIGURES.get(summary.method)
    paper = percent(1 - figure.wrong / HELD_OUT) if figure else _NOT_PUBLISHED
    measured = (summary.accuracy, summary.sensitivity, summary.specificity)
    return [
        Cell(_title(summary), (summary.method,)),
        Cell(paper, (f"{figure.wrong} of {HELD_OUT} wrong",) if figure else ()),
        *map(_share, measured),
        _area(summary.auc),
    ]


def _table_1(comparison: Comparison) -> list[list[Cell]]:
    """The paper's rows; then ours: its four runs, and its rows' methods on the features of its own network."""
    published = [
        [Cell(v) for v in (row.study, row.data_type, str(row.year), row.method, row.accuracy)] for row in TABLE_1
    ]
    here = [Cell(f"Here, on {comparison.data.name}"), Cell("x-ray"), Cell(str(comparison.created_at.year))]
    networks = [[*here, Cell(_title(summary)), _share(summary.accuracy)] for summary in comparison.networks]
    backbone = comparison.recipes[0].backbone
    counterparts = [
        [*here, Cell(f"{_TITLES[row.ours]} on {_name(backbone)}'s features"), _accuracy(comparison, row.ours, backbone)]
        for row in TABLE_1
        if row.ours
    ]
    return [*published, *networks, *counterparts]


def _method_row(method: Method, comparison: Comparison) -> list[Cell]:
    cells = [Cell(method.title, (method.study,))]
    for features in comparison.features:
        summary = _find(comparison.methods, method.name, features)
        cells += [_share(summary.accuracy), _area(summary.auc)] if summary else [Cell("not run"), Cell(UNKNOWN)]
    return cells


def _accuracy(comparison: Comparison, method: str, features: str) -> Cell:
    summary = _find(comparison.methods, method, features)
    return _share(summary.accuracy) if summary else Cell("not run")


def _find(summaries: Sequence[Summary], method: str, features: str) -> Summary | None:
    return next((it for it in summaries if (it.method, it.features) == (method, features)), None)


def _share(spread: Spread | None) -> Cell:
    """0-1 as percent; its spread in points."""
    if spread is None or spread.sd is None:
        return Cell(percent(spread.mean) if spread else UNKNOWN)
    low, high, sd = (f"{100 * value:.1f}" for value in (spread.low, spread.high, spread.sd))
    return Cell(percent(spread.mean), (f"{low} to {high}", f"sd {sd}"))


def _area(spread: Spread | None) -> Cell:
    if spread is None or spread.sd is None:
        return Cell(number(spread.mean, 4) if spread else UNKNOWN)
    low, high, sd = (number(value, 4) for value in (spread.low, spread.high, spread.sd))
    return Cell(number(spread.mean, 4), (f"{low} to {high}", f"sd {sd}"))


def _seeds(count: int) -> str:
    return "seed 0" if count == 1 else f"seeds 0 to {count - 1}"


def _name(backbone: str) -> str:
    return {"vgg19": "VGG19", "mobilenet": "MobileNet"}.get(backbone, backbone)


def _on(features: str) -> str:
    return "on pixels" if features == PIXELS else f"on {_name(features)}'s features"


def _made(comparison: Comparison) -> list[tuple[str, str]]:
    """Facts that a reader needs to trust and to repeat the figures."""
    data, seconds = comparison.data, sum(sum(run.seconds.values()) for it in comparison.all for run in it.runs)
    return [
        ("images", ", ".join(f"{count} {label}" for label, count in data.counts.items())),
        ("fingerprint", data.fingerprint),
        ("left out", f"{data.duplicates} files that repeat another's bytes, {data.skipped} unreadable"),
        ("kept on one side", f"{data.near_duplicates} images that look the same as another"),
        *((f"weights of {_name(name)}", _weights(it)) for name, it in comparison.weights.items()),
        ("versions", ", ".join(f"{package} {version}" for package, version in comparison.versions.items())),
        ("time of all fits", f"{seconds / 60:.1f} min; what the cache held already took none"),
    ]


def _weights(weights: Weights) -> str:
    return weights.name if weights.sha256 is None else f"{weights.name}, sha256 {weights.sha256}"
