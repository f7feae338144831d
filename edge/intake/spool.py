"""Where images that do not come as files wait: what DICOM, HTTP or the camera delivered, one folder for each origin.

Invariant: what `put` returned for survives a power cut, and the folder intake takes it from there. So durability is in
one place, whatever door an image came through.
"""

import errno
import shutil
from pathlib import Path
from typing import Final

from edge.durable import write_durably
from edge.errors import RetryError, unusable
from edge.study import sha256_of

ORIGINS: Final = ("dicom", "http", "camera")
SPOOL: Final = "spool"
RESERVE_BYTES: Final = 64 * 1024 * 1024
"""Left free on the disk: the outbox, which lies there too, needs it to say what becomes of the images at hand."""
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


class SpoolFullError(RetryError):
    """The disk takes no more images; the sender must keep this one and try again later."""


class Spool:
    """One origin's folder.

    Args:
        state_dir: The state folder, on a local disk; made if absent.
        origin: One of `ORIGINS`.

    Raises:
        ConfigError: The folder is not this user's to make.
        DiskError: The disk is full or fails.
    """

    def __init__(self, state_dir: Path, origin: str) -> None:
        if origin not in ORIGINS:
            raise ValueError(f"origin must be one of {', '.join(ORIGINS)}, got {origin!r}")
        self.origin: Final = origin
        self.folder: Final = state_dir / SPOOL / origin
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise unusable(f"the folder {self.folder}", error) from error

    def put(self, content: bytes, suffix: str) -> Path:
        """Make an image durable. Putting the same content again is harmless.

        Args:
            content: The file's bytes.
            suffix: Of its name, such as `.dcm`; the rest of the name is the content's hash and tells nothing.

        Raises:
            SpoolFullError: There is no room; nothing was kept.
            OSError: The disk failed otherwise.
        """
        path = self.folder / f"{sha256_of(content)[:32]}{suffix}"
        try:
            if shutil.disk_usage(self.folder).free < len(content) + RESERVE_BYTES:
                raise SpoolFullError(_no_room(len(content)))
            write_durably(path, content)
        except OSError as error:
            if error.errno in _FULL:
                raise SpoolFullError(_no_room(len(content))) from error
            raise
        return path


def _no_room(size_bytes: int) -> str:
    return (
        f"the disk has no room for an image of {size_bytes:,} bytes; free some, or lower archive.max_bytes, "
        "and send the image again"
    )
