"""What a compressed picture says of its own size, read before anything of it is unpacked. Pure functions.

A DICOM object declares its size twice: in its attributes, and in the codestream inside. A bomb lies in the second.
"""

import zlib
from typing import Final

from edge.decoding.pixels import check_pixel_count
from edge.errors import UnreadableImageError

_JPEG_2000: Final = b"\xff\x4f\xff\x51"
"""SOC and SIZ, which must come first (ISO/IEC 15444-1, A.5.1)."""
_JPEG: Final = b"\xff\xd8"
_FRAME_HEADERS: Final = frozenset({*range(0xC0, 0xD0), 0xF7}) - {0xC4, 0xC8, 0xCC}
"""SOF of JPEG (ITU-T T.81, B.1.1.3) and of JPEG-LS (T.87); the three left out are other things."""
_STANDALONE: Final = frozenset({0x01, *range(0xD0, 0xD9)})
_RLE_HEADER_BYTES: Final = 64
_PIECE_BYTES: Final = 1024 * 1024


def declared_size(frame: bytes) -> tuple[int, int] | None:
    """Width and height of a JPEG, JPEG-LS or JPEG 2000 codestream; None where its header does not tell."""
    if frame.startswith(_JPEG_2000):
        right, lower, left, upper = (int.from_bytes(frame[start : start + 4], "big") for start in (8, 12, 16, 20))
        return right - left, lower - upper
    if not frame.startswith(_JPEG):
        return None
    position = len(_JPEG)
    while position + 9 < len(frame):
        if frame[position] != 0xFF:  # noqa: PLR2004 - every marker begins so
            return None
        marker = frame[position + 1]
        if marker in _FRAME_HEADERS:
            height, width = (int.from_bytes(frame[position + at : position + at + 2], "big") for at in (5, 7))
            return width, height
        if marker == 0xFF:  # noqa: PLR2004 - padding before a marker
            position += 1
        elif marker in _STANDALONE:
            position += 2
        else:
            position += 2 + int.from_bytes(frame[position + 2 : position + 4], "big")
    return None


def check_codestream(frame: bytes, width_px: int, height_px: int) -> None:
    """Refuse a codestream that would unpack to another size than the object declares.

    Raises:
        UnreadableImageError: It would.
    """
    size = declared_size(frame)
    if size is None:
        raise UnreadableImageError(
            "expected a compressed picture that tells its size, got one without; send it again, uncompressed if the "
            "modality can"
        )
    check_pixel_count(*size)
    if size != (width_px, height_px):
        raise UnreadableImageError(
            f"expected a compressed picture of {width_px} x {height_px} pixels as declared, got one of "
            f"{size[0]} x {size[1]}; send it again"
        )


def check_rle(frame: bytes, plane_bytes: int) -> None:
    """Refuse an RLE frame (PS3.5, annex G) that would unpack to more than its planes hold.

    Args:
        frame: Header and segments.
        plane_bytes: Of one segment, unpacked.

    Raises:
        UnreadableImageError: It would.
    """
    offsets = [int.from_bytes(frame[start : start + 4], "little") for start in range(4, _RLE_HEADER_BYTES, 4)]
    starts = [offset for offset in offsets[: int.from_bytes(frame[:4], "little")] if offset]
    for start, end in zip(starts, [*starts[1:], len(frame)], strict=True):
        unpacked, position = 0, start
        while position < end - 1:
            control = frame[position]
            literal = control < 128  # noqa: PLR2004 - PS3.5, G.3.1
            unpacked += control + 1 if literal else (257 - control) % 129
            position += control + 2 if literal else 1 + (control != 128)  # noqa: PLR2004 - 128 stands for nothing
            if unpacked > plane_bytes + 1:  # one byte may pad it
                raise UnreadableImageError(
                    f"expected RLE data of {plane_bytes:,} bytes a plane, got more; send it again, uncompressed"
                )


def check_deflated(content: bytes, start: int, max_bytes: int) -> None:
    """Refuse deflated data that would inflate to more than may be.

    Args:
        content: Holds the data.
        start: Where it begins.
        max_bytes: Of it, inflated.

    Raises:
        UnreadableImageError: More.
    """
    inflater, inflated, rest = zlib.decompressobj(-zlib.MAX_WBITS), 0, content[start:]
    while rest and not inflater.eof:
        inflated += len(inflater.decompress(rest, _PIECE_BYTES))
        rest = inflater.unconsumed_tail
        if inflated > max_bytes:
            raise UnreadableImageError(
                f"expected a DICOM object of at most {max_bytes:,} bytes, got one that inflates to more; send it "
                "again, uncompressed if the modality can"
            )


def webp_size(content: bytes) -> tuple[int, int] | None:
    """Width and height of a WebP file's canvas; None where it is none. (RFC 9649, 2.5 to 2.7).

    Pillow sets the canvas aside when it opens the file, before anybody can ask for its size.
    """
    kind, data = content[12:16], content[20:30]
    if content[:4] != b"RIFF" or content[8:12] != b"WEBP" or len(data) < 10:  # noqa: PLR2004 - the longest of the three
        return None
    if kind == b"VP8X":
        return 1 + int.from_bytes(data[4:7], "little"), 1 + int.from_bytes(data[7:10], "little")
    if kind == b"VP8L":
        bits = int.from_bytes(data[1:5], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    return int.from_bytes(data[6:8], "little") & 0x3FFF, int.from_bytes(data[8:10], "little") & 0x3FFF
