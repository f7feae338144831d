"""Files and pixels -> tables of plain figures: what an image tells about its origin before anybody looks at it.

Used by `audit.py`. File traits are read from the header alone, so no picture is decoded and no attribute of a
patient is read; exposure traits from the pixels that the network sees. Invariant: rows are in the order of the dataset.
"""

import io
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from edge.decoding.decode import is_dicom
from edge.errors import DataError
from edge.guard import BLACK, WHITE
from trainer.audit.occlude import FRAME_PX
from trainer.dataset import Dataset
from trainer.store import Rows

_BIT_DEPTHS: Final = {"1": 1, "I": 32, "F": 32, "I;16": 16, "I;16B": 16, "I;16L": 16, "I;16N": 16}
"""Of Pillow's modes; 8 bits per channel for all others."""
_PERCENTILES: Final = (1, 5, 25, 50, 75, 95, 99)
_BATCH: Final = 64
_ABSENT: Final = -1.0
_MISSING: Final = "none"

Trait = float | str | None
"""A figure, a word, or None where the kind of file has no such thing."""
Size = tuple[int, int]
"""Width and height in pixels."""


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Figures of all images.

    Attributes:
        names: Of the columns, for people.
        values: `(n, columns) float32`; words are numbered in alphabetical order, what is missing is -1.
        words: Column to the words behind its numbers; empty for a column of figures.
    """

    names: tuple[str, ...]
    values: npt.NDArray[np.float32]
    words: Mapping[str, tuple[str, ...]]

    def typical(self, column: int, chosen: npt.NDArray[np.bool_]) -> str:
        """The median of a figure, or the most frequent word, among some images, for people."""
        values = self.values[chosen, column]
        words = self.words[self.names[column]]
        if words:
            (number, count), *_ = Counter(values.tolist()).most_common(1)
            word = words[int(number)] if number >= 0 else _MISSING
            return word if count == len(values) else f"{word} ({count / len(values):.0%})"
        known = values[values != _ABSENT]
        return f"{np.median(known):.4g}" if len(known) else _MISSING


def file_traits(dataset: Dataset) -> Table:
    """Size, shape, format and packing of each file.

    Raises:
        DataError: A file has gone since it was decoded.
    """
    return _table([_of_file(dataset.root / item.file) for item in dataset.items])


def exposure_traits(pixels: Rows) -> Table:
    """Brightness and contrast of each picture, as a whole and in its frame.

    Args:
        pixels: `(n, 224, 224, 3) uint8`, gray repeated three times, 0-255.
    """
    films = (film for batch in pixels.batches(_BATCH) for film in batch[:, :, :, 0])
    return _table([_of_film(film) for film in films])


def _of_file(path: Path) -> dict[str, Trait]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}; leave the data alone while it is audited") from error
    (width_px, height_px), found = _of_dicom(content) if is_dicom(content) else _of_picture(content)
    return {
        "width, px": width_px,
        "height, px": height_px,
        "width / height": width_px / height_px,
        "bytes per pixel": len(content) / (width_px * height_px),
        **found,
    }


def _of_picture(content: bytes) -> tuple[Size, dict[str, Trait]]:
    """Size and header of a file that Pillow reads."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of size and of odd EXIF; decoding has accepted the file
        with Image.open(io.BytesIO(content)) as picture:
            tables: Mapping[int, Sequence[int]] = getattr(picture, "quantization", {})
            return picture.size, {
                "format": str(picture.format),
                "colour mode": picture.mode,
                "bits per channel": _BIT_DEPTHS.get(picture.mode, 8),
                "EXIF entries": len(picture.getexif()),
                "JPEG quantisation, mean": float(np.mean(tables[0])) if tables else None,
                "JPEG quantisation tables": len(tables) if tables else None,
                "progressive JPEG": float("progressive" in picture.info) if tables else None,
                "resolution, dpi": float(picture.info.get("dpi", (0, 0))[0]),
                "colour profile": float("icc_profile" in picture.info),
            }


def _of_dicom(content: bytes) -> tuple[Size, dict[str, Trait]]:
    """Size and header of a DICOM file; no attribute but these is read."""
    import pydicom  # noqa: PLC0415 - optional, and imported by `edge.decoding.decode` alike before this

    header: Any = pydicom.dcmread(
        io.BytesIO(content),
        stop_before_pixels=True,
        specific_tags=["Rows", "Columns", "BitsStored", "PhotometricInterpretation"],
    )
    return (int(header.Columns), int(header.Rows)), {
        "format": f"DICOM {header.file_meta.TransferSyntaxUID.name}",
        "colour mode": str(header.PhotometricInterpretation),
        "bits per channel": int(header.BitsStored),
    }


def _of_film(film: npt.NDArray[np.uint8]) -> dict[str, Trait]:
    """Exposure of one picture, `(224, 224) uint8`."""
    inner = film[FRAME_PX:-FRAME_PX, FRAME_PX:-FRAME_PX]
    levels = np.bincount(film.ravel(), minlength=256)
    frame = levels - np.bincount(inner.ravel(), minlength=256)  # how often each level occurs outside the inner part
    outside = film.size - inner.size
    return {
        "mean": float(film.mean()),
        "standard deviation": float(film.std()),
        **{f"percentile {p}": float(level) for p, level in zip(_PERCENTILES, _levels(levels), strict=True)},
        "share of black": float(levels[: BLACK + 1].sum() / film.size),
        "share of white": float(levels[WHITE:].sum() / film.size),
        "frame: mean": float(frame @ np.arange(256) / outside),
        "frame: share of black": float(frame[: BLACK + 1].sum() / outside),
        "frame: share of white": float(frame[WHITE:].sum() / outside),
        "frame less inside": float(frame @ np.arange(256) / outside - inner.mean()),
    }


def _levels(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The gray levels below which each of the percentiles lies."""
    return np.searchsorted(np.cumsum(counts), np.array(_PERCENTILES) / 100 * counts.sum())


def _table(rows: Sequence[Mapping[str, Trait]]) -> Table:
    names = tuple(dict.fromkeys(name for row in rows for name in row))
    columns = {name: [row.get(name) for row in rows] for name in names}
    words = {
        name: tuple(sorted({value for value in column if isinstance(value, str)})) for name, column in columns.items()
    }
    values = [[_number(value, words[name]) for value in column] for name, column in columns.items()]
    return Table(names, np.array(values, np.float32).T, words)


def _number(value: Trait, words: Sequence[str]) -> float:
    if value is None:
        return _ABSENT
    return float(words.index(value) if isinstance(value, str) else value)
