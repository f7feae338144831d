"""A picture in full resolution, in pieces, of its pixels alone."""

import io
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edge.decoding.whole import decode_whole
from edge.delivery.full_image import KEPT, FullImages
from edge.delivery.requests import RefusedError
from edge.errors import UnreadableImageError
from edge.outbox.outbox import Outbox
from edge.wire.messages import Chunk, ModelIdentity, Picture, Report, Request

DECODE = partial(decode_whole, timeout_s=30, max_memory_bytes=512 * 1024 * 1024)


def a_report(number: int, digest: str) -> Report:
    """A report on a picture."""
    return Report(
        id=f"{number:032x}", site="clinic", device="box-1", received_at=datetime(2026, 1, 2, tzinfo=UTC),
        clock_synced=False, origin="folder", decision="covid", probabilities={"covid": 1.0}, positive="covid",
        threshold=0.5, heatmap=None, guard={}, reason=None, timings_ms={},
        model=ModelIdentity(
            id="m", sha256="0" * 64, signed=False, runtime="litert", validated_on="-", not_validated_on="-"
        ),
        picture=Picture(width_px=1, height_px=1, sha256=digest),
    )  # fmt: skip


@pytest.fixture
def film() -> bytes:
    """A large JPEG with a name in it."""
    gray = np.add.outer(np.arange(2000), np.arange(2400)).astype(np.uint8)
    exif = Image.Exif()
    exif[0x010E] = "Erika Mustermann"
    buffer = io.BytesIO()
    Image.fromarray(gray).save(buffer, "JPEG", quality=90, exif=exif, comment=b"Erika Mustermann")
    return buffer.getvalue()


@pytest.fixture
def outbox(tmp_path: Path, film: bytes):
    """An outbox with reports on the same film."""
    original = tmp_path / "Erika.jpg"
    original.write_bytes(film)
    with Outbox(tmp_path / "outbox.sqlite3") as outbox:
        for number in range(KEPT + 2):
            outbox.put(a_report(number, sha256(film).hexdigest()), place=original)
        yield outbox


def fetch(images: FullImages, outbox: Outbox, number: int = 0, size_bytes: int = 15_000) -> list[Chunk]:
    """All pieces, one after the other."""
    pieces: list[Chunk] = []
    while not pieces or pieces[-1].offset_bytes + len(pieces[-1].content) < pieces[-1].total_bytes:
        offset = sum(len(piece.content) for piece in pieces)
        request = Request(transaction="t", id=f"{number:032x}", offset_bytes=offset, size_bytes=size_bytes)
        pieces.append(images.piece(request, outbox).chunk)
    return pieces


def test_the_pieces_make_the_whole_picture_and_nothing_else(outbox: Outbox, tmp_path: Path):
    """In full size, although the box assessed a reduced one, and without a word of the original."""
    pieces = fetch(FullImages(tmp_path, DECODE, blank=()), outbox)

    whole = b"".join(piece.content for piece in pieces)
    assert {piece.sha256 for piece in pieces} == {sha256(whole).hexdigest()}
    assert {piece.total_bytes for piece in pieces} == {len(whole)}
    assert len(pieces) > 1
    assert b"Erika" not in whole
    with Image.open(io.BytesIO(whole)) as picture:
        assert (picture.format, picture.size, picture.info) == ("PNG", (2400, 2000), {})


def test_a_transfer_goes_on_after_a_restart_of_the_agent(outbox: Outbox, tmp_path: Path):
    """Also when the picture had to be made anew in between."""
    first = fetch(FullImages(tmp_path, DECODE, blank=()), outbox)
    (tmp_path / "fetched" / f"{0:032x}.png").unlink()

    again = fetch(FullImages(tmp_path, DECODE, blank=()), outbox)

    assert again == first


def test_few_pictures_are_kept(outbox: Outbox, tmp_path: Path):
    """Those asked for last."""
    images = FullImages(tmp_path, DECODE, blank=())
    for number in range(KEPT + 1):
        images.piece(Request(transaction="t", id=f"{number:032x}"), outbox)

    kept = {path.name for path in (tmp_path / "fetched").iterdir()}

    assert kept == {f"{number:032x}.png" for number in range(1, KEPT + 1)}


def test_blanked_regions_are_black(outbox: Outbox, tmp_path: Path):
    """As in the preview."""
    pieces = fetch(FullImages(tmp_path, DECODE, blank=[(0, 0, 1, 0.1)]), outbox)

    with Image.open(io.BytesIO(b"".join(piece.content for piece in pieces))) as picture:
        pixels = np.asarray(picture)
    assert pixels[:200].max() == 0
    assert pixels[200:].max() > 0


def test_what_cannot_be_sent_is_refused_with_a_sentence(outbox: Outbox, tmp_path: Path):
    """An unknown report, an original that is gone or is another one, an offset beyond the end."""
    images = FullImages(tmp_path, DECODE, blank=())
    with pytest.raises(RefusedError, match="no report ffff"):
        images.piece(Request(transaction="t", id="f" * 32), outbox)
    with pytest.raises(RefusedError, match="no report None"):
        images.piece(Request(transaction="t"), outbox)
    with pytest.raises(RefusedError, match="the piece would begin at"):
        images.piece(Request(transaction="t", id="0" * 32, offset_bytes=10**9), outbox)

    Image.new("L", (300, 300)).save(tmp_path / "Erika.jpg")
    with pytest.raises(RefusedError, match="ask the clinic"):
        images.piece(Request(transaction="t", id=f"{1:032x}"), outbox)
    (tmp_path / "Erika.jpg").unlink()
    with pytest.raises(RefusedError, match="ask the clinic"):
        images.piece(Request(transaction="t", id=f"{1:032x}"), outbox)


def test_a_file_that_cannot_be_decoded_ends_nothing(tmp_path: Path, film: bytes):
    """It is no picture, takes too long, or too much memory."""
    (tmp_path / "film.jpg").write_bytes(film)
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(UnreadableImageError, match="expected one PNG"):
        DECODE(tmp_path / "text.png")
    with pytest.raises(UnreadableImageError, match=r"more than 0\.01 s"):
        decode_whole(tmp_path / "film.jpg", timeout_s=0.01, max_memory_bytes=2**29)
