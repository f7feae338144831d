"""Bytes -> Radiograph: PNG, JPEG, WebP, TIFF and DICOM, one still grayscale picture each.

First stage of the pipeline. Invariant: a picture's declared size is checked before its pixels exist, and whatever is
wrong with the bytes comes out as `UnreadableImageError` with a sentence for the person who dropped the file.
"""

import io
import warnings
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.ExifTags import Base

from edge.decoding.codestream import webp_size
from edge.decoding.pixels import MAX_PIXELS, TOO_MUCH_MEMORY, check_pixel_count, stretch
from edge.errors import UnreadableImageError
from edge.study import Identity, Radiograph

MAX_SIZE_BYTES: Final = 256 * 1024 * 1024
DRAFT_SIDE_PX: Final = 768
"""A JPEG whose sides are at least twice this is decoded at a half, a quarter or an eighth of its size."""
DECODING: Final = (
    "luma (ITU-R 601), transparency over black, turned as EXIF says, more than 8 bits stretched, "
    f"JPEG at a half, quarter or eighth while both sides keep {DRAFT_SIDE_PX} pixels, "
    "DICOM windowed, MONOCHROME1 and TIFFs whose zero is white inverted"
)
"""What `decode` does, in words; whoever keeps pixels names them after it and `edge.preprocess.PREPROCESSING`."""
SUFFIXES: Final = frozenset({".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".dcm"})
"""What a dataset's image files are called; decoding itself goes by the content."""

_PILLOW_FORMATS: Final = ("PNG", "JPEG", "WEBP", "TIFF")
_EXPECTED: Final = "expected one PNG, JPEG, WebP, TIFF or DICOM picture"
_DICOM_PREAMBLE_BYTES: Final = 128
_WHITE_IS_ZERO: Final = 0
"""TIFF 6.0, PhotometricInterpretation of a negative."""


def is_dicom(content: bytes) -> bool:
    """Say whether the bytes are a DICOM file by its prefix (PS3.10, 7.1)."""
    return content[_DICOM_PREAMBLE_BYTES : _DICOM_PREAMBLE_BYTES + 4] == b"DICM"


def decode(content: bytes) -> Radiograph:
    """Decode one picture to 8-bit grayscale: what `read` gives, without whom it shows.

    Raises:
        UnreadableImageError: The bytes are empty, cut short, too large, animated, or no picture of a known kind.
    """
    return read(content)[0]


def read(content: bytes, *, whole: bool = False) -> tuple[Radiograph, Identity | None]:
    """Decode one picture to 8-bit grayscale, and say whom it shows where it is DICOM.

    Colour is reduced to luma (ITU-R 601); transparency is laid over black; EXIF orientation is applied; more than 8
    bits are stretched linearly from the picture's own minimum and maximum to 0-255; a TIFF whose zero is white is
    inverted; large JPEGs are decoded at reduced scale, unless `whole` is set.

    Raises:
        UnreadableImageError: The bytes are empty, cut short, too large, animated, or no picture of a known kind.
    """
    if not content:
        raise UnreadableImageError(f"{_EXPECTED}, got an empty file; export the image again")
    if len(content) > MAX_SIZE_BYTES:
        raise UnreadableImageError(
            f"{_EXPECTED} of at most {MAX_SIZE_BYTES:,} bytes, got {len(content):,}; export it at a smaller size"
        )
    if is_dicom(content):
        return _read_dicom(content)
    return _decode_picture(content, whole=whole), None


def _read_dicom(content: bytes) -> tuple[Radiograph, Identity | None]:
    try:
        from edge.decoding import dicom  # noqa: PLC0415 - pydicom is optional and takes half a second to import
    except ModuleNotFoundError as error:
        if error.name != "pydicom":
            raise
        raise UnreadableImageError(
            "this is a DICOM file and pydicom is not installed; install it with: pip install 'edge-xray[dicom]'"
        ) from error
    return dicom.read(content)


def _decode_picture(content: bytes, *, whole: bool) -> Radiograph:
    if (size := webp_size(content)) is not None:
        check_pixel_count(*size)
    try:
        with warnings.catch_warnings():
            # Pillow warns above 89 million pixels; the limit that holds here is MAX_PIXELS, checked before decoding.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content), formats=_PILLOW_FORMATS) as picture:
                return _radiograph_of(picture, whole=whole)
    except UnreadableImageError:
        raise
    except UnidentifiedImageError as error:
        raise UnreadableImageError(
            f"{_EXPECTED}, got {len(content):,} bytes that are none of them; export the image again"
        ) from error
    except Image.DecompressionBombError as error:
        raise UnreadableImageError(
            f"expected at most {MAX_PIXELS:,} pixels, got far more; export it smaller"
        ) from error
    except MemoryError as error:
        raise UnreadableImageError(TOO_MUCH_MEMORY) from error
    except Exception as error:
        # Pillow's plugins raise OSError, SyntaxError, ValueError, struct.error, ... on damaged bytes.
        raise UnreadableImageError(
            f"{_EXPECTED}, got a damaged or incomplete one ({error}); copy or export the image again"
        ) from error


def _radiograph_of(picture: Image.Image, *, whole: bool) -> Radiograph:
    width_px, height_px = picture.size
    check_pixel_count(width_px, height_px)
    frames = getattr(picture, "n_frames", 1)
    if frames != 1 and picture.format != "MPO":  # an MPO's further frames are previews of the first
        raise UnreadableImageError(f"expected one still picture, got {frames} frames; export a single frame")
    mode, media_type = picture.mode, Image.MIME.get(str(picture.format), "image/jpeg")
    negative = _is_deep_negative(picture)
    if not whole:
        picture.draft("L", (DRAFT_SIDE_PX, DRAFT_SIDE_PX))  # only JPEG can; others ignore it
    pixels = _gray(ImageOps.exif_transpose(picture))
    return Radiograph(
        pixels=~pixels if negative else pixels,
        media_type=media_type,
        source_mode=mode,
        source_width_px=width_px,
        source_height_px=height_px,
    )


def _is_deep(picture: Image.Image) -> bool:
    return picture.mode in {"I", "F"} or picture.mode.startswith("I;16")


def _is_deep_negative(picture: Image.Image) -> bool:
    """Pillow inverts a TIFF whose zero is white where it has 8 bits, and not where it has more."""
    tagged = picture.format == "TIFF" and _is_deep(picture)
    return tagged and picture.getexif().get(Base.PhotometricInterpretation) == _WHITE_IS_ZERO


def _gray(picture: Image.Image) -> npt.NDArray[np.uint8]:
    """`(H, W) uint8` of any Pillow mode."""
    if _is_deep(picture):
        values = np.asarray(picture)
        if not np.isfinite(values).all():
            raise UnreadableImageError("expected finite pixel values, got NaN or infinity; export the image again")
        return stretch(values)
    if picture.has_transparency_data:
        layer = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", layer.size, (0, 0, 0, 255)), layer).convert("RGB")
    elif picture.mode == "P":
        picture = picture.convert("RGB")
    return np.array(picture.convert("L"))
