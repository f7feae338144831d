"""The wire: what report, receipt and status say, and under which topic. `docs/protocol.md` is the same in prose.

State is retained, events never are. Fields may be added freely, so unknown ones are ignored on reading; removing one
means schema 2. No field and no topic may hold anything that identifies a patient.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Final, Literal, Self, TypeVar

import msgspec

from edge.errors import ConfigError, MessageError

NOTICE: Final = "Decision support for a doctor. Not a diagnosis."
"""Every surface that shows a finding shows this."""
MAX_REPORT_BYTES: Final = 8192
VERSION: Final = "v1"

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_ID: Final = re.compile(r"[0-9a-f]{32}")


class ModelIdentity(msgspec.Struct, frozen=True, kw_only=True):
    """Which model a finding comes from, and what is known of it.

    Attributes:
        id: Name and first digits of the hash.
        sha256: Of the model file.
        signed: Whether the bundle's signature was verified before the model was loaded.
        runtime: The interpreter that ran it.
        validated_on: What data its accuracy was measured on, with the accuracy.
        not_validated_on: What nobody has tried.
    """

    id: str
    sha256: str
    signed: bool
    runtime: str
    validated_on: str
    not_validated_on: str


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The message about one radiograph; self-contained, at most 8 KB.

    Attributes:
        id: 32 hex digits of the content's and the model's hash: sending twice is harmless.
        site: The clinic.
        device: The box.
        received_at: When the box first read the image, aware UTC.
        clock_synced: Whether the box's clock was synchronised then; if not, trust `seq` for order and not the times.
        origin: How the image arrived: `folder`, `dicom`, `camera`, `http`.
        decision: A label, or `inconclusive`, or `not-assessable`.
        probabilities: Label to probability; empty where the picture was not assessed.
        positive: The label whose presence is looked for.
        threshold: The probability from which the positive label is decided.
        band: From the first probability of the positive label on, and below the second, the decision is `inconclusive`;
            equal where none is; null in reports of a box that knew no band.
        heatmap: Rows of numbers 0-1, peak 1, where the network looked; null where the picture was not assessed.
        guard: Picture statistics on which assessability was judged.
        reason: Why the picture was not assessed, else null.
        model: Which model.
        timings_ms: Stage to milliseconds.
        seq: The box's running number, from 1; set when the report enters the outbox.
        replayed: True where the box has sent this report before.
        notice: That this is no diagnosis.
        schema: `xray.report/1`.
    """

    id: str
    site: str
    device: str
    received_at: datetime
    clock_synced: bool
    origin: str
    decision: str
    probabilities: Mapping[str, float]
    positive: str
    threshold: float
    heatmap: tuple[tuple[float, ...], ...] | None
    guard: Mapping[str, float]
    reason: str | None
    model: ModelIdentity
    timings_ms: Mapping[str, float]
    band: tuple[float, float] | None = None
    seq: int = 0
    replayed: bool = False
    notice: str = NOTICE
    schema: Literal["xray.report/1"] = "xray.report/1"

    def __post_init__(self) -> None:
        """Refuse what a reader could not order, address or draw."""
        if self.received_at.tzinfo is None:
            raise ValueError("received_at must be an aware time")
        if not _ID.fullmatch(self.id):
            raise ValueError(f"id must be 32 hex digits, got {self.id[:40]!r}")
        if self.heatmap is not None and len({len(row) for row in self.heatmap}) != 1:
            raise ValueError("heatmap must have rows of one length")


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """The doctor's inbox has stored a report: from here on the box owes nothing.

    Attributes:
        id: The report's.
        stored_at: Aware UTC, the inbox's clock.
        schema: `xray.receipt/1`.
    """

    id: str
    stored_at: datetime
    schema: Literal["xray.receipt/1"] = "xray.receipt/1"


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a box is there; retained, and the connection's last will.

    Attributes:
        state: `online`, `stopped` (on purpose) or `offline` (the line broke; the broker says so).
        at: Aware UTC; null in a last will, which is written before its time is known.
        model: The model's id.
        schema: `xray.status/1`.
    """

    state: Literal["online", "stopped", "offline"]
    at: datetime | None
    model: str
    schema: Literal["xray.status/1"] = "xray.status/1"


Message = Report | Receipt | Status
MessageT = TypeVar("MessageT", Report, Receipt, Status)


def encode(message: Message) -> bytes:
    """The message as JSON.

    Raises:
        MessageError: A report of more than 8 KB.
    """
    payload = msgspec.json.encode(message)
    if isinstance(message, Report) and len(payload) > MAX_REPORT_BYTES:
        raise MessageError(f"a report must be at most {MAX_REPORT_BYTES} bytes, this one has {len(payload)}")
    return payload


def decode(payload: bytes, kind: type[MessageT]) -> MessageT:
    """Read a message.

    Raises:
        MessageError: Not JSON, not of this schema, or a field of the wrong kind; the message names the path.
    """
    if len(payload) > MAX_REPORT_BYTES:
        raise MessageError(f"expected at most {MAX_REPORT_BYTES} bytes of {kind.__name__}, got {len(payload)}")
    try:
        return msgspec.json.decode(payload, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MessageError(f"expected a {kind.__name__} of schema 1: {error}") from error


def report_id(content_sha256: str, model_sha256: str) -> str:
    """The id of the report on one image by one model, 32 hex digits.

    The same image seen by a newer model is a new report; seen by the same model it is the same one.
    """
    return sha256(f"{content_sha256}:{model_sha256}".encode("ascii")).hexdigest()[:32]


def check_name(what: str, name: str) -> str:
    """Return a site, device or prefix name that is safe in a topic.

    Raises:
        ConfigError: Other than 1 to 64 letters, digits, dots, dashes and underscores, or an odd first character.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"{what} must be 1 to 64 letters, digits, '.', '-' or '_', the first a letter or digit; got {name!r}"
        )
    return name


@dataclass(frozen=True, slots=True)
class Address:
    """Where a message belongs: one box's branch of the topic tree.

    Attributes:
        prefix: The tree's root, `xray` by default.
        site: The clinic.
        device: The box.
    """

    prefix: str
    site: str
    device: str

    def __post_init__(self) -> None:
        """Refuse names that would change the meaning of a topic."""
        for what, name in (("prefix", self.prefix), ("site", self.site), ("device", self.device)):
            check_name(what, name)

    @property
    def status(self) -> str:
        """Topic of the retained status."""
        return f"{self.prefix}/{VERSION}/{self.site}/{self.device}/status"

    def report(self, report: str) -> str:
        """Topic of one report."""
        return f"{self.prefix}/{VERSION}/{self.site}/{self.device}/report/{report}"

    def receipt(self, report: str) -> str:
        """Topic of one report's receipt; `+` for all of this box."""
        return f"{self.prefix}/{VERSION}/{self.site}/{self.device}/receipt/{report}"

    @classmethod
    def of_report(cls, topic: str, prefix: str) -> tuple[Self, str]:
        """Take a report's topic apart: whose it is, and the report's id.

        Raises:
            MessageError: Not a report's topic.
        """
        match topic.removeprefix(f"{prefix}/{VERSION}/").split("/"):
            case [site, device, "report", report] if topic.startswith(f"{prefix}/{VERSION}/"):
                try:
                    return cls(prefix, site, device), report
                except ConfigError as error:
                    raise MessageError(str(error)) from error
            case _:
                raise MessageError(f"expected a topic {all_reports(prefix)}, got {topic[:120]!r}")


def all_reports(prefix: str) -> str:
    """Topic filter of every box's reports."""
    return f"{prefix}/{VERSION}/+/+/report/+"
