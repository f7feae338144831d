"""Who saw and answered what: a log that only grows. Each entry's hash covers the one before it.

The database refuses to change or remove an entry. Who owns the database can lift that, so the chain shows it: change,
remove or insert an entry anywhere, and the hashes from there on no longer fit. Whoever rewrites the whole chain to its
end is found out only by a hash that was noted down elsewhere: `edge-doctor audit verify` prints it.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from doctor.database import Writing
from doctor.schema import audit, fact

_HEAD: Final = "audit_head"
_START: Final = sha256(b"edge-xray audit log").hexdigest()


class Deed(StrEnum):
    """What somebody did."""

    OPENED = "opened"
    """Looked at a report."""
    ANSWERED = "answered"
    """Said what they see."""
    ASKED = "asked"
    """Asked a box for something."""
    LOGGED_IN = "logged-in"
    REFUSED = "refused"
    """Was not let in."""
    LOGGED_OUT = "logged-out"
    ACCOUNT_ADDED = "account-added"
    ACCOUNT_DISABLED = "account-disabled"
    PASSWORD_CHANGED = "password-changed"  # noqa: S105 - a word, no secret
    EXPORTED = "exported"
    """Took data out of the store."""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One deed.

    Attributes:
        number: From 1, without a gap.
        at: Aware UTC, this machine's clock.
        account: Who, by the name they log in with.
        deed: What.
        subject: On what: `site/device/report`, or an account's name.
        detail: What else is worth knowing; nothing that names a patient.
        before: Hash of the entry before.
    """

    number: int
    at: datetime
    account: str
    deed: str
    subject: str
    detail: str
    before: str


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What `verify` found.

    Attributes:
        entries: How many fit.
        head: Hash of the last that fits.
        broken: Number of the first that does not, or None.
        reason: Why it does not, or empty.
    """

    entries: int
    head: str
    broken: int | None = None
    reason: str = ""


def append(writing: Writing, *, account: str, deed: Deed, subject: str, detail: str = "") -> None:
    """Add an entry in the transaction of the deed itself: neither stands without the other."""
    number, before = _head(writing.connection)
    entry = Entry(
        number=number + 1,
        at=datetime.now(UTC),
        account=account,
        deed=deed,
        subject=subject,
        detail=detail,
        before=before,
    )
    content = msgspec.json.encode(entry)
    digest = sha256(content).hexdigest()
    writing.connection.execute(audit.insert().values(number=entry.number, entry=content, sha256=digest))
    head = {"value": f"{entry.number} {digest}"}
    if number == 0:
        writing.connection.execute(fact.insert().values(name=_HEAD, **head))
    else:
        writing.connection.execute(fact.update().where(fact.c.name == _HEAD).values(head))


def entries(connection: sa.Connection, *, last: int | None = None) -> Iterator[Entry]:
    """The log in order; only the last so many where a number is given."""
    query = sa.select(audit.c.entry).order_by(audit.c.number)
    if last is not None:
        query = query.where(audit.c.number > _head(connection)[0] - last)
    with connection.execute(query, execution_options={"yield_per": 1000}) as rows:
        for row in rows:
            yield msgspec.json.decode(row.entry, type=Entry)


def verify(connection: sa.Connection, *, noted: str | None = None) -> Verdict:
    """Go through the whole chain; `noted` is a hash that was printed earlier and must still be in it."""
    fits, before, found = 0, _START, noted in {None, _START}
    with connection.execute(sa.select(audit).order_by(audit.c.number), execution_options={"yield_per": 1000}) as rows:
        for row in rows:
            reason = _fault(row, fits + 1, before)
            if reason:
                return Verdict(entries=fits, head=before, broken=fits + 1, reason=reason)
            fits, before, found = fits + 1, row.sha256, found or row.sha256 == noted
    if not found:
        return Verdict(entries=0, head=_START, broken=1, reason="no entry has the noted hash; the log was written anew")
    if (fits, before) != _head(connection):
        return Verdict(entries=fits, head=before, broken=fits + 1, reason="the log ends before its last entry")
    return Verdict(entries=fits, head=before)


def _fault(row: sa.Row[*tuple[Any, ...]], number: int, before: str) -> str:
    """Why a row does not continue the chain, or nothing."""
    if row.number != number:
        return f"it is missing; entry {row.number} follows"
    if not isinstance(row.entry, bytes) or sha256(row.entry).hexdigest() != row.sha256:
        return "it was changed after it was written"
    try:
        entry = msgspec.json.decode(row.entry, type=Entry)
    except msgspec.DecodeError as error:
        return f"it cannot be read: {error}"
    if (entry.number, entry.before) != (number, before):
        return "it does not follow the one before it"
    return ""


def _head(connection: sa.Connection) -> tuple[int, str]:
    """Number and hash of the last entry that was written."""
    value = connection.scalar(sa.select(fact.c.value).where(fact.c.name == _HEAD))
    if value is None:
        return 0, _START
    number, digest = value.split(" ")
    return int(number), digest
