"""A file that is whole or not there, whatever is cut off when: written beside, synced, renamed into place."""

import os
from pathlib import Path
from uuid import uuid4


def write_durably(path: Path, content: bytes) -> None:
    """Write a file so that after a power cut it is there with all of its content, or as it was before.

    Args:
        path: Its folder must exist.
        content: Replaces what was there.

    Raises:
        OSError: The disk did not take it; nothing of it is left.
    """
    partial = path.with_name(f".{uuid4().hex}.part")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.rename(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make durable what was renamed into or out of a folder."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
