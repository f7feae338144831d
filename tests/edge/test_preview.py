"""The small picture that follows a report: within its budget, and of the pixels alone."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from edge.decoding.decode import decode
from edge.phantom import phantom
from edge.preview import blanked, preview
from edge.study import Radiograph


def a_radiograph(pixels: np.ndarray) -> Radiograph:
    """A picture as decoded."""
    return Radiograph(pixels, "image/png", "L", pixels.shape[1], pixels.shape[0])


@pytest.fixture
def noise() -> Radiograph:
    """What compresses worst."""
    return a_radiograph(np.random.default_rng(0).integers(0, 256, (2000, 1500), np.uint8))


@pytest.mark.parametrize("max_bytes", [120 * 1024, 60 * 1024, 8 * 1024])
def test_a_preview_keeps_to_its_budget(noise: Radiograph, max_bytes: int):
    """It grows smaller until it fits, and keeps its proportions."""
    content = preview(noise, max_bytes=max_bytes)

    with Image.open(io.BytesIO(content)) as picture:
        assert (picture.format, picture.mode) == ("JPEG", "L")
        assert picture.width / picture.height == pytest.approx(1500 / 2000, rel=0.02)
    assert len(content) <= max_bytes


def test_there_is_none_where_nothing_worth_seeing_fits(noise: Radiograph):
    """A budget of 0 switches previews off; one that only a stamp would fit gives none either."""
    assert preview(noise, max_bytes=0) is None
    assert preview(noise, max_bytes=500) is None


def test_a_chest_is_seen_at_1024_pixels_within_the_default_budget():
    """An ordinary picture loses no size to the budget."""
    radiograph = decode(phantom(1).png())
    large = a_radiograph(np.asarray(Image.fromarray(radiograph.pixels).resize((2400, 2000), Image.Resampling.BICUBIC)))

    content = preview(large, max_bytes=60 * 1024)

    with Image.open(io.BytesIO(content)) as picture:
        assert max(picture.size) == 1024


def test_a_preview_holds_nothing_but_pixels():
    """No EXIF, no comment, no profile: none of the original's words can be in it."""
    exif = Image.Exif()
    exif[0x010E] = "Erika Mustermann"
    buffer = io.BytesIO()
    Image.fromarray(np.arange(256 * 256, dtype=np.uint32).reshape(256, 256).astype(np.uint8)).save(
        buffer, "JPEG", exif=exif, comment=b"Erika Mustermann"
    )

    content = preview(decode(buffer.getvalue()), max_bytes=60 * 1024)

    assert b"Erika" in buffer.getvalue()
    assert b"Erika" not in content
    with Image.open(io.BytesIO(content)) as picture:
        assert set(picture.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}


def test_a_blanked_region_is_black_before_it_is_compressed():
    """No trace of what was burned in there is left; the rest is as it was."""
    radiograph = a_radiograph(np.full((400, 600), 200, np.uint8))

    content = preview(radiograph, max_bytes=60 * 1024, blank=[(0, 0, 1, 0.1)])

    seen = decode(content).pixels
    assert seen[:38].max() < 10
    assert abs(int(seen[60:].mean()) - 200) < 3


edges = st.floats(0, 1, allow_subnormal=False)


@given(edges, edges, st.integers(1, 40), st.integers(1, 40))
def test_every_pixel_that_a_region_touches_is_black(a: float, b: float, width: int, height: int):
    """However the fractions fall between pixels, and the original stays as it is."""
    left, right = sorted((a, b))
    pixels = np.full((height, width), 255, np.uint8)

    result = blanked(pixels, [(left, 0, right, 1)])

    centre = (np.arange(width) + 0.5) / width
    assert (result[:, (left <= centre) & (centre <= right)] == 0).all()
    assert pixels.min() == 255
