"""Pictures sent by the page or by `POST /studies`: looked at briefly, then made durable for the folder intake.

Invariant: what was answered with success lies on the disk. Whether it is a chest that can be assessed is judged later,
as for any other picture.
"""

import logging
from dataclasses import dataclass, field
from typing import Final, Protocol

from edge.decoding.decode import MAX_SIZE_BYTES, is_dicom
from edge.errors import EdgeXrayError, RetryError
from edge.study import sha256_of

MAX_REQUEST_BYTES: Final = MAX_SIZE_BYTES + 2**20
"""One request: a picture of the largest size, or several smaller ones, and what stands around them."""
MAX_FILES: Final = 50
_BEGINNINGS: Final = (
    (b"\x89PNG\r\n\x1a\n", ".png"),
    (b"\xff\xd8\xff", ".jpg"),
    (b"II*\x00", ".tif"),
    (b"MM\x00*", ".tif"),
)
_KINDS: Final = "PNG, JPEG, WebP, TIFF or DICOM"

log = logging.getLogger(__name__)


class UploadError(EdgeXrayError):
    """One file cannot be taken; the message is for the person who sent it.

    Attributes:
        status: HTTP's code for it.
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class Keep(Protocol):
    """Makes an image durable."""

    def __call__(self, content: bytes, suffix: str) -> object:
        """Keep it, or raise `RetryError` where there is no room."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of one file.

    Attributes:
        name: As the sender calls it.
        sha256: Of its content; empty where it was not taken.
        error: Why it was not taken, else None.
        status: HTTP's code.
    """

    name: str = field(repr=False)
    sha256: str = ""
    error: str | None = None
    status: int = 202


def take(name: str, content: bytes, keep: Keep, refusing: str | None) -> Taken:
    """Look at one file and keep it.

    Args:
        name: As the sender calls it.
        content: Its bytes.
        keep: Makes it durable.
        refusing: Why the box takes no new work, or None.
    """
    if refusing is not None:
        words = f"The box takes no new pictures now: {refusing}. Keep the file and send it later."
        return Taken(name, error=words, status=503)
    try:
        keep(content, kind_of(content))
    except UploadError as error:
        return Taken(name, error=str(error), status=error.status)
    except RetryError as error:
        log.warning("could not keep a picture sent to the page: %s", error)
        return Taken(name, error=f"{error}.", status=503)
    except OSError as error:
        log.warning("could not keep a picture sent to the page: %s", error.strerror)
        return Taken(
            name, error=f"The box's disk does not take it ({error.strerror}). Tell your technician.", status=500
        )
    return Taken(name, sha256=sha256_of(content))


def kind_of(content: bytes) -> str:
    """The suffix for a picture, by its first bytes.

    Raises:
        UploadError: Empty, too large, or no kind of picture that the box reads.
    """
    if not content:
        raise UploadError("The file is empty. Export the picture again.", 400)
    if len(content) > MAX_SIZE_BYTES:
        limit_mb = MAX_SIZE_BYTES // 2**20
        raise UploadError(f"The file is larger than {limit_mb} MB. Export the picture at a smaller size.", 413)
    if is_dicom(content):
        return ".dcm"
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return ".webp"
    for beginning, suffix in _BEGINNINGS:
        if content.startswith(beginning):
            return suffix
    raise UploadError(f"This is no picture the box can read. It reads {_KINDS}.", 415)
