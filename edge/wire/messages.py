"""The wire: what each message says. Their topics are in `edge.wire.topics`; `docs/protocol.md` is the same in prose.

State is retained, events never are. Fields may be added freely, so unknown ones are ignored on reading; removing one
means schema 2. No field may hold anything that identifies a patient.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import Annotated, ClassVar, Final, Literal, TypeVar

import msgspec

from edge.errors import MessageError

NOTICE: Final = "Decision support for a doctor. Not a diagnosis."
"""Every surface that shows a finding shows this."""
MAX_REPORT_BYTES: Final = 8192
MAX_CHUNK_BYTES: Final = 64 * 1024
"""Of a picture's bytes in one response; in base64 and JSON still below the 128 KB at which some brokers cut off."""
MAX_PREVIEW_BYTES: Final = 120 * 1024
"""No preview is larger, whatever budget is configured, for the same reason."""
_ID: Final = re.compile(r"[0-9a-f]{32}")


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """What goes over the wire as one JSON document; `max_bytes` of it at most."""

    max_bytes: ClassVar[int] = MAX_REPORT_BYTES


class ModelIdentity(msgspec.Struct, frozen=True, kw_only=True):
    """Which model a finding comes from, and what is known of it.

    Attributes:
        id: Name and first digits of the hash.
        sha256: Of the model file.
        signed: Whether the bundle's signature was verified before the model was loaded.
        runtime: The interpreter that ran it.
        validated_on: What data its accuracy was measured on, with the accuracy.
        not_validated_on: What nobody has tried.
        allowed: Why somebody let it pass although it does not decide like the model it stands for; null where it does.
    """

    id: str
    sha256: str
    signed: bool
    runtime: str
    validated_on: str
    not_validated_on: str
    allowed: str | None = None


class Picture(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the picture itself, so that a reader can draw it and ask for all of it.

    Attributes:
        width_px: Of the decoded picture, turned upright.
        height_px: Likewise.
        preview_bytes: Size of the preview that follows under its own topic; 0 where none does.
        sha256: Of the file as it arrived, 64 hex digits, so that what two models say of one image can be compared, and
            an image that a model learned from is known again; null in reports of a box that does not tell.
    """

    width_px: int
    height_px: int
    preview_bytes: int = 0
    sha256: str | None = None


class Report(Message, frozen=True, kw_only=True):
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
        picture: The picture's size and that of its preview; null in reports of a box that sends no previews.
        patient: Token of the patient, which only the box can undo; null where the image named none.
        study: Token of the study the image belongs to, likewise.
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
    picture: Picture | None = None
    patient: str | None = None
    study: str | None = None
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


class Receipt(Message, frozen=True, kw_only=True):
    """The doctor's inbox has stored a report: from here on the box owes nothing.

    Attributes:
        id: The report's.
        stored_at: Aware UTC, the inbox's clock.
        preview: Whether the inbox has the report's preview, too.
        schema: `xray.receipt/1`.
    """

    id: str
    stored_at: datetime
    preview: bool = False
    schema: Literal["xray.receipt/1"] = "xray.receipt/1"


class Status(Message, frozen=True, kw_only=True):
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


class Health(Message, frozen=True, kw_only=True):
    """How a box is; retained, and published anew when something changes and every few minutes.

    Attributes:
        at: Aware UTC, the box's clock.
        clock_synced: Whether that clock is in step with a time server.
        owed: Reports the doctor's inbox has not confirmed.
        unanswered: Reports that it has, and nobody has answered for longer than the box is told to wait.
        quarantined: Files set aside that nobody has looked after.
        refusing: Why the box takes no new images, else null.
        disk_free_bytes: Where the outbox lies.
        temperature_c: Of the processor; null where the machine does not tell.
        uptime_s: Since the agent's start.
        version: The agent's.
        model: The model's id.
        schema: `xray.health/1`.
    """

    at: datetime
    clock_synced: bool
    owed: int
    unanswered: int
    quarantined: int
    disk_free_bytes: int
    uptime_s: float
    version: str
    model: str
    refusing: str | None = None
    temperature_c: float | None = None
    schema: Literal["xray.health/1"] = "xray.health/1"


class Review(Message, frozen=True, kw_only=True):
    """What the doctor did with a report; retained until the box has confirmed this revision or a later one.

    Attributes:
        id: The report's.
        revision: Grows from 1 with each review of the report; the highest stands.
        state: `opened` when somebody looks at it, `answered` when somebody has said what they see.
        at: Aware UTC, the inbox's clock.
        reader: Who, by the name they chose to be shown with.
        verdict: `agree` with the box's decision, `disagree`, or `cannot-judge`; null until answered.
        label: What the reader sees: a class of the model, or another word; null where they cannot judge.
        new_image: Whether the reader wants the picture taken again.
        call_back: Whether the clinic should call the reader at once.
        text: What the reader says in free text.
        schema: `xray.review/1`.
    """

    id: str
    revision: Annotated[int, msgspec.Meta(ge=1)]
    state: Literal["opened", "answered"]
    at: datetime
    reader: Annotated[str, msgspec.Meta(max_length=80)]
    verdict: Literal["agree", "disagree", "cannot-judge"] | None = None
    label: Annotated[str, msgspec.Meta(max_length=80)] | None = None
    new_image: bool = False
    call_back: bool = False
    text: Annotated[str, msgspec.Meta(max_length=1000)] = ""
    schema: Literal["xray.review/1"] = "xray.review/1"

    def __post_init__(self) -> None:
        """Refuse an answer that answers nothing, and an opening that already does."""
        if (self.state == "answered") != (self.verdict is not None):
            raise ValueError(f"a review that is {self.state!r} must have a verdict exactly if it is answered")


class Confirmation(Message, frozen=True, kw_only=True):
    """The box has stored a review; the inbox may take the retained one away.

    Attributes:
        id: The report's.
        revision: The highest the box has.
        schema: `xray.confirmation/1`.
    """

    id: str
    revision: int
    schema: Literal["xray.confirmation/1"] = "xray.confirmation/1"


class Request(Message, frozen=True, kw_only=True):
    """Something the box is asked to do; its topic says what: `image`, `resend`, `capture`, `self-test` or `restart`.

    Attributes:
        transaction: Chosen by whoever asks, echoed in the response; asking twice with the same one is harmless.
        id: The report that is meant, for `image` and `resend`.
        offset_bytes: `image`: where the wanted piece begins.
        size_bytes: `image`: how long the piece may be at most.
        schema: `xray.request/1`.
    """

    transaction: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    id: str | None = None
    offset_bytes: Annotated[int, msgspec.Meta(ge=0)] = 0
    size_bytes: Annotated[int, msgspec.Meta(ge=1, le=MAX_CHUNK_BYTES)] = MAX_CHUNK_BYTES // 2
    schema: Literal["xray.request/1"] = "xray.request/1"


class Chunk(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of a picture in full resolution, as a PNG that the box made of the pixels alone.

    Attributes:
        media_type: Of the whole.
        total_bytes: Size of the whole.
        sha256: Of the whole, 64 hex digits; pieces of different wholes do not belong together.
        offset_bytes: Where this piece begins.
        content: The piece; base64 in JSON.
    """

    media_type: str
    total_bytes: int
    sha256: str
    offset_bytes: int
    content: bytes


class Response(Message, frozen=True, kw_only=True):
    """What became of a request.

    Attributes:
        transaction: The request's.
        at: Aware UTC, the box's clock.
        error: Why it was not done, in a sentence; null where it was.
        chunk: `image`: the piece.
        result: `self-test`: each check's name to `ok`, `warn: ...`, `fail: ...` or `skipped: ...`; else null.
        schema: `xray.response/1`.
    """

    max_bytes: ClassVar[int] = MAX_CHUNK_BYTES * 4 // 3 + MAX_REPORT_BYTES

    transaction: str
    at: datetime
    error: str | None = None
    chunk: Chunk | None = None
    result: Mapping[str, str] | None = None
    schema: Literal["xray.response/1"] = "xray.response/1"


MESSAGES: Final = (Report, Receipt, Status, Health, Review, Confirmation, Request, Response)
"""Every kind of JSON message; `doctor` and integrators get a JSON Schema of each."""
MessageT = TypeVar("MessageT", bound=Message)


def encode(message: Message) -> bytes:
    """The message as JSON.

    Raises:
        MessageError: More bytes than a message of this kind may have.
    """
    payload = msgspec.json.encode(message)
    if len(payload) > message.max_bytes:
        kind = type(message).__name__.lower()
        raise MessageError(f"a {kind} must be at most {message.max_bytes} bytes, this one has {len(payload)}")
    return payload


def decode(payload: bytes, kind: type[MessageT]) -> MessageT:
    """Read a message.

    Raises:
        MessageError: Too large, not JSON, not of this schema, or a field of the wrong kind; the message names the path.
    """
    if len(payload) > kind.max_bytes:
        raise MessageError(f"expected at most {kind.max_bytes} bytes of {kind.__name__}, got {len(payload)}")
    try:
        return msgspec.json.decode(payload, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MessageError(f"expected a {kind.__name__} of schema 1: {error}") from error


def report_id(content_sha256: str, model_sha256: str) -> str:
    """The id of the report on one image by one model, 32 hex digits.

    The same image seen by a newer model is a new report; seen by the same model it is the same one.
    """
    return sha256(f"{content_sha256}:{model_sha256}".encode("ascii")).hexdigest()[:32]
