"""The report, read back by an HTML parser as a browser would; and the model card, as Markdown."""

import dataclasses
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import numpy as np
import pytest

from edge.decide import softmax
from trainer.evaluate import evaluate
from trainer.evidence import MOST_SHOWN, Evidence, mistakes
from trainer.operating_point import choose_operating_point
from trainer.report.limits import limits, one_source_per_class
from trainer.report.model_card import escaped, model_card_of
from trainer.report.report import report_of, write_report

HOSTILE = "<script>alert('covid')</script>"
SECTIONS = {"headline", "decisions", "ranking", "certainty", "sources", "mistakes", "making"}
LOADING = {"src", "href", "xlink:href", "data", "poster", "srcset", "action", "background"}
VOID = {"meta", "img", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """What a page holds: elements, what they load, ids, text; and whether every element is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        """Note the element."""
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        """Note the element, which is closed already."""
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        """Close the innermost element, which must be of this kind."""
        assert self.open.pop() == tag

    def handle_data(self, data):
        """Collect what a person reads."""
        if self.open and self.open[-1] != "style":
            self.text += data

    def loaded(self) -> set[str]:
        """Every address in the page."""
        return {value for _, attributes in self.elements for name, value in attributes.items() if name in LOADING}

    def images(self) -> list[dict[str, str | None]]:
        """The attributes of every picture."""
        return [attributes for tag, attributes in self.elements if tag == "img"]


def examined(
    *, n: int = 60, labels: tuple[str, ...] = ("covid", "normal"), noise: float = 1.0, positives: float = 0.5
) -> tuple[Evidence, dict]:
    """An evaluation of made-up logits: evidence and document."""
    generator = np.random.default_rng(5)
    targets = np.where(generator.random(n) < positives, 0, generator.integers(1, len(labels), n))
    logits = (noise * generator.normal(size=(n, len(labels))) + 2 * np.eye(len(labels))[targets]).astype(np.float32)
    point = choose_operating_point(logits, targets, 0)
    sources = tuple(f"{HOSTILE} {number % 3}" if number % 5 else None for number in range(n))
    metrics = evaluate(
        softmax(logits, point.temperature),
        targets,
        labels,
        labels[0],
        point.threshold,
        band=point.band,
        uncalibrated=softmax(logits),
        patients=[str(number // 2) for number in range(n)],
        sources=sources,
    )
    wrong = mistakes(logits, targets, 0, temperature=point.temperature, threshold=point.threshold).positions
    evidence = Evidence(
        files=tuple(f"{HOSTILE}/{number:04}.png" for number in range(n)),
        targets=targets,
        logits=logits,
        temperature=point.temperature,
        sources=sources,
        shown=wrong,
        thumbnails=np.full((len(wrong), 224, 224, 3), 90, np.uint8),
        heatmaps=generator.random((len(wrong), 7, 7)).astype(np.float32),
    )
    return evidence, msgspec.to_builtins(metrics) | {
        "recipe": "clinic-mobilenet",
        "backbone": "mobilenet",
        "head": "gap",
        "split": "patient",
        "seed": 0,
        "seconds": {"fit": 1.5, "evaluate": 0.5},
        "n_train": 240,
        "duplicates": 1,
        "patients_on_both_sides": 3,
        "choices": {"split": "patient", "epochs": 50, "fine_tune": None},
        "data": {
            "name": HOSTILE,
            "fingerprint": "f" * 64,
            "counts": dict.fromkeys(labels, 150),
            "skipped": 0,
            "duplicates": 1,
            "sources": {labels[0]: {"spain": 10, HOSTILE: 5}, labels[1]: {"nih": 9}},
        },
        "weights": {"weights": "imagenet", "sha256": "a" * 64},
        "versions": {"edge-xray": "0.1.0"},
        "created_at": "2026-01-02T03:04:05Z",
        "operating_point": msgspec.to_builtins(point),
    }


@pytest.fixture(scope="module")
def case() -> tuple[Evidence, dict]:
    """Sixty images of two classes whose names, files and sources mean harm."""
    return examined(labels=(HOSTILE, "normal"))


@pytest.fixture(scope="module")
def page(case) -> Page:
    """Its report."""
    return Page(report_of(*case))


def test_the_page_loads_nothing(page: Page):
    """Every address is a picture inside the page or a place on it; there is no script and no style attribute."""
    assert all(address.startswith(("data:image/jpeg;base64,", "#")) for address in page.loaded())
    assert {"script", "link", "iframe", "object", "base"}.isdisjoint(tag for tag, _ in page.elements)
    assert not any("style" in attributes for _, attributes in page.elements)
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    assert page.open == []


def test_every_section_is_there_and_can_be_reached(page: Page):
    """The contents lead to sections that exist."""
    ids = {attributes["id"] for tag, attributes in page.elements if tag == "section"}

    assert ids == SECTIONS
    assert {address[1:] for address in page.loaded() if address.startswith("#")} <= ids


def test_every_wrong_image_is_there(page: Page, case):
    """With its file's name, the truth, the call and a text for who cannot see it."""
    evidence, document = case
    wrong = document["n"] - sum(row[label] for label, row in enumerate(document["confusion_matrix"]))

    assert len(page.images()) == wrong > 0
    assert all(evidence.files[position] in page.text for position in evidence.shown)
    assert all(image["alt"] for image in page.images())


def test_names_are_text(page: Page):
    """A class called like a script stays a word."""
    assert HOSTILE in page.text
    assert all("<script" not in tag for tag, _ in page.elements)


def test_the_limits_stand_beside_the_accuracy(page: Page):
    """Before anything else: no diagnosis, other hospitals, patients on both sides, one source per class."""
    headline = page.text[: page.text.index("Brier score")]

    for words in ("Not a diagnosis", "Not validated outside", "3 patients have images on both sides", "No source gave"):
        assert words in headline


def test_every_chart_says_in_words_what_it_shows(page: Page):
    """Four of them, each with a label for who cannot see it."""
    charts = [attributes for tag, attributes in page.elements if tag == "svg" and attributes.get("role") == "img"]

    assert len(charts) == 4
    assert all(chart["aria-label"] for chart in charts)


def test_too_many_wrong_images_are_counted():
    """The surest are shown, the others told of; missed positives come first."""
    evidence, document = examined(n=900, noise=4)

    page = Page(report_of(evidence, document))

    wrong = document["n"] - sum(row[label] for label, row in enumerate(document["confusion_matrix"]))
    assert len(page.images()) == MOST_SHOWN < wrong
    assert f"the other {wrong - MOST_SHOWN} are not" in page.text
    assert evidence.targets[evidence.shown[0]] == 0


@pytest.mark.parametrize(
    "changed", [{"positives": 0.0}, {"positives": 1.0}, {"noise": 0.0}, {"labels": ("a", "b", "c")}]
)
def test_a_strange_evaluation_has_a_page_too(changed: dict):
    """One side only, nothing wrong, three classes."""
    evidence, document = examined(**changed)

    page = Page(report_of(evidence, document))

    assert {attributes.get("id") for _, attributes in page.elements} >= SECTIONS
    assert page.open == []
    assert model_card_of(document)


def test_a_document_of_evaluate_has_a_page_too(tmp_path: Path):
    """It knows less than that of a training run."""
    evidence, document = examined()
    for name in (
        "n_train",
        "choices",
        "weights",
        "versions",
        "created_at",
        "patients_on_both_sides",
        "operating_point",
    ):
        del document[name]
    document["data"] = {name: document["data"][name] for name in ("name", "fingerprint", "counts")}

    write_report(evidence, document, tmp_path / "new" / "report.html")

    assert "Learned from" not in Page((tmp_path / "new" / "report.html").read_text()).text


def test_evidence_speaks_of_the_same_images():
    """Or it is refused."""
    evidence, _ = examined()

    with pytest.raises(ValueError, match="one value per image"):
        dataclasses.replace(evidence, files=evidence.files[:1])


def test_one_source_per_class_is_noticed():
    """Only where every label's sources are known and none is shared."""
    assert one_source_per_class({"covid": {"spain": 1}, "normal": {"nih": 1}})
    assert not one_source_per_class({"covid": {"spain": 1, "nih": 1}, "normal": {"nih": 1}})
    assert not one_source_per_class({"covid": {}, "normal": {"nih": 1}})
    assert not one_source_per_class({})


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"patients_on_both_sides": 0}, "No patient is on both sides"),
        ({"patients_on_both_sides": 1}, "1 patient has images on both sides"),
        ({"patients_on_both_sides": None}, "Patients may be on both sides"),
        ({"split": "source"}, "One source of"),
        ({"patients_on_both_sides": 0, "images_without_patient": 7}, "No known patient is on both sides"),
        ({"patients": 12}, "Only 12 patients"),
        ({"patients": 12, "images_without_patient": 7}, "Only 12 patients and 7 images"),
        ({"patients": None, "images_without_patient": 7}, "Only 7 images"),
    ],
)
def test_the_limits_follow_the_evaluation(changed: dict, said: str):
    """Each fact that limits the figures has its sentence."""
    _, document = examined()

    assert said in " ".join(limit.point for limit in limits(document | changed))


def test_a_target_that_was_missed_is_a_limit():
    """With what was reached instead."""
    _, document = examined()
    document["operating_point"] |= {"sensitivity": 0.5, "accuracy_outside_band": None}

    (missed,) = [limit.rest for limit in limits(document) if limit.point.startswith("A target")]

    assert missed == "sensitivity 95% (50.0% reached); accuracy outside the band 98% (nothing to measure it on)."


def test_the_model_card_has_its_headings_and_escapes_names(case):
    """Those of Mitchell et al.; a class called like a script neither runs nor writes a heading."""
    card = model_card_of(case[1])

    headings = [line for line in card.splitlines() if line.startswith("## ")]
    assert headings == [
        "## Model details",
        "## Intended use",
        "## Factors",
        "## Metrics",
        "## Evaluation data",
        "## Training data",
        "## Limits",
        "## Ethical considerations",
        "## Versions",
        "## How to reproduce",
    ]
    assert "<script" not in card
    assert escaped("a\n# b | <c> _d_") == r"a # b \| &lt;c&gt; \_d\_"
    tables = [line for line in card.splitlines() if line.startswith("|")]
    assert len(tables) >= 14
