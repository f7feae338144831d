"""The bundle carries a guard that was fitted on what its own int8 model sees."""

from pathlib import Path

import numpy as np

from converter.cli import main
from converter.material import read_material
from edge.assess import Assessor
from edge.bundle.bundle import read_bundle
from edge.guard import REASONS, STRANGE, exposure
from edge.study import NOT_ASSESSABLE, Radiograph


def radiograph(film: np.ndarray) -> Radiograph:
    """A decoded picture of the network's size."""
    height, width = film.shape
    return Radiograph(film, media_type="image/png", source_mode="L", source_width_px=width, source_height_px=height)


def test_training_images_are_assessed_and_their_negatives_are_not(line):
    """On the box's own path; so small a network tells hardly more than that."""
    assessor = Assessor(read_bundle(line.bundle))
    learned = read_material(line.model, line.data, line.cache).learned.pixels.take(slice(None))[:, :, :, 0]

    findings = [assessor.assess(radiograph(film.copy())) for film in learned]
    negatives = [assessor.assess(radiograph(255 - film)) for film in learned]

    assert sum(finding.decision != NOT_ASSESSABLE for finding in findings) >= 0.9 * len(findings)
    assert all("strangeness" in finding.guard and "classify" in finding.timings_ms for finding in findings)
    assert sum(finding.decision == NOT_ASSESSABLE for finding in negatives) >= 0.9 * len(negatives)
    assert {finding.reason for finding in negatives} <= {None, STRANGE, *REASONS.values()}


def test_the_card_tells_how_training_images_looked_in_the_words_of_the_reports(line):
    """Exposure and strangeness, in deciles, from the images learned from."""
    reference = read_bundle(line.bundle).card.reference

    assert set(reference) == {*exposure(np.zeros((224, 224, 3), np.uint8)), "strangeness"}
    assert 0 < reference["brightness"][0] < reference["brightness"][-1] < 255
    assert reference["strangeness"][5] < 1


def test_an_older_bundle_can_be_given_a_guard(line, tmp_path: Path):
    """The command finds the images that the model learned from again and fits the same guard; model and golden stay."""
    command = ["guard", str(line.bundle), "--data", str(line.data), "--cache", str(line.cache)]

    code = main([*command, "--out", str(tmp_path / "again.bundle")])

    first, again = read_bundle(line.bundle), read_bundle(tmp_path / "again.bundle")
    assert code == 0
    assert again.guard == first.guard
    assert (again.card, again.model, again.golden) == (first.card, first.model, first.golden)
    assert again.signature is None
