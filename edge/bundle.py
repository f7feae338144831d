"""The bundle: one file that holds all a box needs, `card.json` and `model.tflite` in a plain zip.

A bundle has exactly one valid byte sequence for a given card and model (stored, fixed order, fixed times). The reader
writes the same card and model again and compares, so a byte flipped, cut off, added or hidden anywhere is refused
before the model reaches an interpreter. `unzip -p BUNDLE card.json` reads the card with standard tools.
"""

import io
import os
import struct
import zipfile
import zlib
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from math import isfinite
from pathlib import Path
from typing import Any, Final

import msgspec

from edge.decide import Band
from edge.errors import BundleError, ConfigError
from edge.preprocess import PREPROCESSING, SIDE_PX

CARD_NAME: Final = "card.json"
MODEL_NAME: Final = "model.tflite"
CARD_SCHEMA: Final = "xray.card/1"
TRAINED_ON_DIGITS: Final = 12
"""Of an image's SHA-256 in the card: enough to know the image again."""
MAX_SIZE_BYTES: Final = 512 * 1024 * 1024

_ZIP_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
_LOCAL_HEADER_BYTES: Final = 30
_ZIP_ERRORS: Final = (  # what zipfile raises on damaged bytes
    zipfile.BadZipFile,
    struct.error,
    zlib.error,
    OSError,
    ValueError,
    NotImplementedError,
    RuntimeError,
    EOFError,
)


class Parity(msgspec.Struct, frozen=True, kw_only=True):
    """How the shipped int8 file compares with the models it stands for, on held-out images.

    Attributes:
        n: Number of held-out images.
        agreement: Share of decisions equal to the refitted model's (float head on the int8 backbone's features).
        max_probability_shift: Largest difference of a probability from the refitted model's.
        float_agreement: Share of decisions equal to the trainer's float model's.
        accuracy_drop: The trainer's float model's accuracy minus the shipped file's.
        auc_drop: The same for the area under the ROC curve.
    """

    n: int
    agreement: float
    max_probability_shift: float
    float_agreement: float
    accuracy_drop: float
    auc_drop: float


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """What the bundle says of itself.

    Attributes:
        name: The recipe's name.
        created_at: Aware UTC.
        model_sha256: Of `model.tflite`, 64 hex digits.
        labels: In the order of the model's logits.
        positive: The label whose presence is looked for; sensitivity speaks of it.
        threshold: The positive label is decided from this probability on, 0-1.
        temperature: The model's logits are divided by this before they become probabilities.
        band: From the first probability of the positive label on, and below the second, a picture is `inconclusive`;
            the two are equal where none is.
        backbone: Keras' name of the network.
        head: `paper` or `gap`.
        features: Height, width and channels of the last feature map.
        recipe: The training choices, as the trainer names them.
        metrics: Of the shipped int8 file on the held-out images.
        parity: Shipped file against refitted and float model; None only in a hand-made bundle.
        validated_on: What data `metrics` comes from.
        not_validated_on: What nobody has tried; shown wherever the accuracy is shown.
        licence: Of the weights, as far as the trainer was told.
        preprocessing: What `edge.preprocess` does to a radiograph before the model sees it.
        input_shape: Height, width and channels of the model's uint8 RGB input.
        trained_on: First digits of the SHA-256 of each image learned from, without separators, so that an evaluation
            can leave them out; last, because it is long.
    """

    name: str
    created_at: datetime
    model_sha256: str
    labels: tuple[str, ...]
    positive: str
    backbone: str
    head: str
    features: tuple[int, int, int]
    recipe: dict[str, Any]
    metrics: dict[str, Any]
    validated_on: str
    not_validated_on: str
    threshold: float = 0.5
    temperature: float = 1.0
    band: Band = (0.5, 0.5)
    parity: Parity | None = None
    licence: str = "not stated"
    preprocessing: str = PREPROCESSING
    input_shape: tuple[int, int, int] = (SIDE_PX, SIDE_PX, 3)
    schema: str = CARD_SCHEMA
    trained_on: str = ""

    def __post_init__(self) -> None:
        """Refuse a card that contradicts itself; msgspec turns this into an error of the decoder."""
        if len(self.labels) < 2 or len(set(self.labels)) != len(self.labels):  # noqa: PLR2004
            raise ValueError(f"labels must be two or more different names, got {self.labels!r}")
        if self.positive not in self.labels:
            raise ValueError(f"positive must be one of {self.labels!r}, got {self.positive!r}")
        if not 0 < self.threshold < 1:
            raise ValueError(f"threshold must lie between 0 and 1, got {self.threshold!r}")
        if not (self.temperature > 0 and isfinite(self.temperature)):
            raise ValueError(f"temperature must be above 0 and finite, got {self.temperature!r}")
        if not 0 <= self.band[0] <= self.threshold <= self.band[1] <= 1:
            raise ValueError(f"band must lie between 0 and 1 around the threshold, got {self.band!r}")
        if self.schema != CARD_SCHEMA:
            raise ValueError(f"schema must be {CARD_SCHEMA!r}, got {self.schema!r}; this version cannot read it")


@dataclass(frozen=True, slots=True)
class Bundle:
    """A card and the model it speaks of; `read_bundle` returns no other kind."""

    card: Card
    model: bytes = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse a model that is not the one the card was written for."""
        found = sha256(self.model).hexdigest()
        if found != self.card.model_sha256:
            raise BundleError(
                f"the card speaks of model {self.card.model_sha256[:12]}, the bundle holds {found[:12]}; copy it again"
            )

    @property
    def model_id(self) -> str:
        """Name and first 12 digits of the model's hash: `paper-mobilenet@1f2e3d4c5b6a`."""
        return f"{self.card.name}@{self.card.model_sha256[:12]}"


def read_bundle(path: Path) -> Bundle:
    """Read and verify a bundle.

    Raises:
        ConfigError: There is no such file.
        BundleError: The file is not byte for byte what the converter wrote, or its card is not one this version reads.
    """
    try:
        size_bytes = path.stat().st_size
        content = path.read_bytes() if size_bytes <= MAX_SIZE_BYTES and path.is_file() else b""
    except FileNotFoundError as error:
        raise ConfigError(
            f"expected a bundle at {path}, found nothing; make one with `edge-converter convert`"
        ) from error
    except OSError as error:
        raise ConfigError(f"expected a readable bundle at {path}: {error.strerror}; mind its owner and mode") from error
    if not content:
        raise BundleError(
            f"expected a bundle at {path}, a file of 1 to {MAX_SIZE_BYTES:,} bytes, got {size_bytes:,}; copy it again"
        )
    try:
        return unpack(content)
    except BundleError as error:
        raise BundleError(f"{path}: {error}") from error


def write_bundle(bundle: Bundle, path: Path) -> None:
    """Write a bundle so that the final name holds either all of it or nothing.

    Raises:
        BundleError: The name is taken, or the folder cannot be written.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with partial.open("xb") as file:
            file.write(pack(bundle))
            file.flush()
            os.fsync(file.fileno())
        os.link(partial, path)  # unlike a rename, a link never replaces what is there
    except FileExistsError as error:
        raise BundleError(f"{path} exists and is never overwritten; name another file or remove it") from error
    except OSError as error:
        raise BundleError(f"cannot write {path}: {error.strerror}; free some space or name another folder") from error
    finally:
        partial.unlink(missing_ok=True)


def pack(bundle: Bundle) -> bytes:
    """The one byte sequence of this bundle."""
    card = msgspec.json.format(msgspec.json.encode(bundle.card), indent=2)
    return _zip_of(card, bundle.model)


def unpack(content: bytes) -> Bundle:
    """Verify a bundle's bytes and take it apart.

    Raises:
        BundleError: Not a bundle, or not byte for byte what `pack` wrote.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
    except _ZIP_ERRORS as error:
        raise BundleError(f"the bundle is damaged ({error}); copy it again") from error
    names = [entry.filename for entry in entries]
    if names != [CARD_NAME, MODEL_NAME]:
        raise BundleError(f"expected {CARD_NAME} and {MODEL_NAME} in this order, got {names[:5]}; copy it again")
    card_json, model = (_stored_bytes(content, entry) for entry in entries)
    if _zip_of(card_json, model) != content:  # checks both entries' CRC on the way
        raise BundleError("the bundle is damaged: not byte for byte what the converter wrote; copy it again")
    try:
        card = msgspec.json.decode(card_json, type=Card)
    except msgspec.DecodeError as error:
        raise BundleError(f"{CARD_NAME} is not a card this version reads: {error}") from error
    return Bundle(card, model)


def _stored_bytes(content: bytes, entry: zipfile.ZipInfo) -> bytes:
    """What an uncompressed entry would hold if it were written as `_zip_of` writes it; the comparison tells."""
    start = entry.header_offset + _LOCAL_HEADER_BYTES + len(entry.filename)
    return content[start : start + entry.file_size]


def _zip_of(card_json: bytes, model: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in ((CARD_NAME, card_json), (MODEL_NAME, model)):
            entry = zipfile.ZipInfo(name, _ZIP_EPOCH)
            entry.create_system = 3  # Unix, wherever it is written
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)
    return buffer.getvalue()
