"""Bytes become one grayscale picture, or a sentence for the person who dropped them."""

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from edge.decoding.decode import decode
from edge.decoding.pixels import MAX_PIXELS
from edge.errors import UnreadableImageError
from tests.edge.dicom_file import dicom

RAMP = np.linspace(0, 255, 120 * 100).reshape(120, 100).astype(np.uint8)


def encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    """A picture as the bytes of a file."""
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(("kind", "options"), [("PNG", {}), ("WEBP", {"lossless": True}), ("TIFF", {})])
def test_lossless_formats_keep_every_pixel(kind: str, options: dict[str, object]):
    """What went in as 8-bit gray comes out unchanged."""
    radiograph = decode(encoded(Image.fromarray(RAMP), kind, **options))

    assert np.array_equal(radiograph.pixels, RAMP)
    assert (radiograph.source_width_px, radiograph.source_height_px) == (100, 120)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "LA", "CMYK"])
def test_gray_in_a_colour_format_stays_gray(mode: str):
    """A gray film saved in colour has the same values, but for the rounding of CMYK and palettes."""
    kind = "TIFF" if mode == "CMYK" else "PNG"

    radiograph = decode(encoded(Image.fromarray(RAMP).convert(mode), kind))

    assert np.abs(radiograph.pixels.astype(int) - RAMP).max() <= 2


def test_transparency_lies_over_black():
    """Where nothing was exposed there is no light."""
    picture = Image.merge("LA", [Image.new("L", (64, 64), 200), Image.new("L", (64, 64), 0)])

    assert decode(encoded(picture, "PNG")).pixels.max() == 0


def test_sixteen_bits_are_stretched_over_eight():
    """A 12-bit film in a 16-bit file uses the whole range, and keeps its order."""
    film = np.linspace(300, 3500, 100 * 100).reshape(100, 100).astype(np.uint16)

    radiograph = decode(encoded(Image.fromarray(film), "PNG"))

    assert (radiograph.pixels.min(), radiograph.pixels.max()) == (0, 255)
    assert (np.diff(radiograph.pixels.ravel().astype(int)) >= 0).all()


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_a_tiff_whose_zero_is_white_is_inverted(dtype: str):
    """However many bits it has: a digitised film must not come out as its negative."""
    stored = np.array([[0, 255], [51, 204]]).astype(dtype)
    buffer = io.BytesIO()
    shown = 255 - stored if dtype == "uint8" else stored  # Pillow turns 8 bits over while writing, and only those
    Image.fromarray(shown).save(buffer, "TIFF", tiffinfo={262: 0})

    pixels = decode(buffer.getvalue()).pixels

    assert pixels.tolist() == [[255, 0], [204, 51]]


def test_a_camera_held_sideways_is_turned():
    """EXIF orientation 6 means: turn by a quarter."""
    exif = Image.Exif()
    exif[0x0112] = 6

    radiograph = decode(encoded(Image.fromarray(RAMP), "JPEG", exif=exif))

    assert radiograph.pixels.shape == (100, 120)


def test_a_large_jpeg_is_decoded_at_a_fraction_of_its_size():
    """Thirteen megapixels shrink while they are decoded; the report still tells the source's size."""
    picture = Image.fromarray(RAMP).resize((4160, 3120))

    radiograph = decode(encoded(picture, "JPEG"))

    assert radiograph.pixels.shape == (780, 1040)
    assert (radiograph.source_width_px, radiograph.source_height_px) == (4160, 3120)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "got an empty file"),
        (b"hello, I am a text", "none of them"),
        (encoded(Image.fromarray(RAMP), "JPEG")[:-100], "damaged or incomplete"),
        (encoded(Image.fromarray(RAMP), "PNG")[:-200], "damaged or incomplete"),
        (encoded(Image.fromarray(RAMP), "GIF"), "none of them"),
        (bytes(128) + b"DICM" + b"\xff" * 300, "cannot be decoded"),
    ],
)
def test_what_is_no_picture_gets_a_sentence(content: bytes, complaint: str):
    """The error says what was expected and what came."""
    with pytest.raises(UnreadableImageError, match=complaint) as caught:
        decode(content)

    assert "expected" in str(caught.value)


def test_an_animation_is_refused():
    """Two frames are not one radiograph."""
    frames = [Image.new("L", (100, 100), value) for value in (10, 200)]

    with pytest.raises(UnreadableImageError, match="got 2 frames"):
        decode(encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:]))


def test_a_bomb_is_refused_before_its_pixels_exist():
    """A small file that declares a hundred million pixels and more is refused."""
    side = int(MAX_PIXELS**0.5) + 1
    bomb = encoded(Image.new("1", (side, side)), "PNG")

    with pytest.raises(UnreadableImageError, match="expected at most 100,000,000 pixels"):
        decode(bomb)


def test_monochrome1_is_inverted():
    """The same values under MONOCHROME1 are the negative of those under MONOCHROME2."""
    bright = decode(dicom(RAMP))
    dark = decode(dicom(RAMP, PhotometricInterpretation="MONOCHROME1"))

    assert np.array_equal(dark.pixels, 255 - bright.pixels)
    assert dark.source_mode == "MONOCHROME1"


def test_the_window_is_applied_before_the_inversion():
    """Values outside the DICOM window are black or white, on the side the photometric interpretation says."""
    film = np.linspace(0, 4095, 100 * 100).reshape(100, 100).astype(np.uint16)
    window = {"WindowCenter": 2048, "WindowWidth": 1024, "BitsStored": 12, "HighBit": 11}

    plain = decode(dicom(film, **window)).pixels
    inverted = decode(dicom(film, PhotometricInterpretation="MONOCHROME1", **window)).pixels

    assert (plain[:30] == 0).all()
    assert (plain[70:] == 255).all()
    assert np.array_equal(inverted, 255 - plain)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (dicom(np.zeros((3, 64, 64), np.uint8), NumberOfFrames=3), "got 3 frames"),
        (dicom(RAMP, PhotometricInterpretation="RGB"), "got RGB"),
        (dicom(RAMP, Rows=20000, Columns=20000), "expected at most 100,000,000 pixels"),
        (dicom(RAMP)[:-600], "cannot be decoded"),
    ],
)
def test_dicom_that_is_no_radiograph_is_refused(content: bytes, complaint: str):
    """Several frames, colour, a bomb and a file cut short are refused with the reason."""
    with pytest.raises(UnreadableImageError, match=complaint):
        decode(content)


VALID = [encoded(Image.fromarray(RAMP), kind) for kind in ("PNG", "JPEG", "WEBP", "TIFF")] + [dicom(RAMP)]


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(VALID), st.data())
def test_damaged_bytes_never_crash(content: bytes, data: st.DataObject):
    """Whatever is flipped or cut, the outcome is a picture or an UnreadableImageError."""
    damaged = bytearray(content[: data.draw(st.integers(0, len(content)))])
    for _ in range(data.draw(st.integers(0, 8))):
        if damaged:
            damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))

    try:
        radiograph = decode(bytes(damaged))
    except UnreadableImageError:
        return

    assert radiograph.pixels.dtype == np.uint8


@pytest.mark.shared
def test_every_raw_file_is_decoded(shared: Path):
    """33 raw files and 6 DICOM files from the field: JPEG, PNG, WebP; L, RGB, RGBA; thumbnails to 13 megapixels."""
    files = sorted((shared / "data/intake").iterdir()) + sorted((shared / "data/dicom").iterdir())

    radiographs = [decode(file.read_bytes()) for file in files]

    assert len(radiographs) == 39
    assert all(radiograph.pixels.std() > 5 for radiograph in radiographs)


@pytest.mark.shared
def test_two_files_that_differ_in_the_tag_alone_are_negatives(shared: Path):
    """The shared MONOCHROME1 file holds the MONOCHROME2 file's pixels under another tag."""
    plain = decode((shared / "data/dicom/txv_rsna_mono2.dcm").read_bytes())
    inverted = decode((shared / "data/dicom/txv_fake_mono1.dcm").read_bytes())

    assert np.array_equal(inverted.pixels, 255 - plain.pixels)
