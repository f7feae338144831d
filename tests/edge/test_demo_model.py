"""The bundle that the demo ships with reads phantoms, says so, and looks at what it names."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from edge.bundle.bundle import Bundle, read_bundle
from edge.phantom import CLEAR, OPACITY

ROOT = Path(__file__).resolve().parents[2]
BUNDLE = ROOT / "edge" / "demo-model.bundle"


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    """The committed bundle."""
    return read_bundle(BUNDLE)


@pytest.fixture(scope="module")
def figures() -> dict[str, Any]:
    """What the benchmark says of 500 phantoms of unseen seeds."""
    command = [sys.executable, str(ROOT / "tests" / "benchmarks" / "demo_model.py"), "--count", "500"]
    figures: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return figures


def test_bundle_is_small() -> None:
    """The repository carries at most 4 MB for the demo."""
    assert BUNDLE.stat().st_size <= 4_000_000


def test_labels_are_no_diagnosis(bundle: Bundle) -> None:
    """The model names what a phantom shows, never a disease, and its card says that it has seen nothing else."""
    assert bundle.card.labels == (CLEAR, OPACITY)
    assert bundle.card.positive == OPACITY
    assert bundle.card.name == "phantom-mobilenet"


def test_reads_unseen_phantoms(figures: dict[str, Any]) -> None:
    """At least 95 of 100 decisions are right on phantoms that training never saw."""
    assert figures["n"] == 500
    assert figures["accuracy"] >= 0.95


def test_looks_at_the_opacity(figures: dict[str, Any]) -> None:
    """The drawn heatmap's peak lies inside the opacity's mask in at least 85 of 100 cases; pointing blindly, in few."""
    assert figures["pointing_game"] >= 0.85
    assert figures["cell_touched"] >= 0.85
    assert figures["chance"] < 0.2
