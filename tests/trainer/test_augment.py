"""Augmented copies move an image within the recipe's ranges, the same way every time."""

import msgspec
import numpy as np
import pytest

from trainer.augment import AugmentedCopy, copies_of
from trainer.recipes import PAPER_AUGMENTATION, Augmentation

STILL = Augmentation(rotation_deg=0, width_shift=0, height_shift=0, shear_deg=0, zoom=0, copies=2)
PIXELS = np.random.default_rng(2).integers(0, 256, (3, 224, 224, 3)).astype(np.uint8)
KEYS = ["a" * 64, "b" * 64, "c" * 64]


def only(**ranges: float) -> AugmentedCopy:
    """A copy that moves in one way."""
    return AugmentedCopy(msgspec.structs.replace(STILL, **ranges), 0)


def a_square(top: int, left: int, side: int = 40) -> np.ndarray:
    """White on black, `(1, 224, 224, 3) uint8`."""
    pixels = np.zeros((1, 224, 224, 3), np.uint8)
    pixels[:, top : top + side, left : left + side] = 255
    return pixels


def middle(pixels: np.ndarray) -> tuple[float, float]:
    """Centre of mass, row and column."""
    weights = pixels[0, :, :, 0].astype(np.float64)
    rows, columns = np.indices(weights.shape)
    return float((rows * weights).sum() / weights.sum()), float((columns * weights).sum() / weights.sum())


def test_ranges_of_zero_leave_the_image_as_it_is():
    """To the last bit, in float32."""
    assert np.array_equal(AugmentedCopy(STILL, 0)(PIXELS, KEYS), PIXELS.astype(np.float32))


def test_a_copy_depends_on_the_image_and_its_number_only():
    """Alone or in a batch, today or tomorrow: the same pixels. Another number is another movement."""
    batch = AugmentedCopy(PAPER_AUGMENTATION, 3)(PIXELS, KEYS)

    alone = AugmentedCopy(msgspec.structs.replace(PAPER_AUGMENTATION, copies=50), 3)(PIXELS[1:2], KEYS[1:2])
    other = AugmentedCopy(PAPER_AUGMENTATION, 4)(PIXELS[1:2], KEYS[1:2])

    assert np.array_equal(batch[1:2], alone)
    assert not np.array_equal(alone, other)
    assert len({copy.name for copy in copies_of(PAPER_AUGMENTATION)}) == PAPER_AUGMENTATION.copies


@pytest.mark.parametrize(("axis", "ranges"), [(0, {"height_shift": 0.2}), (1, {"width_shift": 0.2})])
def test_a_shift_moves_along_its_axis_and_within_its_range(axis: int, ranges: dict[str, float]):
    """Over many images it reaches both ways and never beyond a fifth of the side."""
    square = np.repeat(a_square(92, 92), 64, axis=0)
    moved = only(**ranges)(square, [f"{number:064}" for number in range(64)])

    shifts = np.array([np.subtract(middle(image[None]), middle(square[:1])) for image in moved])

    assert np.abs(shifts[:, 1 - axis]).max() < 0.5
    assert np.abs(shifts[:, axis]).max() <= 0.2 * 224 + 0.5
    assert shifts[:, axis].min() < -20
    assert shifts[:, axis].max() > 20


def test_a_rotation_turns_about_the_middle_and_a_zoom_stretches_each_side():
    """The middle stays where it is; an area grows or shrinks by at most the ranges."""
    square = np.repeat(a_square(92, 92), 32, axis=0)
    keys = [f"{number:064}" for number in range(32)]

    turned, zoomed = only(rotation_deg=10)(square, keys), only(zoom=0.2)(square, keys)

    for image in (*turned, *zoomed):
        assert middle(image[None]) == pytest.approx((111.5, 111.5), abs=1)
    areas = zoomed[..., 0].sum(axis=(1, 2)) / square[0, ..., 0].sum()
    assert areas.min() < 0.9
    assert areas.max() > 1.1
    assert areas.min() >= 1 / 1.2**2 - 0.05
    assert areas.max() <= 1 / 0.8**2 + 0.05
    assert turned[..., 0].sum(axis=(1, 2)) / square[0, ..., 0].sum() == pytest.approx(1, abs=0.02)


def test_what_lies_beyond_an_edge_repeats_the_edge():
    """A white image stays white, however it is moved."""
    white = np.full((3, 224, 224, 3), 255, np.uint8)

    assert AugmentedCopy(PAPER_AUGMENTATION, 0)(white, KEYS).min() == pytest.approx(255, abs=1e-3)
