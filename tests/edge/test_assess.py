"""An assessor turns one radiograph into one finding, by the rules on the bundle's card."""

from importlib.resources import as_file, files
from typing import Any

import msgspec
import pytest

from edge.assess import Assessor
from edge.bundle.bundle import Bundle, read_bundle
from edge.decoding.decode import decode
from edge.phantom import phantom
from edge.study import Finding


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    """The demo's."""
    with as_file(files("edge") / "demo-model.bundle") as path:
        return read_bundle(path)


def assessed(bundle: Bundle, **changes: Any) -> Finding:
    """A phantom with an opacity, under a card with these changes."""
    card = msgspec.structs.replace(bundle.card, **changes)
    return Assessor(Bundle(card, bundle.model)).assess(decode(phantom(3, opacity=True).png()))


def test_a_picture_in_the_band_is_inconclusive_and_keeps_its_evidence(bundle: Bundle):
    """Neither class is said; the probabilities and the heatmap of the label it leans to stay."""
    plain = assessed(bundle, temperature=9.0, band=(0.5, 0.5))

    unsure = assessed(bundle, temperature=9.0, band=(0.0, 1.0))

    assert plain.decision == "opacity"
    assert unsure.decision == "inconclusive"
    assert unsure.probabilities == plain.probabilities
    assert (unsure.heatmap == plain.heatmap).all()


def test_the_temperature_of_the_card_calibrates_the_probabilities(bundle: Bundle):
    """A high one leaves the decision and takes the certainty."""
    sure, unsure = assessed(bundle, temperature=1.0), assessed(bundle, temperature=50.0)

    assert sure.decision == unsure.decision == "opacity"
    assert 0.5 < unsure.probabilities["opacity"] < 0.7 < sure.probabilities["opacity"]
