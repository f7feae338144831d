"""The bundle: one file that holds all a box needs, as entries of a plain zip, in this order.

    card.json       what the bundle says of itself
    model.tflite    the network
    golden.json     inputs with the answers the converter saw (`edge.golden`); older bundles have none
    guard.json      what the guard needs to know a picture like those learned from; older bundles have none
    signature.json  over all entries before it; missing where nobody signed

A bundle has exactly one valid byte sequence for given entries (`edge.bundle.canonical_zip`), so a byte flipped, cut
off, added or hidden anywhere is refused. A box reads it with a `Trust`: then the signature is verified before the card
is believed and before the model can reach an interpreter. `unzip -p BUNDLE card.json` reads the card with standard
tools.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from math import isfinite
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec

from edge.bundle.canonical_zip import pack_entries, unpack_entries
from edge.bundle.signature import Signature, Trust
from edge.decide import Band
from edge.errors import BundleError, ConfigError
from edge.preprocess import PREPROCESSING, SIDE_PX

CARD_NAME: Final = "card.json"
MODEL_NAME: Final = "model.tflite"
GOLDEN_NAME: Final = "golden.json"
GUARD_NAME: Final = "guard.json"
SIGNATURE_NAME: Final = "signature.json"
CARD_SCHEMA: Final = "xray.card/1"
TRAINED_ON_DIGITS: Final = 12
"""Of an image's SHA-256 in the card: enough to know the image again."""
DECILES: Final = 11
"""Values of a guard score in the card's reference: its least, its greatest, and those between at each tenth."""
MAX_SIZE_BYTES: Final = 512 * 1024 * 1024
MAX_ALLOWED_CHARACTERS: Final = 200
"""Of the reason to let a model pass that exceeds the converter's budget: every report carries it."""

_REQUIRED: Final = (CARD_NAME, MODEL_NAME)
_OPTIONAL: Final = (GOLDEN_NAME, GUARD_NAME, SIGNATURE_NAME)


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
        version: Grows from bundle to bundle of the same name, so that a box can refuse to go back; 0 in old bundles.
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
        ahead_cells: How far below and to the right of its cell's middle lies what a feature describes, as a share of a
            cell, 0-1; a heatmap is laid over the picture accordingly. 0 in old bundles.
        recipe: The training choices, as the trainer names them.
        metrics: Of the shipped int8 file on the held-out images.
        parity: Shipped file against refitted and float model; None only in a hand-made bundle.
        allowed: Why somebody let it pass although `parity` is beyond the converter's budget; None where it is within.
        validated_on: What data `metrics` comes from.
        not_validated_on: What nobody has tried; shown wherever the accuracy is shown.
        licence: Of the weights, as far as the trainer was told.
        operators: The model's operators, each with the highest version it is used in.
        oldest_runtime: First version of TensorFlow Lite that knows them all; empty in old bundles.
        preprocessing: What `edge.preprocess` does to a radiograph before the model sees it.
        input_shape: Height, width and channels of the model's uint8 RGB input.
        reference: Name of a guard score to its deciles on the images learned from: 0, 10, ... 100%, eleven values. What
            a clinic sends later is held against them.
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
    allowed: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_ALLOWED_CHARACTERS)] | None = None
    version: Annotated[int, msgspec.Meta(ge=0)] = 0
    licence: str = "not stated"
    ahead_cells: Annotated[float, msgspec.Meta(ge=0, lt=1)] = 0.0
    operators: dict[str, int] = {}
    oldest_runtime: str = ""
    preprocessing: str = PREPROCESSING
    input_shape: tuple[int, int, int] = (SIDE_PX, SIDE_PX, 3)
    schema: str = CARD_SCHEMA
    reference: dict[str, tuple[float, ...]] = {}
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
        for name, values in self.reference.items():
            if len(values) != DECILES or list(values) != sorted(values):
                raise ValueError(f"reference must hold {DECILES} rising values of {name!r}, got {values!r}")
        if self.schema != CARD_SCHEMA:
            raise ValueError(f"schema must be {CARD_SCHEMA!r}, got {self.schema!r}; this version cannot read it")

    def to_show(self) -> bytes:
        """As JSON for the doctor's end, without the hashes of training images, which are long and help nobody there."""
        return msgspec.json.encode(msgspec.structs.replace(self, trained_on=""))


@dataclass(frozen=True, slots=True)
class Bundle:
    """A card and the model it speaks of; `read_bundle` returns no other kind.

    Attributes:
        card: What the bundle says of itself.
        model: Content of the `.tflite`.
        golden: Inputs with the answers that the converter saw, for `edge.golden`; None in older bundles.
        guard: The guard's parameters, for `edge.guard`; None in older bundles.
        signature: As it stands in the file, believed or not.
        signer: Fingerprint of the trusted key whose signature was found to fit; None where nobody trusted vouches.
    """

    card: Card
    model: bytes = field(repr=False)
    golden: bytes | None = field(default=None, repr=False, kw_only=True)
    guard: bytes | None = field(default=None, repr=False, kw_only=True)
    signature: Signature | None = None
    signer: str | None = None

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


def read_bundle(path: Path, trust: Trust | None = None) -> Bundle:
    """Read and verify a bundle.

    Args:
        path: The file.
        trust: Whose bundles are run here. None leaves the signature alone, for programs that only measure a bundle.

    Raises:
        ConfigError: There is no such file, or nobody said whom to trust.
        BundleError: The file is not byte for byte what the converter wrote, nobody trusted signed it, or its card is
            not one this version reads.
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
        return unpack(content, trust)
    except (BundleError, ConfigError) as error:
        raise type(error)(f"{path}: {error}") from error


def write_bundle(bundle: Bundle, path: Path) -> None:
    """Write a bundle so that the final name holds either all of it or nothing.

    Raises:
        BundleError: The name is taken, or the folder cannot be written.
    """
    write_new(pack(bundle), path)


def write_new(content: bytes, path: Path) -> None:
    """Write a file that was not there, so that its name holds either all of it or nothing.

    Raises:
        BundleError: The name is taken, or the folder cannot be written.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with partial.open("xb") as file:
            file.write(content)
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
    entries = signed_entries(bundle)
    if bundle.signature is not None:
        entries[SIGNATURE_NAME] = bundle.signature.to_json()
    return pack_entries(entries)


def signed_entries(bundle: Bundle) -> dict[str, bytes]:
    """The entries that a signature speaks of."""
    card_json = msgspec.json.format(msgspec.json.encode(bundle.card), indent=2)
    optional = {GOLDEN_NAME: bundle.golden, GUARD_NAME: bundle.guard}
    present = {name: content for name, content in optional.items() if content is not None}
    return {CARD_NAME: card_json, MODEL_NAME: bundle.model, **present}


def unpack(content: bytes, trust: Trust | None = None) -> Bundle:
    """Verify a bundle's bytes, then its signature, and only then take it apart.

    Raises:
        ConfigError: Nobody said whom to trust.
        BundleError: Not a bundle, not byte for byte what `pack` wrote, or signed by nobody trusted.
    """
    entries = unpack_entries(content, required=_REQUIRED, optional=_OPTIONAL)
    signature = Signature.from_json(entries.pop(SIGNATURE_NAME)) if SIGNATURE_NAME in entries else None
    signer = None if trust is None else trust.signer(entries, signature)
    return Bundle(
        _card_of(entries),
        entries[MODEL_NAME],
        signature,
        golden=entries.get(GOLDEN_NAME),
        guard=entries.get(GUARD_NAME),
        signer=None if signer is None else signer.fingerprint,
    )


def _card_of(entries: Mapping[str, bytes]) -> Card:
    try:
        return msgspec.json.decode(entries[CARD_NAME], type=Card)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BundleError(f"{CARD_NAME} is not a card this version reads: {error}") from error
