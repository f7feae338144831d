"""Messages that could not be taken: counted, and the last of them kept aside for whoever looks after the line."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

import sqlalchemy as sa

from doctor.database import Writing
from doctor.schema import rejected, rejection

KEPT: Final = 1000
"""Of the last rejected messages; older ones are counted only."""
BEGINNING_BYTES: Final = 4096
"""So much of a message is kept."""


class Fault(StrEnum):
    """What was wrong with a message."""

    TOPIC = "topic"
    """It came under a topic that no box writes to."""
    TOO_LARGE = "too-large"
    """More bytes than a message of its kind may have."""
    NOT_JSON = "not-json"
    """Its bytes are no JSON."""
    NEWER_SCHEMA = "newer-schema"
    """It is of a schema that this version does not know."""
    SCHEMA = "schema"
    """A field is missing, or is not what it must be."""
    IDENTITY = "identity"
    """It says it is another box's or another report than its topic says."""
    HEATMAP = "heatmap"
    """Its heatmap cannot be laid over a picture."""
    NOT_JPEG = "not-jpeg"
    """A preview that is no picture."""
    CONTRADICTION = "contradiction"
    """A report came again and says otherwise."""
    UNASKED = "unasked"
    """It answers something that this inbox has not asked or said."""
    REPEATED = "repeated"
    """A report that is here already; harmless, counted and not kept aside."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """A message that was kept aside.

    Attributes:
        number: From 1.
        at: Aware UTC, this machine's clock.
        topic: Where it came, its beginning.
        fault: What was wrong.
        reason: The same in words.
        size_bytes: Of the whole message.
        beginning: Its first bytes; shown as text only, and escaped.
    """

    number: int
    at: datetime
    topic: str
    fault: Fault
    reason: str
    size_bytes: int
    beginning: bytes


def reject(writing: Writing, *, topic: str, fault: Fault, reason: str, payload: bytes) -> None:
    """Count a message and keep its beginning; the oldest beyond the last thousand goes."""
    count(writing, fault)
    values = {
        "at": datetime.now(UTC),
        "topic": _storable(topic)[:200],
        "fault": fault,
        "reason": _storable(reason)[:500],
        "size_bytes": len(payload),
        "beginning": payload[:BEGINNING_BYTES],
    }
    insert = rejected.insert().values(values).returning(rejected.c.number)
    number = writing.connection.execute(insert).scalar_one()
    writing.connection.execute(rejected.delete().where(rejected.c.number <= number - KEPT))


def count(writing: Writing, fault: Fault) -> None:
    """Count a message without keeping anything of it."""
    more = rejection.update().where(rejection.c.fault == fault).values(count=rejection.c.count + 1)
    if writing.connection.execute(more).rowcount == 0:
        writing.connection.execute(rejection.insert().values(fault=fault, count=1))


def newest(connection: sa.Connection, *, limit: int) -> list[Rejected]:
    """What was kept aside, newest first."""
    rows = connection.execute(sa.select(rejected).order_by(rejected.c.number.desc()).limit(limit))
    return [Rejected(**row._asdict() | {"fault": Fault(row.fault)}) for row in rows]


def counts(connection: sa.Connection) -> Mapping[Fault, int]:
    """How many there ever were, by fault; faults that never happened are left out."""
    return {Fault(row.fault): row[1] for row in connection.execute(sa.select(rejection.c.fault, rejection.c.count))}


def _storable(text: str) -> str:
    """PostgreSQL's texts hold no NUL."""
    return text.replace("\0", "\ufffd")
