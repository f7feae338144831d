"""What cannot be assessed is said, not guessed."""

import numpy as np
import pytest

from edge.guard import examine, exposure
from edge.preprocess import preprocess
from edge.study import NOT_ASSESSABLE, Finding, Radiograph


def verdict_on(pixels: np.ndarray):
    """The guard's verdict on a picture."""
    height, width = pixels.shape
    radiograph = Radiograph(
        pixels, media_type="image/png", source_mode="L", source_width_px=width, source_height_px=height
    )
    return examine(radiograph, preprocess(radiograph))


NOISE = np.random.default_rng(0).integers(0, 256, (512, 512)).astype(np.uint8)


@pytest.mark.parametrize(
    ("pixels", "complaint"),
    [
        (np.zeros((512, 512), np.uint8), "nearly blank"),
        (np.full((512, 512), 255, np.uint8), "nearly blank"),
        (NOISE[:60, :400], "the shorter side has 60 pixels"),
    ],
)
def test_blank_and_tiny_pictures_are_refused_with_a_reason(pixels: np.ndarray, complaint: str):
    """The reason is a sentence for the person at the box."""
    assert complaint in str(verdict_on(pixels).reason)


def test_a_picture_with_contrast_passes():
    """The scores are told either way."""
    verdict = verdict_on(np.repeat(np.repeat(NOISE[:32, :32], 16, axis=0), 16, axis=1))

    assert verdict.reason is None
    assert verdict.scores["side_px"] == 512


def test_exposure_is_told_in_plain_figures():
    """Half black, half white: the mean lies between, and each half is told as a share."""
    pixels = np.zeros((224, 224, 3), np.uint8)
    pixels[:, 112:] = 255

    assert exposure(pixels) == {"brightness": 127.5, "contrast": 127.5, "black": 0.5, "white": 0.5}


def test_a_finding_cannot_contradict_itself():
    """No probabilities without an assessment, no assessment without probabilities, no refusal without a reason."""
    with pytest.raises(ValueError, match="exactly if it was assessed"):
        Finding("covid", {}, None, {}, None, {})
    with pytest.raises(ValueError, match="exactly if it was not assessed"):
        Finding(NOT_ASSESSABLE, {}, None, {}, None, {})
