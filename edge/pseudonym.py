"""Tokens in the place of patient and study, the same for all their images from this box; only this box can undo them.

Invariant: what a token stands for is durable on this box before the token leaves it, and never leaves it itself. A
token is the beginning of HMAC-SHA256 (RFC 2104) under a key that was drawn here: without it nobody can try names until
one fits.
"""

import hmac
import os
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal
from uuid import uuid4

import msgspec

from edge.database import Database
from edge.durable import sync_folder
from edge.errors import ConfigError, unusable
from edge.study import Identity

KEY_NAME: Final = "pseudonym.key"
TABLE_NAME: Final = "pseudonyms.sqlite3"
Kind = Literal["p", "s"]
"""Patient or study."""

_KEY_BYTES: Final = 32
_TOKEN_DIGITS: Final = 16
_ATTRIBUTES: Final = {"p": ("PatientID", "IssuerOfPatientID"), "s": ("StudyInstanceUID",)}
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS pseudonym (
    token   TEXT PRIMARY KEY,
    meaning BLOB NOT NULL  -- the identifiers, a JSON list
) STRICT;
"""


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a report carries in an identity's place.

    Attributes:
        patient: `p-` and 16 hex digits; None where the image names no patient.
        study: `s-` and 16 hex digits, likewise.
    """

    patient: str | None = None
    study: str | None = None


class Pseudonyms(Database):
    """The box's key and its table of tokens.

    Args:
        state_dir: Where both lie, readable by this user alone.

    Raises:
        ConfigError: The key is none, or not this user's to read.
        DiskError: The disk is full or fails.
        DatabaseError: The table cannot be used.
    """

    def __init__(self, state_dir: Path) -> None:
        table = state_dir / TABLE_NAME
        try:
            state_dir.mkdir(parents=True, exist_ok=True)
            self._key = _key(state_dir / KEY_NAME)
            os.close(os.open(table, os.O_CREAT | os.O_RDWR, 0o600))
        except OSError as error:
            raise unusable(f"the pseudonyms in {state_dir}", error) from error
        super().__init__(table, schema=_SCHEMA, what="the table of pseudonyms", elsewhere="--state FOLDER")

    def tokens(self, identity: Identity | None) -> Tokens:
        """What stands for an identity, durable from here on.

        Raises:
            DatabaseError: The disk did not take it; no report must carry the tokens.
        """
        if identity is None:
            return Tokens()
        patient, study = identity.patient_id, identity.study_uid
        return Tokens(
            patient=None if patient is None else self.token("p", patient, identity.issuer or ""),
            study=None if study is None else self.token("s", study),
        )

    def token(self, kind: Kind, *identifiers: str) -> str:
        """The token of a patient (PatientID, IssuerOfPatientID) or a study (StudyInstanceUID)."""
        meaning = msgspec.json.encode(identifiers)
        digest = hmac.digest(self._key, kind.encode() + b":" + meaning, "sha256").hex()
        token = f"{kind}-{digest[:_TOKEN_DIGITS]}"
        if self.meaning(token) is None:  # asked first, because a write costs a sync to the disk
            self.execute("INSERT INTO pseudonym VALUES (?, ?) ON CONFLICT DO NOTHING", (token, meaning))
        return token

    def meaning(self, token: str) -> dict[str, str] | None:
        """DICOM keyword to value of what a token stands for; None where it is none of this box."""
        row = self.execute("SELECT meaning FROM pseudonym WHERE token = ?", (token,)).fetchone()
        if row is None:
            return None
        identifiers = msgspec.json.decode(row[0], type=list[str])
        return dict(zip(_ATTRIBUTES[token[0]], identifiers, strict=True))


def _key(path: Path) -> bytes:
    """Read the key, or draw one that is whole on the disk before it is used."""
    if not path.exists():
        partial = path.with_name(f".{path.name}.{uuid4().hex}.part")
        descriptor = os.open(partial, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(secrets.token_bytes(_KEY_BYTES))
                file.flush()
                os.fsync(file.fileno())
            with suppress(FileExistsError):  # another was faster: unlike a rename, a link leaves its key alone
                path.hardlink_to(partial)
        finally:
            partial.unlink()
        sync_folder(path.parent)
    key = path.read_bytes()
    if len(key) != _KEY_BYTES:
        raise ConfigError(f"the key of pseudonyms {path} must be {_KEY_BYTES} bytes, it has {len(key)}; put it back")
    return key
