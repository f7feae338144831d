"""Evidence and metrics -> `report.html`: an evaluation to be read, with its limits as large as its accuracy.

Nothing is measured here that `metrics.json` does not hold; the charts show the same images. The page is the frame of
`trainer.report.page`, so it loads nothing and every name in it is escaped.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from edge.decide import decide, softmax
from edge.explain import overlay
from trainer.evidence import Evidence
from trainer.report.chart import Chart
from trainer.report.diagrams import histogram_chart, precision_chart, reliability_chart, roc_chart
from trainer.report.limits import limits
from trainer.report.page import UNKNOWN, between, number, percent, render, write_text

REPORT_NAME: Final = "report.html"

Document = Mapping[str, Any]
Pairs = list[tuple[str, str]]


def write_report(evidence: Evidence, document: Document, path: Path) -> None:
    """Write the page; what is there under its name is replaced.

    Args:
        evidence: The images and what the model said of them.
        document: What `metrics.json` holds of the same images.
        path: Of the page.

    Raises:
        ConfigError: The folder cannot be written.
    """
    write_text(report_of(evidence, document), path)


def report_of(evidence: Evidence, document: Document) -> str:
    """The page; the arguments are those of `write_report`."""
    right = sum(row[label] for label, row in enumerate(document["confusion_matrix"]))
    return render(
        "report.html.j2",
        it=document,
        point=document.get("operating_point"),
        limits=limits(document),
        right=right,
        wrong=document["n"] - right,
        charts=_charts(evidence, document),
        mistakes=_mistakes(evidence, document),
        sources=_source_rows(document),
        recipe=_recipe_facts(document),
        data=_data_facts(document),
        versions=sorted(document.get("versions", {}).items()),
        stages=_stage_rows(document),
    )


def _charts(evidence: Evidence, document: Document) -> dict[str, list[Chart]]:
    """Ranking charts (none where one side has no image) and those of the probabilities."""
    index = list(document["labels"]).index(document["positive"])
    is_positive, scores = evidence.targets == index, evidence.probabilities[:, index]
    both = bool(is_positive.any() and not is_positive.all())
    return {
        "ranking": [make(scores, is_positive, document) for make in (roc_chart, precision_chart) if both],
        "certainty": [
            reliability_chart(softmax(evidence.logits)[:, index], scores, is_positive, document),
            histogram_chart(scores, is_positive, document),
        ],
    }


def _mistakes(evidence: Evidence, document: Document) -> list[dict[str, Any]]:
    """The gallery's figures: picture, file, truth, call, probability."""
    labels, probabilities = document["labels"], evidence.probabilities
    index = list(labels).index(document["positive"])
    called = decide(probabilities, index, document["threshold"])
    low, high = document["band"] or (0, 0)
    return [
        {
            "picture": overlay(np.rint(pixels.mean(axis=2)).astype(np.uint8), heat),
            "file": evidence.files[position],
            "truth": labels[evidence.targets[position]],
            "called": labels[called[position]],
            "probability": percent(float(probabilities[position, index])),
            "inconclusive": low <= probabilities[position, index] < high,
            "source": evidence.sources[position],
        }
        for position, pixels, heat in zip(evidence.shown, evidence.thumbnails, evidence.heatmaps, strict=True)
    ]


def _source_rows(document: Document) -> list[list[str]]:
    return [
        [
            row["source"] or "not stated",
            *(number(row["counts"][label]) for label in document["labels"]),
            percent(row["accuracy"]),
            between(row["ci95"]),
            percent(row["sensitivity"]),
            percent(row["specificity"]),
            percent(row["inconclusive"]),
        ]
        for row in document["by_source"]
    ]


def _recipe_facts(document: Document) -> Pairs:
    """How the model came to be, as far as the document says."""
    choices = document.get("choices", {})
    weights = document.get("weights") or {}
    return _known(
        ("Recipe", document.get("recipe")),
        ("Backbone", document.get("backbone")),
        ("Head", document.get("head")),
        ("Model", document.get("model")),
        ("Split", document.get("split")),
        ("Seed", document.get("seed")),
        ("Weights to begin with", _listed(weights)),
        *(
            (name.replace("_", " ").capitalize(), _listed(value))
            for name, value in choices.items()
            if name not in _SAID
        ),
        ("Made", document.get("created_at")),
    )


_SAID: Final = frozenset({"name", "backbone", "head", "split"})
"""Choices that stand in the document itself too."""


def _data_facts(document: Document) -> Pairs:
    data = document["data"]
    return _known(
        ("Folder", data["name"]),
        ("Fingerprint (SHA-256)", data["fingerprint"]),
        ("Images", _listed(data["counts"])),
        ("Learned from", document.get("n_train")),
        ("Evaluated on", document["n"]),
        ("Known patients among these", document["patients"]),
        ("Images without a patient", document["images_without_patient"]),
        ("Patients on both sides", document.get("patients_on_both_sides")),
        ("Left out: the model had learned from them", document.get("left_out_as_trained_on")),
        ("Left out: same bytes as another", document.get("duplicates")),
        ("Left out: unreadable", data.get("skipped")),
        ("Look the same as another; kept on one side", document.get("near_duplicates")),
        *((f"Sources of {label}", _listed(names)) for label, names in data.get("sources", {}).items()),
    )


def _stage_rows(document: Document) -> list[list[str]]:
    seconds = document["seconds"]
    total = sum(seconds.values())
    rows = [
        [stage, f"{spent:.1f}", percent(spent / total, 0) if total else UNKNOWN] for stage, spent in seconds.items()
    ]
    return [*rows, ["together", f"{total:.1f}", ""]]


def _known(*pairs: tuple[str, object]) -> Pairs:
    """Those that have a value."""
    return [
        (name, number(value) if type(value) is int else str(value)) for name, value in pairs if value not in {None, ""}
    ]


def _listed(value: object) -> str:
    """A mapping as `name value, name value`; anything else as it is."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_listed(part)}" for name, part in value.items() if part is not None)
    return "" if value is None else str(value)
