"""What boxes are asked to do, until they have answered or it is too late.

A request is not retained at the broker, so it is sent again until an answer has come. Doing it twice is harmless: the
transaction stays the same, and a picture's pieces say where they belong.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

import msgspec
import sqlalchemy as sa

from doctor import audit, clinics, images
from doctor.accounts import Account
from doctor.audit import Deed
from doctor.database import Writing
from doctor.images import WholeError
from doctor.reviews import UnknownReportError
from doctor.schema import image, report, request
from edge.errors import MessageError
from edge.wire.messages import MAX_CHUNK_BYTES, Request, Response


class Command(StrEnum):
    """What a box can be asked."""

    IMAGE = "image"
    """The picture in full resolution."""
    RESEND = "resend"
    """The report and its preview again."""
    CAPTURE = "capture"
    """Take a picture with the camera."""
    SELF_TEST = "self-test"
    """Run its checks."""
    RESTART = "restart"
    """End and start again."""


PATIENCE: Final = {
    Command.IMAGE: timedelta(days=7),
    Command.RESEND: timedelta(days=7),
    Command.CAPTURE: timedelta(minutes=10),
    Command.SELF_TEST: timedelta(minutes=10),
    Command.RESTART: timedelta(minutes=10),
}
"""A box that comes back later than this must not do it any more: nobody restarts a box by a click of last week."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request.

    Attributes:
        transaction: Its name.
        site: The clinic.
        device: The box.
        command: What was asked.
        number: The report that is meant, or None.
        account: Who asked.
        asked_at: Aware UTC, this machine's clock.
        answered_at: When it was answered or given up, or None.
        error: Why it was not done, or None.
        result: Of a self-test: each check's outcome, or None.
    """

    transaction: str
    site: str
    device: str
    command: Command
    number: int | None
    account: str
    asked_at: datetime
    answered_at: datetime | None
    error: str | None
    result: Mapping[str, str] | None


@dataclass(frozen=True, slots=True)
class Owed:
    """A request that has not been answered, as it goes over the wire."""

    site: str
    device: str
    command: Command
    request: Request


def ask(writing: Writing, number: int, command: Command, account: Account) -> str:
    """Ask a report's box for something about it; asked again while unanswered it is the same request.

    Returns:
        The transaction.

    Raises:
        UnknownReportError: No report has this number.
    """
    box = writing.connection.execute(
        sa.select(report.c.site, report.c.device, report.c.id).where(report.c.number == number)
    ).one_or_none()
    if box is None:
        raise UnknownReportError(number)
    return _ask(writing, box.site, box.device, command, account, number=number, subject="/".join(box))


def ask_box(writing: Writing, site: str, device: str, command: Command, account: Account) -> str:
    """Ask a box for something; returns the transaction."""
    return _ask(writing, site, device, command, account, number=None, subject=f"{site}/{device}")


def _ask(
    writing: Writing, site: str, device: str, command: Command, account: Account, *, number: int | None, subject: str
) -> str:
    same = (
        (request.c.site == site)
        & (request.c.device == device)
        & (request.c.command == command)
        & (request.c.number.is_(None) if number is None else request.c.number == number)
    )
    query = sa.select(request.c.transaction).where(same, request.c.answered_at.is_(None))
    if (known := writing.connection.scalar(query)) is not None:
        return str(known)
    transaction = uuid.uuid4().hex
    values = {"site": site, "device": device, "command": command, "number": number, "account": account.name}
    writing.connection.execute(request.insert().values(transaction=transaction, asked_at=datetime.now(UTC), **values))
    audit.append(writing, account=account.name, deed=Deed.ASKED, subject=subject, detail=command)
    _tell(writing, site, device, number)
    return transaction


def owed(connection: sa.Connection) -> list[Owed]:
    """What has not been answered, the oldest first; of a picture the next piece."""
    query = (
        sa.select(request, report.c.id, image.c.received_bytes)
        .outerjoin(report, report.c.number == request.c.number)
        .outerjoin(image, image.c.number == request.c.number)
        .where(request.c.answered_at.is_(None))
        .order_by(request.c.asked_at)
    )
    return [
        Owed(
            row.site,
            row.device,
            Command(row.command),
            Request(
                transaction=row.transaction,
                id=row.id,
                offset_bytes=(row.received_bytes or 0) if row.command == Command.IMAGE else 0,
                size_bytes=MAX_CHUNK_BYTES // 2,
            ),
        )
        for row in connection.execute(query)
    ]


def give_up(writing: Writing, now: datetime) -> int:
    """Take back what has waited too long; returns how many."""
    given_up = 0
    for command, patience in PATIENCE.items():
        late = (request.c.command == command) & request.c.answered_at.is_(None) & (request.c.asked_at < now - patience)
        query = sa.select(request.c.transaction, request.c.site, request.c.device, request.c.number).where(late)
        for row in writing.connection.execute(query).all():
            _close(writing, row.transaction, error="the box did not answer in time; ask again if it is still wanted")
            _tell(writing, row.site, row.device, row.number)
            given_up += 1
    return given_up


def answer(writing: Writing, site: str, device: str, command: str, response: Response) -> bool:
    """Take a box's answer; False where nobody asked for it, or it was answered before.

    Raises:
        MessageError: It is no answer to what was asked.
    """
    row = writing.connection.execute(
        sa.select(request.c.number, request.c.command).where(
            request.c.transaction == response.transaction,
            request.c.site == site,
            request.c.device == device,
            request.c.command == command,
            request.c.answered_at.is_(None),
        )
    ).one_or_none()
    if row is None:
        return False
    if response.error is not None:
        _close(writing, response.transaction, error=response.error)
    elif row.command == Command.IMAGE:
        _take_piece(writing, row.number, response)
    else:
        result = None if response.result is None else msgspec.json.encode(response.result)
        _close(writing, response.transaction, result=result)
    _tell(writing, site, device, row.number)
    return True


def asked(connection: sa.Connection, *conditions: sa.ColumnElement[bool], limit: int) -> list[Asked]:
    """Requests that fulfil conditions, newest first."""
    query = sa.select(request).where(*conditions).order_by(request.c.asked_at.desc()).limit(limit)
    return [
        Asked(
            **row._asdict()
            | {
                "command": Command(row.command),
                "result": None if row.result is None else msgspec.json.decode(row.result, type=dict[str, str]),
            }
        )
        for row in connection.execute(query)
    ]


def _take_piece(writing: Writing, number: int, response: Response) -> None:
    if response.chunk is None:
        raise MessageError("expected a piece of a picture, or why there is none")
    try:
        if images.add_chunk(writing, number, response.chunk).verified:
            _close(writing, response.transaction)
    except WholeError as error:
        _close(writing, response.transaction, error=str(error))


def _close(writing: Writing, transaction: str, *, error: str | None = None, result: bytes | None = None) -> None:
    values = {
        "answered_at": datetime.now(UTC),
        "error": None if error is None else error.replace("\0", "\ufffd")[:500],
        "result": result,
    }
    writing.connection.execute(request.update().where(request.c.transaction == transaction).values(values))


def _tell(writing: Writing, site: str, device: str, number: int | None) -> None:
    """Let pages that follow along know."""
    if number is None:
        clinics.touch(writing, site, device)
    else:
        writing.connection.execute(report.update().where(report.c.number == number).values(changed=writing.tick))
