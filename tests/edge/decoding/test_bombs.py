"""Small files that would unpack to more than the memory there is are refused before a pixel of them exists."""

import io
import struct
import zlib
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEG2000Lossless, JPEGBaseline8Bit, RLELossless

from edge.decoding.attempts import Attempts
from edge.decoding.codestream import declared_size, webp_size
from edge.decoding.decode import decode
from edge.decoding.decoder import Decoder
from edge.errors import UnreadableImageError
from edge.study import Arrival

RAMP = np.linspace(0, 255, 120 * 100).reshape(120, 100).astype(np.uint8)
HUGE_PX = 16_000


def encoded(kind: str, picture: Image.Image | None = None, **options: object) -> bytes:
    """A small picture, or the one that is given, as the bytes of a file."""
    buffer = io.BytesIO()
    (picture or Image.fromarray(RAMP)).save(buffer, kind, **options)
    return buffer.getvalue()


def huge_jpeg() -> bytes:
    """A JPEG whose frame header lies."""
    content = encoded("JPEG")
    at = content.index(b"\xff\xc0") + 5
    return content[:at] + struct.pack(">HH", HUGE_PX, HUGE_PX) + content[at + 4 :]


def huge_webp(*, lossless: bool, extended: bool) -> bytes:
    """A WebP whose header lies, in each of the three places where it can."""
    content = bytearray(encoded("WEBP", lossless=lossless))
    if extended:
        canvas = (HUGE_PX - 1).to_bytes(3, "little")
        body = b"VP8X" + struct.pack("<I", 10) + bytes(4) + canvas * 2 + bytes(content[12:])
        return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body
    if lossless:
        content[21:25] = struct.pack("<I", (HUGE_PX - 1) | (HUGE_PX - 1) << 14)
    else:
        content[26:30] = struct.pack("<HH", HUGE_PX, HUGE_PX)
    return bytes(content)


def compressed(make_dicom, syntax: str, frame: bytes) -> bytes:
    """A DICOM file of 100 x 120 pixels with a codestream of its own mind."""
    dataset = pydicom.dcmread(io.BytesIO(make_dicom(RAMP)))
    dataset.PixelData = encapsulate([frame])
    dataset["PixelData"].VR = "OB"
    dataset.file_meta.TransferSyntaxUID = syntax
    buffer = io.BytesIO()
    dataset.save_as(buffer)
    return buffer.getvalue()


def huge_jpeg_2000() -> bytes:
    """A JPEG 2000 codestream whose SIZ lies."""
    content = encoded("JPEG2000", no_jp2=True)
    return content[:8] + struct.pack(">II", HUGE_PX, HUGE_PX) + content[16:]


def rle_bomb() -> bytes:
    """Eight megabytes that unpack to half a gigabyte."""
    return struct.pack("<16L", 1, 64, *[0] * 14) + b"\x81\x00" * (4 * 1024 * 1024)


def deflated_bomb(make_dicom) -> bytes:
    """A deflated object of half a gigabyte of zeros."""
    dataset = pydicom.dcmread(io.BytesIO(make_dicom(RAMP)))
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    buffer = io.BytesIO()
    dataset.save_as(buffer)
    meta_end = 132 + 12 + int.from_bytes(buffer.getvalue()[140:144], "little")  # PS3.10, 7.1: the group's length
    deflater = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    zeros = b"".join(deflater.compress(bytes(1024 * 1024)) for _ in range(512)) + deflater.flush()
    return buffer.getvalue()[:meta_end] + zeros


BOMBS = {
    "png": (lambda _: encoded("PNG", Image.new("1", (HUGE_PX, HUGE_PX))), "at most 100,000,000 pixels"),
    "tiff": (
        lambda _: encoded("TIFF", Image.new("1", (HUGE_PX, HUGE_PX)), compression="group4"),
        "at most 100,000,000 pixels",
    ),
    "jpeg": (lambda _: huge_jpeg(), "at most 100,000,000 pixels"),
    "webp": (lambda _: huge_webp(lossless=False, extended=False), "at most 100,000,000 pixels"),
    "webp lossless": (lambda _: huge_webp(lossless=True, extended=False), "at most 100,000,000 pixels"),
    "webp extended": (lambda _: huge_webp(lossless=False, extended=True), "at most 100,000,000 pixels"),
    "dicom jpeg": (lambda make: compressed(make, JPEGBaseline8Bit, huge_jpeg()), "at most 100,000,000 pixels"),
    "dicom jpeg 2000": (lambda make: compressed(make, JPEG2000Lossless, huge_jpeg_2000()), "at most 100,000,000"),
    "dicom rle": (lambda make: compressed(make, RLELossless, rle_bomb()), "RLE data of 12,000 bytes a plane, got more"),
    "dicom deflated": (deflated_bomb, "inflates to more"),
}


@pytest.fixture(scope="module")
def small_decoder(tmp_path_factory: pytest.TempPathFactory):
    """A child that may use 192 MiB: far less than any of these pictures would take."""
    with (
        Attempts(tmp_path_factory.mktemp("state")) as attempts,
        Decoder(attempts, timeout_s=20, max_memory_bytes=192 * 1024 * 1024) as decoder,
    ):
        yield decoder


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_for_its_size_and_not_for_want_of_memory(
    make_dicom, small_decoder, tmp_path: Path, name: str
):
    """The reason is what it declares; the child lives on."""
    make, complaint = BOMBS[name]
    path = tmp_path / "bomb"
    path.write_bytes(make(make_dicom))
    before = small_decoder._child.pid

    with pytest.raises(UnreadableImageError, match=complaint):
        small_decoder.start(Arrival(path, datetime.now(UTC), "folder", f"{name!s:.32}".replace(" ", "-"))).result()

    assert small_decoder._child.pid == before


@pytest.mark.parametrize(
    ("kind", "options"), [("JPEG", {}), ("JPEG", {"progressive": True}), ("JPEG2000", {"no_jp2": True})]
)
def test_the_declared_size_is_read_off_a_codestream(kind: str, options: dict[str, object]):
    """Behind whatever segments come first."""
    assert declared_size(encoded(kind, **options)) == (100, 120)


@pytest.mark.parametrize("options", [{"lossless": True}, {"lossless": False}, {"lossless": True, "exif": b"Exif\0\0"}])
def test_the_canvas_is_read_off_a_webp(options: dict[str, object]):
    """Lossy, lossless and extended."""
    assert webp_size(encoded("WEBP", **options)) == (100, 120)


@pytest.mark.parametrize("content", [b"", b"\xff\xd8", b"\xff\xd8\xff\xe0\x00\x02junk-and-more", b"RIFF????WEBPVP8 "])
def test_what_does_not_tell_its_size_is_not_guessed_at(content: bytes):
    """No size, no picture."""
    assert declared_size(content) is None
    assert webp_size(content) is None


def test_a_codestream_of_another_size_than_declared_is_refused(make_dicom):
    """A small lie is a lie, too."""
    other = encoded("JPEG", Image.new("L", (64, 64)))

    with pytest.raises(UnreadableImageError, match="of 100 x 120 pixels as declared, got one of 64 x 64"):
        decode(compressed(make_dicom, JPEGBaseline8Bit, other))


def test_deep_nesting_is_refused(make_dicom):
    """Sequences within sequences, a few thousand deep."""
    dataset = pydicom.dcmread(io.BytesIO(make_dicom(RAMP)))
    item = b""
    for _ in range(3000):
        inner = b"\xfe\xff\x00\xe0" + struct.pack("<L", len(item)) + item
        item = b"\x40\x00\x30\xa7SQ\x00\x00" + struct.pack("<L", len(inner)) + inner
    buffer = io.BytesIO()
    dataset.save_as(buffer)
    content = buffer.getvalue()
    at = content.index(b"\x28\x00\x02\x00US")

    try:
        assert decode(content[:at] + item + content[at:]).pixels.shape == RAMP.shape
    except UnreadableImageError as error:
        assert "cannot be decoded (RecursionError)" in str(error)  # noqa: PT017 - either outcome is safe
