"""DICOM -> Radiograph, by pydicom. Called by `edge.decoding.decode` only, and imported only when a DICOM file comes.

The grayscale pipeline is the standard's (PS3.4, N.2): modality LUT, VOI LUT or window, then the presentation:
MONOCHROME1 is inverted last, because its small values are meant to be bright. Beside the attributes of the pixels only
those that tell whose picture it is are read; no value of any attribute becomes part of an error's text, because such
texts are logged.
"""

import io
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom import filereader
from pydicom.encaps import get_frame
from pydicom.pixels import apply_modality_lut, apply_voi_lut
from pydicom.uid import DeflatedExplicitVRLittleEndian, RLELossless

from edge.decoding.codestream import check_codestream, check_deflated, check_rle
from edge.decoding.pixels import MAX_PIXELS, TOO_MUCH_MEMORY, check_pixel_count, show, stretch
from edge.errors import UnreadableImageError
from edge.study import Identity, Radiograph

MAX_TAG_CHARACTERS: Final = 256
"""Of an identifier; PS3.5, 6.2 allows 64, and what is longer is no identifier."""
MAX_INFLATED_BYTES: Final = 2 * MAX_PIXELS + 16 * 1024 * 1024
"""Of a deflated object: pixels of 16 bits, and attributes."""
_TABLE_BYTES: Final = 2
"""Pixels of up to 16 bits have few enough levels to window each of them once."""
_PHOTOMETRIC: Final = ("MONOCHROME1", "MONOCHROME2")
_COLOUR: Final = frozenset({"RGB", "PALETTE COLOR", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT"})


def read(content: bytes) -> tuple[Radiograph, Identity]:
    """Decode the one frame of a grayscale DICOM object, and say whom it shows.

    Raises:
        UnreadableImageError: No image, several frames, colour, damaged, or a transfer syntax without a decoder.
    """
    try:
        _check_deflated(content)
        dataset = pydicom.dcmread(io.BytesIO(content))
        width_px, height_px = _checked_size(dataset)
        _check_compressed(dataset, width_px, height_px)
        values = dataset.pixel_array
        if values.dtype.itemsize <= _TABLE_BYTES:
            pixels = show(values, lambda levels: _windowed(levels, dataset))
        else:
            pixels = stretch(_windowed(values, dataset))
        identity = _identity(dataset)
    except UnreadableImageError:
        raise
    except MemoryError as error:
        raise UnreadableImageError(TOO_MUCH_MEMORY) from error
    except Exception as error:
        # pydicom raises more than a dozen kinds, RecursionError on deep nesting among them; all mean the same here.
        raise UnreadableImageError(
            f"expected a DICOM image, got one that cannot be decoded ({type(error).__name__}); "
            "send it again, uncompressed if the modality can"
        ) from error
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        pixels = np.uint8(255) - pixels
    radiograph = Radiograph(
        pixels=pixels,
        media_type="application/dicom",
        source_mode=str(dataset.PhotometricInterpretation),
        source_width_px=width_px,
        source_height_px=height_px,
    )
    return radiograph, identity


def _identity(dataset: pydicom.Dataset) -> Identity:
    def text(keyword: str) -> str | None:
        return str(dataset.get(keyword) or "")[:MAX_TAG_CHARACTERS].strip() or None

    return Identity(patient_id=text("PatientID"), issuer=text("IssuerOfPatientID"), study_uid=text("StudyInstanceUID"))


def _checked_size(dataset: pydicom.Dataset) -> tuple[int, int]:
    if "PixelData" not in dataset:
        raise UnreadableImageError(
            "expected a DICOM image, got a DICOM object without PixelData; send the image itself"
        )
    width_px, height_px = int(dataset.Columns), int(dataset.Rows)
    check_pixel_count(width_px, height_px)
    frames = int(dataset.get("NumberOfFrames") or 1)
    if frames != 1:
        raise UnreadableImageError(f"expected a single-frame DICOM image, got {frames} frames; send one radiograph")
    if dataset.PhotometricInterpretation not in _PHOTOMETRIC:
        got = str(dataset.PhotometricInterpretation)
        raise UnreadableImageError(
            f"expected {' or '.join(_PHOTOMETRIC)}, got {got if got in _COLOUR else 'something else'}; "
            "send the radiograph itself"
        )
    return width_px, height_px


def _windowed(values: npt.NDArray[Any], dataset: pydicom.Dataset) -> npt.NDArray[Any]:
    """Apply the modality LUT, then the first VOI LUT or window; without one values pass as they are (PS3.3, C.11)."""
    windowed: npt.NDArray[Any] = apply_voi_lut(apply_modality_lut(values, dataset), dataset, index=0)
    return windowed


def _check_deflated(content: bytes) -> None:
    stream = io.BytesIO(content)
    filereader.read_preamble(stream, force=False)
    # Exactly as pydicom reads it a moment later, so that both see the same transfer syntax.
    meta = filereader._read_file_meta_info(stream)  # noqa: SLF001
    if meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
        check_deflated(content, stream.tell(), MAX_INFLATED_BYTES)


def _check_compressed(dataset: pydicom.Dataset, width_px: int, height_px: int) -> None:
    syntax = dataset.file_meta.TransferSyntaxUID
    if not syntax.is_compressed or syntax == DeflatedExplicitVRLittleEndian:
        return
    frame = get_frame(dataset.PixelData, 0, number_of_frames=1)
    if syntax == RLELossless:
        check_rle(frame, width_px * height_px)
    else:
        check_codestream(frame, width_px, height_px)
