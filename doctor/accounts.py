"""Who may read and answer: accounts with a password each, and sessions that end by themselves.

Passwords are kept as argon2 hashes, and of a session only the hash of its token: whoever reads the database can log in
as nobody. Every attempt is counted before the password is looked at, so trying many at once gains nothing.
"""

import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cache
from hashlib import sha256
from typing import Any, Final

import argon2
import sqlalchemy as sa

from doctor import audit
from doctor.audit import Deed
from doctor.database import Database, Writing
from doctor.schema import account as table
from doctor.schema import session
from edge.errors import EdgeXrayError

CONSOLE: Final = "console"
"""In the audit log: whoever sits at the machine and uses the command line."""
MIN_PASSWORD: Final = 12
MAX_PASSWORD: Final = 200
SESSION_HOLDS: Final = timedelta(hours=12)
"""A shift; nobody stays signed in for ever on a computer that others use."""
FREE_FAILURES: Final = 5
"""Wrong passwords in a row before a name has to wait."""
FIRST_WAIT: Final = timedelta(seconds=15)
"""Doubled with each further failure."""
LONGEST_WAIT: Final = timedelta(minutes=15)
"""Not longer, or anybody could lock a doctor out for a day."""
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._@-]{0,63}")
_WRONG: Final = "Name or password is wrong."
_hasher: Final = argon2.PasswordHasher()


class Role(StrEnum):
    """What an account may do."""

    READER = "reader"
    """Read and answer reports."""
    ADMIN = "admin"
    """That, and see rejected messages, the audit log and accounts, and ask boxes to restart."""


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody who reads.

    Attributes:
        name: What they log in with; the audit log keeps it.
        reader: How the clinics see them.
        role: What they may do.
        disabled: Whether they may not come in any more.
    """

    name: str
    reader: str
    role: Role = Role.READER
    disabled: bool = False


class AccountError(EdgeXrayError):
    """What was asked of an account cannot be done; the message is for whoever asked."""


def add(database: Database, name: str, reader: str, role: Role, password: str, *, by: str) -> Account:
    """Make an account.

    Raises:
        AccountError: The name is taken, or name, reader or password are not what they must be.
    """
    name = name.strip().lower()
    if not _NAME.fullmatch(name) or name == CONSOLE:
        raise AccountError("A name is 1 to 64 letters a-z, digits, '.', '_', '@' or '-', the first a letter or digit.")
    reader = reader.strip()
    if not 0 < len(reader) <= table.c.reader.type.length or not reader.isprintable():  # type: ignore[attr-defined]
        raise AccountError("Say in 1 to 80 characters how the clinics should see you, for example: Dr. A. Reader.")
    hashed = _hashed(password)
    with database.writing() as writing:
        if _row(writing.connection, name) is not None:
            raise AccountError(f"There is an account {name!r} already; choose another name.")
        values = {"name": name, "reader": reader, "role": role, "password": hashed, "failures": 0}
        writing.connection.execute(table.insert().values(created_at=datetime.now(UTC), **values))
        audit.append(writing, account=by, deed=Deed.ACCOUNT_ADDED, subject=name, detail=f"{role}, shown as {reader}")
    return Account(name, reader, role)


def every(connection: sa.Connection) -> list[Account]:
    """All accounts by name, also those that are disabled."""
    return [_account(row) for row in connection.execute(sa.select(table).order_by(table.c.name))]


def disable(database: Database, name: str, *, by: str) -> None:
    """Let somebody in no more, from this moment on.

    Raises:
        AccountError: There is no such account, or it is the last admin.
    """
    with database.writing() as writing:
        account = _known(writing.connection, name)
        admins = (table.c.role == Role.ADMIN) & table.c.disabled_at.is_(None) & (table.c.name != account.name)
        if account.role is Role.ADMIN and not writing.connection.scalar(sa.select(sa.func.count()).where(admins)):
            raise AccountError(f"{account.name!r} is the last admin; make another account an admin's first.")
        _change(writing, account.name, disabled_at=datetime.now(UTC))
        _end_sessions(writing, account.name, keep="")
        audit.append(writing, account=by, deed=Deed.ACCOUNT_DISABLED, subject=account.name)


def set_password(database: Database, name: str, password: str, *, by: str, keep: str = "") -> None:
    """Give an account a new password; it is signed out everywhere but in the session whose token is kept.

    Raises:
        AccountError: There is no such account, or the password is too short or too long.
    """
    hashed = _hashed(password)
    with database.writing() as writing:
        account = _known(writing.connection, name)
        _change(writing, account.name, password=hashed, failures=0, blocked_until=None)
        _end_sessions(writing, account.name, keep=keep)
        audit.append(writing, account=by, deed=Deed.PASSWORD_CHANGED, subject=account.name)


def check_password(database: Database, name: str, password: str) -> Account:
    """Say whose name and password these are.

    Raises:
        AccountError: Nobody's, or the name has to wait after too many wrong ones.
    """
    name = name.strip().lower()
    with database.writing() as writing:
        row = _row(writing.connection, name) if _NAME.fullmatch(name) else None
        if row is not None:
            _count_attempt(writing, row)
    right = _is_right(_nobodys() if row is None else row.password, password)
    if row is None or row.disabled_at is not None or not right:
        if row is not None:
            with database.writing() as writing:
                audit.append(writing, account=name, deed=Deed.REFUSED, subject=name)
        raise AccountError(_WRONG)
    with database.writing() as writing:
        _change(writing, name, failures=0, blocked_until=None)
    return _account(row)


def log_in(database: Database, name: str, password: str) -> str:
    """Begin a session; returns its token, which is kept nowhere else.

    Raises:
        AccountError: See `check_password`.
    """
    account, token, now = check_password(database, name, password), secrets.token_urlsafe(32), datetime.now(UTC)
    with database.writing() as writing:
        writing.connection.execute(session.delete().where(session.c.expires_at < now))
        values = {"token_sha256": _digest(token), "account": account.name, "created_at": now}
        writing.connection.execute(session.insert().values(expires_at=now + SESSION_HOLDS, **values))
        audit.append(writing, account=account.name, deed=Deed.LOGGED_IN, subject=account.name)
    return token


def account_of(connection: sa.Connection, token: str) -> Account | None:
    """Whose session a token is, or None if it is nobody's or over."""
    query = sa.select(table).join(session, session.c.account == table.c.name)
    valid = (session.c.expires_at > datetime.now(UTC)) & table.c.disabled_at.is_(None)
    row = connection.execute(query.where(session.c.token_sha256 == _digest(token), valid)).one_or_none()
    return None if row is None else _account(row)


def log_out(writing: Writing, token: str) -> None:
    """End a session; ending it twice is harmless."""
    mine = session.c.token_sha256 == _digest(token)
    name = writing.connection.scalar(session.delete().where(mine).returning(session.c.account))
    if name is not None:
        audit.append(writing, account=name, deed=Deed.LOGGED_OUT, subject=name)


def _count_attempt(writing: Writing, row: sa.Row[*tuple[Any, ...]]) -> None:
    now = datetime.now(UTC)
    if row.blocked_until is not None and row.blocked_until > now:
        raise AccountError(f"Too many wrong passwords for this name. Try again after {row.blocked_until:%H:%M:%S} UTC.")
    failures, until = row.failures + 1, None
    if failures >= FREE_FAILURES:
        until = now + min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(failures - FREE_FAILURES, 30))
    _change(writing, row.name, failures=failures, blocked_until=until)


def _is_right(hashed: str, password: str) -> bool:
    try:
        return _hasher.verify(hashed, password[: MAX_PASSWORD + 1])
    except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError, UnicodeEncodeError):
        return False


def _hashed(password: str) -> str:
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise AccountError(
            f"A password has {MIN_PASSWORD} to {MAX_PASSWORD} characters; several words make a good one."
        )
    try:
        return _hasher.hash(password)
    except UnicodeEncodeError:
        raise AccountError("The password holds characters that are none.") from None


def _change(writing: Writing, name: str, **values: object) -> None:
    writing.connection.execute(table.update().where(table.c.name == name).values(**values))


def _end_sessions(writing: Writing, name: str, *, keep: str) -> None:
    others = (session.c.account == name) & (session.c.token_sha256 != _digest(keep))
    writing.connection.execute(session.delete().where(others))


def _known(connection: sa.Connection, name: str) -> Account:
    row = _row(connection, name.strip().lower())
    if row is None:
        raise AccountError(f"There is no account {name!r}.")
    return _account(row)


def _row(connection: sa.Connection, name: str) -> sa.Row[*tuple[Any, ...]] | None:
    return connection.execute(sa.select(table).where(table.c.name == name)).one_or_none()


def _account(row: sa.Row[*tuple[Any, ...]]) -> Account:
    return Account(row.name, row.reader, Role(row.role), row.disabled_at is not None)


def _digest(token: str) -> str:
    return sha256(token.encode("utf-8", "replace")).hexdigest()


@cache
def _nobodys() -> str:
    """A hash to check where there is no such account, so that the answer takes as long."""
    return _hasher.hash(secrets.token_urlsafe(32))
