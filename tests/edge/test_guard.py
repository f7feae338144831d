"""What cannot be assessed is said, not guessed."""

import numpy as np
import pytest

from edge.errors import BundleError
from edge.guard import CHEST, INVERTED, REASONS, STRANGE, Guard, both, examine, exposure
from edge.preprocess import prepare
from edge.study import NOT_ASSESSABLE, Finding, Radiograph


def verdict_on(pixels: np.ndarray):
    """The guard's verdict on a picture."""
    height, width = pixels.shape
    radiograph = Radiograph(
        pixels, media_type="image/png", source_mode="L", source_width_px=width, source_height_px=height
    )
    return examine(prepare(radiograph))


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


def a_guard(**changes: object) -> Guard:
    """Chests point along the first axis, negatives along the second, both within 0.2, and 0.1 off their plane."""
    floats = {
        "origin": [0.0, 0.0, 0.0],
        "basis": [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]],
        "whitening": [[10.0, 0.0], [0.0, 10.0]],
        "centres": [[10.0, 0.0], [0.0, 10.0]],
    }
    packed = {name: np.array(values, "<f4").tobytes() for name, values in floats.items()}
    limits = ((4.0, 0.01), (4.0, 0.01))
    return Guard(
        **{"of": "directions", "kinds": (CHEST, INVERTED), "margin": 0.0, "limits": limits, **packed, **changes}
    )


@pytest.mark.parametrize(
    ("seen", "strangeness", "reason"),
    [
        ((1, 0, 0), 0.0, None),
        ((99, 20, 0), 0.995, None),
        ((12, 5, 0), 1.9612, STRANGE),
        ((0, 1, 0), 7.0711, REASONS[INVERTED]),
        ((20, 99, 0), 6.3325, REASONS[INVERTED]),
        ((-1, 0, 0), 10.0, STRANGE),
        ((12, 0, 5), 3.8462, STRANGE),
        ((0, 0, 0), 5.0, STRANGE),
    ],
)
def test_what_is_near_no_chest_is_refused_with_its_own_reason(seen: tuple, strangeness: float, reason: str | None):
    """Near the chests it passes; near the negatives it is called one; far from both, or off their plane, strange."""
    features = np.broadcast_to(np.array(seen, np.float32), (7, 7, 3))

    verdict = a_guard().judge(features)

    assert verdict.scores == {"strangeness": pytest.approx(strangeness, abs=1e-3)}
    assert verdict.reason == reason


def test_how_strongly_a_picture_is_seen_says_nothing_of_what_it_shows():
    """Twice the features are the same direction."""
    features = np.random.default_rng(0).random((7, 7, 3)).astype(np.float32)

    assert a_guard().judge(2 * features) == a_guard().judge(features)


def test_where_chests_look_like_others_the_margin_lets_them_pass():
    """A picture a little nearer the other centre is still a chest; one nearer by more than the margin is not."""
    guard = a_guard(margin=30.0, limits=((999.0, 1.0), (999.0, 1.0)))

    reasons = [guard.judge(np.broadcast_to(np.float32([1, y, 0]), (7, 7, 3))).reason for y in (1.1, 1.4)]

    assert reasons == [None, REASONS[INVERTED]]


def test_a_guard_survives_the_bundle():
    """What is written is read."""
    guard = a_guard()

    assert Guard.from_json(guard.to_json()).to_json() == guard.to_json()


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"kinds": (INVERTED, CHEST)}, "kinds must be"),
        ({"kinds": (CHEST, "cat")}, "kinds must be"),
        ({"kinds": (CHEST,)}, "two kinds or more"),
        ({"margin": -1.0}, "a margin from 0 on"),
        ({"limits": ((1.0, 1.0),)}, "two positive numbers"),
        ({"limits": ((1.0, 1.0), (0.0, 1.0))}, "two positive numbers"),
        ({"basis": b"1234"}, "bytes"),
        ({"centres": b""}, "bytes"),
    ],
)
def test_a_guard_that_does_not_fit_together_is_refused(changes: dict, complaint: str):
    """The sizes of the arrays follow from each other."""
    with pytest.raises(ValueError, match=complaint):
        a_guard(**changes)


ELDER = a_guard().to_json().replace(b'"of":"directions",', b"")
"""Of the time when lengths counted, too."""


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", a_guard().to_json()[:-1], ELDER])
def test_what_is_no_guard_is_a_fault_of_the_bundle(content: bytes):
    """The error names the entry and the way out."""
    with pytest.raises(BundleError, match=r"guard\.json .* convert the model again"):
        Guard.from_json(content)


def test_the_first_reason_counts():
    """Two looks give one verdict with the scores of both."""
    first, second = verdict_on(np.zeros((512, 512), np.uint8)), a_guard().judge(np.full((7, 7, 3), 9, np.float32))

    verdict = both(first, second)

    assert "nearly blank" in str(verdict.reason)
    assert {"contrast", "strangeness"} <= set(verdict.scores)
