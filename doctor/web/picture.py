"""A report's picture: as the box sent it, as a thumbnail, and in full when somebody asks for it."""

import io
from dataclasses import asdict, dataclass
from functools import lru_cache
from http import HTTPStatus
from typing import Final

from PIL import Image
from starlette.responses import JSONResponse, RedirectResponse, Response

from doctor.requests import Command
from doctor.reviews import UnknownReportError
from doctor.store import Store
from doctor.web import wording
from doctor.web.visit import Visit

_THUMB_PX: Final = 112
_THUMB_QUALITY: Final = 60
_THUMBS: Final = 500
_KEPT_A_DAY: Final = "private, max-age=86400, immutable"


@dataclass(frozen=True, slots=True, kw_only=True)
class FullState:
    """How far the picture in full is.

    Attributes:
        text: That in words; empty where nobody has asked.
        running: Whether pieces are on their way.
        complete: Whether it can be shown.
        received_bytes: What is here.
        total_bytes: Of the whole; 0 as long as nobody knows.
        address: Where it is found.
    """

    text: str
    running: bool
    complete: bool
    received_bytes: int
    total_bytes: int
    address: str


def preview(visit: Visit) -> Response:
    """The picture as the box sent it."""
    return _jpeg(visit.desk.store.preview(visit.number))


def thumb(visit: Visit) -> Response:
    """The picture as a thumbnail."""
    content = visit.desk.store.preview(visit.number)
    return _jpeg(None if content is None else _shrunk(content))


def full(visit: Visit) -> Response:
    """The picture in full, once all of it is here."""
    image = visit.desk.store.image(visit.number)
    content = visit.desk.store.image_content(visit.number)
    if image is None or content is None:
        return Response(status_code=HTTPStatus.NOT_FOUND)
    return Response(content, media_type=image.media_type, headers={"cache-control": _KEPT_A_DAY})


def ask(visit: Visit) -> Response:
    """Ask the box for the picture in full."""
    try:
        visit.desk.store.ask(visit.number, Command.IMAGE, visit.account)
    except UnknownReportError as error:
        return visit.missing(str(error))
    if visit.wants_json:
        return JSONResponse({})
    return RedirectResponse(f"/report/{visit.number}", status_code=HTTPStatus.SEE_OTHER)


def progress(visit: Visit) -> Response:
    """How far the picture in full is, for a script."""
    return JSONResponse(asdict(full_state(visit.desk.store, visit.number)))


def full_state(store: Store, number: int) -> FullState:
    """How far the picture in full is."""
    image = store.image(number)
    asked = [one for one in store.asked_about(number) if one.command is Command.IMAGE]
    running = bool(asked) and asked[0].answered_at is None
    complete = image is not None and image.verified
    received_bytes, total_bytes = (0, 0) if image is None else (image.received_bytes, image.total_bytes)
    text = ""
    if complete:
        text = f"The picture in full is here ({wording.size(total_bytes)})."
    elif running and total_bytes:
        text = f"{wording.size(received_bytes)} of {wording.size(total_bytes)} are here."
    elif running:
        text = "Asked. It comes as soon as the box is online."
    elif asked and asked[0].error is not None:
        text = f"The box did not send it: {asked[0].error}"
    return FullState(
        text=text,
        running=running,
        complete=complete,
        received_bytes=received_bytes,
        total_bytes=total_bytes,
        address=f"/report/{number}/full",
    )


def _jpeg(content: bytes | None) -> Response:
    if content is None:
        return Response(status_code=HTTPStatus.NOT_FOUND)
    return Response(content, media_type="image/jpeg", headers={"cache-control": _KEPT_A_DAY})


@lru_cache(maxsize=_THUMBS)
def _shrunk(content: bytes) -> bytes:
    """A JPEG of at most 112 pixels a side; the box's own where it cannot be read, for the browser may know better."""
    try:
        with Image.open(io.BytesIO(content), formats=["JPEG"]) as picture:
            picture.draft("L", (2 * _THUMB_PX, 2 * _THUMB_PX))
            picture.thumbnail((_THUMB_PX, _THUMB_PX))
            small = io.BytesIO()
            picture.convert("L").save(small, "JPEG", quality=_THUMB_QUALITY)
    except (OSError, ValueError, Image.DecompressionBombError):
        return content
    return small.getvalue()
