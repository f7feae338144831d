"""What becomes of one message from a box: what is stored, and what is said in return, in an open transaction.

Nothing that comes over the wire stops the inbox. What cannot be taken is counted and kept aside with its reason.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import msgspec
import sqlalchemy as sa

from doctor import clinics, rejected, reports, requests, reviews
from doctor.clinics import MAX_CARD_BYTES
from doctor.database import Writing
from doctor.rejected import Fault
from doctor.reports import HeatmapError
from edge.errors import MessageError
from edge.wire.messages import (
    MAX_PREVIEW_BYTES,
    Confirmation,
    Health,
    MessageT,
    Receipt,
    Report,
    Response,
    Status,
    decode,
    encode,
)
from edge.wire.topics import Kind, Topic

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """What is said in return, once the transaction has been committed."""

    topic: str
    payload: bytes
    retain: bool = False


class FaultyError(MessageError):
    """A message whose fault is known by name."""

    def __init__(self, fault: Fault, reason: str) -> None:
        super().__init__(reason)
        self.fault = fault


def take(writing: Writing, topic: str, payload: bytes, *, prefix: str) -> tuple[Outgoing, ...]:
    """Take one message."""
    try:
        parsed = _parse(topic, prefix)
        with writing.connection.begin_nested():  # what the database refuses takes no other message with it
            return _TAKERS[parsed.kind](writing, parsed, payload)
    except (MessageError, sa.exc.DataError) as error:
        fault = error.fault if isinstance(error, FaultyError) else Fault.SCHEMA
        log.warning("ignored a message under %s: %s", topic[:200], error)
        rejected.reject(writing, topic=topic, fault=fault, reason=str(error), payload=payload)
        return ()


def _parse(topic: str, prefix: str) -> Topic:
    try:
        parsed = Topic.parse(topic, prefix)
    except MessageError as error:
        raise FaultyError(Fault.TOPIC, str(error)) from error
    if parsed.kind not in _TAKERS:
        raise FaultyError(Fault.TOPIC, f"expected what a box says, got a {parsed.kind}")
    return parsed


def _take_report(writing: Writing, topic: Topic, payload: bytes) -> tuple[Outgoing, ...]:
    address, new = topic.address, _read(payload, Report)
    if (new.site, new.device, new.id) != (address.site, address.device, topic.of):
        raise FaultyError(
            Fault.IDENTITY, f"the report says it is {new.site}/{new.device} {new.id}, its topic says otherwise"
        )
    try:
        reports.check(new)
    except HeatmapError as error:
        raise FaultyError(Fault.HEATMAP, str(error)) from error
    stored = reports.add(writing, new)
    if (stored.report.decision, stored.report.model.sha256) != (new.decision, new.model.sha256):
        reason = f"the report was stored with {stored.report.decision!r}, and comes again with {new.decision!r}"
        log.warning("ignored another version of a report under %s: %s", address.report(new.id), reason)
        rejected.reject(
            writing, topic=address.report(new.id), fault=Fault.CONTRADICTION, reason=reason, payload=payload
        )
    return (_receipt(topic, stored),)


def _take_preview(writing: Writing, topic: Topic, payload: bytes) -> tuple[Outgoing, ...]:
    address = topic.address
    _refuse_more_than(MAX_PREVIEW_BYTES, payload)
    try:
        stored = reports.add_preview(writing, address.site, address.device, topic.of, payload)
    except MessageError as error:
        raise FaultyError(Fault.NOT_JPEG, str(error)) from error
    if stored is None:
        log.info("a preview came before its report, under %s; the box will send it again", address.preview(topic.of))
        return ()
    return (_receipt(topic, stored),)


def _take_confirmation(writing: Writing, topic: Topic, payload: bytes) -> tuple[Outgoing, ...]:
    address, confirmation = topic.address, _read(payload, Confirmation)
    if confirmation.id != topic.of:
        raise FaultyError(Fault.IDENTITY, f"a confirmation of {confirmation.id} came under the topic of {topic.of}")
    standing = reviews.confirm(writing, address.site, address.device, confirmation.id, confirmation.revision)
    if standing is None:
        raise FaultyError(Fault.UNASKED, f"revision {confirmation.revision} was confirmed, and nobody has made it")
    # An empty retained message takes the review away from the broker.
    return (Outgoing(address.review(topic.of), b"", retain=True),) if confirmation.revision == standing else ()


def _take_response(writing: Writing, topic: Topic, payload: bytes) -> tuple[Outgoing, ...]:
    response = _read(payload, Response)
    if not requests.answer(writing, topic.address.site, topic.address.device, topic.of, response):
        raise FaultyError(
            Fault.UNASKED, f"nobody has asked for transaction {response.transaction[:64]!r}, or not any more"
        )
    return ()


def _take_status(writing: Writing, topic: Topic, payload: bytes) -> tuple[Outgoing, ...]:
    clinics.set_status(writing, topic.address.site, topic.address.device, _read(payload, Status))
    return ()


def _take_health(writing: Writing, topic: Topic, payload: bytes) -> tuple[Outgoing, ...]:
    clinics.set_health(writing, topic.address.site, topic.address.device, _read(payload, Health))
    return ()


def _take_card(writing: Writing, topic: Topic, payload: bytes) -> tuple[Outgoing, ...]:
    _refuse_more_than(MAX_CARD_BYTES, payload)
    try:
        clinics.set_card(writing, topic.address.site, topic.address.device, payload)
    except MessageError as error:
        raise FaultyError(_fault_of(payload, error), str(error)) from error
    return ()


_TAKERS: Final[dict[Kind, Callable[[Writing, Topic, bytes], tuple[Outgoing, ...]]]] = {
    Kind.REPORT: _take_report,
    Kind.PREVIEW: _take_preview,
    Kind.CONFIRMATION: _take_confirmation,
    Kind.RESPONSE: _take_response,
    Kind.STATUS: _take_status,
    Kind.HEALTH: _take_health,
    Kind.CARD: _take_card,
}


def _receipt(topic: Topic, stored: reports.Stored) -> Outgoing:
    receipt = Receipt(id=stored.report.id, stored_at=stored.stored_at, preview=stored.has_preview)
    return Outgoing(topic.address.receipt(receipt.id), encode(receipt))


def _read(payload: bytes, kind: type[MessageT]) -> MessageT:
    _refuse_more_than(kind.max_bytes, payload)
    try:
        return decode(payload, kind)
    except MessageError as error:
        raise FaultyError(_fault_of(payload, error), str(error)) from error


def _refuse_more_than(max_bytes: int, payload: bytes) -> None:
    if len(payload) > max_bytes:
        raise FaultyError(Fault.TOO_LARGE, f"expected at most {max_bytes} bytes, got {len(payload)}")


def _fault_of(payload: bytes, error: MessageError) -> Fault:
    """What is wrong with JSON that is no message."""
    try:
        said = msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Fault.NOT_JSON
    schema = said.get("schema") if isinstance(said, dict) else None
    _, slash, version = str(schema).rpartition("/")
    if slash and version.isdecimal() and int(version) > 1:
        return Fault.NEWER_SCHEMA
    return Fault.HEATMAP if "heatmap" in str(error) else Fault.SCHEMA
