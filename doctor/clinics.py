"""The boxes as they last told: whether they are there, how they are, which model they run."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from doctor.database import Writing
from doctor.schema import clinic, report
from edge.errors import MessageError
from edge.wire.messages import Health, Status, encode

MAX_CARD_BYTES: Final = 64 * 1024
"""No card is larger."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clinic:
    """One box of a clinic.

    Attributes:
        site: The clinic.
        device: The box.
        state: `online`, `stopped` on purpose or `offline`; None while it has never said.
        since: Since when, aware UTC, this machine's clock.
        model: The model it runs.
        health: How it was when it last told.
        health_at: When it told, this machine's clock.
        card: What its model says of itself, as it came.
        card_at: When it told.
        waiting: Its reports that nobody has answered.
    """

    site: str
    device: str
    state: str | None
    since: datetime | None
    model: str | None
    health: Health | None
    health_at: datetime | None
    card: Mapping[str, Any] | None
    card_at: datetime | None
    waiting: int


def set_status(writing: Writing, site: str, device: str, status: Status) -> None:
    """Note whether a box is there; the time changes only with the state."""
    known = writing.connection.scalar(sa.select(clinic.c.state).where(*_is_box(site, device)))
    values: dict[str, object] = {"state": status.state, "model": _checked(status.model)}
    if known != status.state:
        values["since"] = datetime.now(UTC)
    _set(writing, site, device, values)


def set_health(writing: Writing, site: str, device: str, health: Health) -> None:
    """Note how a box is."""
    values = {"health": encode(health), "health_at": datetime.now(UTC), "model": _checked(health.model)}
    _set(writing, site, device, values)


def set_card(writing: Writing, site: str, device: str, card: bytes) -> None:
    """Note what a box's model says of itself.

    Raises:
        MessageError: It is no JSON object.
    """
    try:
        msgspec.json.decode(card, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MessageError(f"expected a card: {error}") from error
    _set(writing, site, device, {"card": card, "card_at": datetime.now(UTC)})


def clinics(connection: sa.Connection) -> list[Clinic]:
    """Every box that has ever said something of itself, by name."""
    waiting = (
        sa.select(report.c.site, report.c.device, sa.func.count().label("waiting"))
        .where(~report.c.answered)
        .group_by(report.c.site, report.c.device)
        .subquery()
    )
    query = (
        sa.select(clinic, waiting.c.waiting)
        .outerjoin(waiting, (waiting.c.site == clinic.c.site) & (waiting.c.device == clinic.c.device))
        .order_by(clinic.c.site, clinic.c.device)
    )
    return [
        Clinic(
            site=row.site,
            device=row.device,
            state=row.state,
            since=row.since,
            model=row.model,
            health=None if row.health is None else msgspec.json.decode(row.health, type=Health),
            health_at=row.health_at,
            card=None if row.card is None else msgspec.json.decode(row.card),
            card_at=row.card_at,
            waiting=row.waiting or 0,
        )
        for row in connection.execute(query)
    ]


def touch(writing: Writing, site: str, device: str) -> None:
    """Tell pages that follow along that something about a box has changed."""
    _set(writing, site, device, {})


def _set(writing: Writing, site: str, device: str, values: Mapping[str, object]) -> None:
    new = {**values, "changed": writing.tick}
    if writing.connection.execute(clinic.update().where(*_is_box(site, device)).values(new)).rowcount == 0:
        writing.connection.execute(clinic.insert().values(site=site, device=device, **new))


def _is_box(site: str, device: str) -> tuple[sa.ColumnElement[bool], ...]:
    return clinic.c.site == site, clinic.c.device == device


def _checked(model: str) -> str:
    longest = clinic.c.model.type.length  # type: ignore[attr-defined] # it is a text
    if len(model) > longest or "\0" in model:
        raise MessageError(f"expected a model's id of at most {longest} characters, got {model[:40]!r}")
    return model
