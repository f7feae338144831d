"""The values that stages of the pipeline hand on: Arrival, Capture, Radiograph, Prepared, Finding.

All are frozen and hold no open file, no connection and no clock. The last value, the report, is the wire's own type
and lives in `edge.wire.messages`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

INCONCLUSIVE: Final = "inconclusive"
"""Decision: the probability lies inside the band in which the model is not trusted."""
NOT_ASSESSABLE: Final = "not-assessable"
"""Decision: the box cannot assess this picture and says so instead of guessing."""


def sha256_of(content: bytes) -> str:
    """SHA-256, 64 hex digits: what names an image."""
    return sha256(content).hexdigest()


@dataclass(frozen=True, slots=True)
class Arrival:
    """A file that has arrived and is due, not yet read.

    Attributes:
        path: Where the file lies. Its name may hold a patient's: never logged, never sent.
        received_at: When the box found it, aware UTC.
        origin: Which intake delivered it: `folder`, `dicom`, `camera`, `http`, `command`.
        key: Hash that names this very file across restarts and renames; it reveals nothing of its name.
    """

    path: Path = field(repr=False)
    received_at: datetime
    origin: str
    key: str

    def __post_init__(self) -> None:
        """Refuse a naive time: order and age would depend on the box's time zone."""
        if self.received_at.tzinfo is None:
            raise ValueError(f"received_at must be an aware time, got {self.received_at!r}")


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom a DICOM image says it shows. It stays on the box; what leaves it are tokens that only the box can undo.

    Attributes:
        patient_id: PatientID (0010,0020), or None.
        issuer: IssuerOfPatientID (0010,0021), or None.
        study_uid: StudyInstanceUID (0020,000D), or None.
    """

    patient_id: str | None = field(repr=False)
    issuer: str | None = field(repr=False)
    study_uid: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Capture:
    """What was read of one file that arrived.

    Attributes:
        arrival: The file.
        sha256: Of its content, 64 hex digits: what names the image.
        identity: Whom it shows, where it is a DICOM image; on the box only.
    """

    arrival: Arrival
    sha256: str
    identity: Identity | None = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class Radiograph:
    """One decoded grayscale picture.

    Attributes:
        pixels: `(H, W) uint8`, 0 is black, air is dark and bone is bright.
        media_type: What the bytes were: `image/png`, `application/dicom`, ...
        source_mode: The source's pixel layout as its decoder names it: `L`, `RGB`, `I;16`, `MONOCHROME1`, ...
        source_width_px: Width before any reduction.
        source_height_px: Height before any reduction.
    """

    pixels: npt.NDArray[np.uint8]
    media_type: str
    source_mode: str
    source_width_px: int
    source_height_px: int

    def __post_init__(self) -> None:
        """Refuse anything that is not a two-dimensional uint8 picture, and make the pixels read-only."""
        if self.pixels.ndim != 2 or self.pixels.dtype != np.uint8 or self.pixels.size == 0:  # noqa: PLR2004
            raise ValueError(f"pixels must be (H, W) uint8 and not empty, got {self.pixels.shape} {self.pixels.dtype}")
        self.pixels.flags.writeable = False


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A radiograph as the network takes it, and how large it was before.

    Attributes:
        pixels: `(224, 224, 3) uint8, RGB, 0-255`.
        width_px: Of the decoded picture, upright.
        height_px: Likewise.
        source_width_px: Width before any reduction.
        source_height_px: Height before any reduction.
    """

    pixels: npt.NDArray[np.uint8]
    width_px: int
    height_px: int
    source_width_px: int
    source_height_px: int


@dataclass(frozen=True, slots=True, eq=False)
class Finding:
    """What the box says about one radiograph.

    Attributes:
        decision: One of the bundle's labels, or `inconclusive`, or `not-assessable`.
        probabilities: Label to probability, summing to 1; empty where the picture was not assessed.
        heatmap: `(7, 7) float32`, at least 0, where the network looked; None where the picture was not assessed.
        guard: Name to value of the picture statistics on which assessability was judged.
        reason: Why the picture was not assessed, else None.
        timings_ms: Stage to milliseconds.
    """

    decision: str
    probabilities: Mapping[str, float]
    heatmap: npt.NDArray[np.float32] | None
    guard: Mapping[str, float]
    reason: str | None
    timings_ms: Mapping[str, float]

    def __post_init__(self) -> None:
        """Refuse a finding that contradicts itself."""
        assessed = self.decision != NOT_ASSESSABLE
        if assessed != bool(self.probabilities) or assessed != (self.heatmap is not None):
            raise ValueError(f"{self.decision!r} must come with probabilities and a heatmap exactly if it was assessed")
        if assessed == (self.reason is not None):
            raise ValueError(f"{self.decision!r} must come with a reason exactly if it was not assessed")
