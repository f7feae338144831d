"""Pictures in full resolution, fetched from the box piece by piece. Each is durable, so a broken line costs one piece.

Invariant: a picture is shown only once all its bytes are here and fit the hash that the box gave.
"""

import re
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

import sqlalchemy as sa

from doctor.database import Writing
from doctor.schema import chunk, image
from edge.errors import MessageError
from edge.wire.messages import Chunk

MAX_IMAGE_BYTES: Final = 64 * 1024 * 1024
"""No box may fill this machine's disk with one picture."""
MEDIA_TYPES: Final = frozenset({"image/png"})
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Image:
    """How far a picture has come.

    Attributes:
        media_type: Of the whole.
        total_bytes: Size of the whole.
        received_bytes: So much of it is here.
        verified: All of it is here and fits its hash.
    """

    media_type: str
    total_bytes: int
    received_bytes: int
    verified: bool


class WholeError(MessageError):
    """All pieces are here and do not make the picture that the box promised; they are thrown away."""


def progress(connection: sa.Connection, number: int) -> Image | None:
    """How far the picture of a report has come; None where nobody has asked, or nothing has come."""
    columns = (image.c.media_type, image.c.total_bytes, image.c.received_bytes, image.c.verified)
    row = connection.execute(sa.select(*columns).where(image.c.number == number)).one_or_none()
    return None if row is None else Image(*row)


def content(connection: sa.Connection, number: int) -> bytes | None:
    """The bytes of a verified picture, else None."""
    known = progress(connection, number)
    return _joined(connection, number) if known is not None and known.verified else None


def add_chunk(writing: Writing, number: int, piece: Chunk) -> Image:
    """Keep the next piece. One that is here already, or comes too early, changes nothing.

    A piece of another whole begins that one anew.

    Raises:
        MessageError: It is no piece of a picture that could be kept.
        WholeError: It was the last, and the whole does not fit its hash; nothing of it is kept.
    """
    _check(piece)
    connection, mine = writing.connection, image.c.number == number
    known = connection.execute(sa.select(image).where(mine)).one_or_none()
    if known is None or (known.sha256, known.total_bytes) != (piece.sha256, piece.total_bytes):
        forget(writing, number)
        whole = {"media_type": piece.media_type, "total_bytes": piece.total_bytes, "sha256": piece.sha256}
        connection.execute(image.insert().values(number=number, received_bytes=0, verified=False, **whole))
        received = 0
    else:
        received = known.received_bytes
    if piece.offset_bytes == received < piece.total_bytes:
        connection.execute(chunk.insert().values(number=number, offset_bytes=received, content=piece.content))
        received += len(piece.content)
        whole_fits = False
        if received == piece.total_bytes:
            whole_fits = sha256(_joined(connection, number)).hexdigest() == piece.sha256
        connection.execute(image.update().where(mine).values(received_bytes=received, verified=whole_fits))
        if received == piece.total_bytes and not whole_fits:
            forget(writing, number)
            raise WholeError("the picture that came does not fit the hash that the box gave; ask for it again")
    found = progress(connection, number)
    if found is None:
        raise RuntimeError("a picture that was just written is not there")
    return found


def forget(writing: Writing, number: int) -> None:
    """Throw away what is here of a picture."""
    writing.connection.execute(image.delete().where(image.c.number == number))


def _joined(connection: sa.Connection, number: int) -> bytes:
    query = sa.select(chunk.c.content).where(chunk.c.number == number).order_by(chunk.c.offset_bytes)
    return b"".join(connection.scalars(query))


def _check(piece: Chunk) -> None:
    if piece.media_type not in MEDIA_TYPES:
        raise MessageError(f"expected a picture of {', '.join(MEDIA_TYPES)}, got {piece.media_type[:40]!r}")
    if not 0 < piece.total_bytes <= MAX_IMAGE_BYTES:
        raise MessageError(f"expected a picture of at most {MAX_IMAGE_BYTES} bytes, got one of {piece.total_bytes}")
    if not _SHA256.fullmatch(piece.sha256):
        raise MessageError("expected the picture's SHA-256 as 64 hex digits")
    end = piece.offset_bytes + len(piece.content)
    if not (0 <= piece.offset_bytes < end <= piece.total_bytes):
        raise MessageError(f"expected a piece inside the picture, got bytes {piece.offset_bytes} to {end}")
