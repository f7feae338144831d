"""The clinic's page as an application: which path shows or does what. Templates lay out, `views` puts together.

Every path is behind `access.Guarded`. The outbox is used in the thread that serves; only what waits for a disk or a
camera goes to another one.
"""

import asyncio
from typing import Any, Final

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from edge.clinic import studies
from edge.clinic.access import COOKIE, Door, Guarded, address_of, local_path
from edge.clinic.frame import Frame
from edge.clinic.metrics import CONTENT_TYPE, exposition
from edge.clinic.pictures import heatmap_png
from edge.clinic.views import ASKS, done_fact
from edge.database import DatabaseError
from edge.decoding.decode import MAX_SIZE_BYTES
from edge.errors import EdgeXrayError
from edge.notify import hanging_loops
from edge.outbox.entry import Entry

HANGING_S: Final = 60.0
"""A loop of the agent that has not gone round for so long counts as hanging."""
_FOR_EVER: Final = {"cache-control": "private, max-age=31536000, immutable"}


def make_app(frame: Frame, door: Door) -> ASGIApp:
    """The page.

    Args:
        frame: What makes the pages.
        door: Who may come in.
    """
    app = Starlette(
        routes=[
            Route("/", overview),
            Route("/reports/{id}", report),
            Route("/reports/{id}/preview.jpg", preview),
            Route("/reports/{id}/heatmap.png", heatmap),
            Route("/reports/{id}/done", done, methods=["POST"]),
            Route("/studies", studies.receive, methods=["POST"]),
            Route("/capture", capture, methods=["POST"]),
            Route("/quarantine", quarantine),
            Route("/quarantine/{id}/again", again, methods=["POST"]),
            Route("/health", health),
            Route("/login", login, methods=["GET", "POST"]),
            Route("/logout", logout, methods=["POST"]),
            Route("/healthz", alive),
            Route("/readyz", ready),
            Route("/metrics", metrics),
            Mount("/static", StaticFiles(packages=[("edge.clinic", "static")])),
        ],
        exception_handlers={HTTPException: _http_error, DatabaseError: _database_error},
    )
    app.state.frame, app.state.door = frame, door
    app.state.uploads = asyncio.Semaphore(studies.AT_ONCE)
    return Guarded(app, door)


def frame_of(request: Request) -> Frame:
    """What makes the pages."""
    frame: Frame = request.app.state.frame
    return frame


async def overview(request: Request) -> Response:
    """The newest pictures, or those before a number."""
    frame = frame_of(request)
    if (same := frame.unchanged(request)) is not None:
        return same
    before = request.query_params.get("before", "")
    shown = frame.teller().overview(int(before) if before.isdecimal() and len(before) < 16 else None)  # noqa: PLR2004
    return frame.page(request, "overview.html", shown=shown, before=before, max_bytes=MAX_SIZE_BYTES)


async def report(request: Request) -> Response:
    """One picture, as a page or as JSON."""
    frame, entry = frame_of(request), _entry(request)
    if studies.wants_json(request):
        return studies.json_of({"report": entry.report, "rung": entry.rung, "review": entry.review})
    if (same := frame.unchanged(request)) is not None:
        return same
    place = frame.outbox.place(entry.report.id) if frame.box.page.show_patient else None
    return frame.page(
        request, "report.html", card=frame.teller().card(entry), entry=entry, file=None if place is None else place.name
    )


async def preview(request: Request) -> Response:
    """A picture's JPEG."""
    content = frame_of(request).outbox.preview(request.path_params["id"])
    if content is None:
        raise HTTPException(404, "This picture is not kept any more.")
    return Response(content, media_type="image/jpeg", headers=_FOR_EVER)


async def heatmap(request: Request) -> Response:
    """Where the network looked, to lie over the picture."""
    rows = _entry(request).report.heatmap
    if rows is None:
        raise HTTPException(404, "The box did not assess this picture.")
    return Response(heatmap_png(rows), media_type="image/png", headers=_FOR_EVER)


async def done(request: Request) -> Response:
    """Note that somebody has done what the doctor asked for."""
    frame, entry = frame_of(request), _entry(request)
    form = await request.form()
    done_now = [ask for ask in ASKS if ask == form.get("ask")]
    if not done_now or entry.review is None or str(entry.review.revision) != form.get("revision"):
        raise HTTPException(409, "The doctor has answered anew. Look at the picture again.")
    frame.outbox.remember(
        done_fact(entry.report.id, entry.review.revision, done_now[0]), frame.teller().now.isoformat()
    )
    return RedirectResponse(local_path(str(form.get("next", "/"))), 303)


async def capture(request: Request) -> Response:
    """Take a picture with the camera."""
    take = frame_of(request).box.capture
    if take is None:
        raise HTTPException(404, "This box has no camera.")
    try:
        await run_in_threadpool(take)
    except EdgeXrayError as error:
        raise HTTPException(503, f"The camera took no picture: {error}.") from error
    return RedirectResponse("/", 303)


async def quarantine(request: Request) -> Response:
    """Files that were set aside."""
    frame, asked = frame_of(request), "again" in request.query_params
    return frame.unchanged(request) or frame.page(
        request, "quarantine.html", files=frame.box.quarantined(), asked_again=asked
    )


async def again(request: Request) -> Response:
    """Have a file tried again that was set aside."""
    try:
        found = await run_in_threadpool(frame_of(request).box.try_again, request.path_params["id"])
    except OSError as error:
        raise HTTPException(503, f"The file cannot be moved ({error.strerror}). It is still set aside.") from error
    if not found:
        raise HTTPException(404, "This file is no longer set aside.")
    return RedirectResponse("/quarantine?again", 303)


async def health(request: Request) -> Response:
    """How the box is."""
    frame = frame_of(request)
    hanging = hanging_loops(frame.box.pulses, HANGING_S)
    return frame.unchanged(request) or frame.page(request, "health.html", hanging=hanging)


async def login(request: Request) -> Response:
    """Ask for the password, and let in whoever knows it."""
    frame, door = frame_of(request), _door(request)
    if request.method == "GET":
        return frame.bare("login.html", next=local_path(request.query_params.get("next", "/")), error=None)
    form, address = await request.form(max_files=0), address_of(request)
    target = local_path(str(form.get("next", "/")))
    token = door.enter(str(form.get("password", "")), address)
    if token is None:
        wait_s = round(door.wait_s(address))
        error = f"Too many wrong passwords. Try again in {wait_s} seconds." if wait_s else "This is not the password."
        return frame.bare("login.html", 429 if wait_s else 401, next=target, error=error)
    answer = RedirectResponse(target, 303)
    answer.set_cookie(
        COOKIE,
        token,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
        max_age=int(door.session_s),
    )
    return answer


async def logout(request: Request) -> Response:
    """End the session."""
    _door(request).leave(request.cookies.get(COOKIE))
    answer = RedirectResponse("/", 303)
    answer.delete_cookie(COOKIE)
    return answer


async def alive(request: Request) -> Response:
    """Whether every loop of the agent goes round."""
    hanging = hanging_loops(frame_of(request).box.pulses, HANGING_S)
    return JSONResponse({"alive": not hanging, "hanging": hanging or None}, 503 if hanging else 200)


async def ready(request: Request) -> Response:
    """Whether the box takes pictures. It does so with the line down, too."""
    frame = frame_of(request)
    hanging = hanging_loops(frame.box.pulses, HANGING_S)
    why = f"hanging: {hanging}" if hanging else frame.health().refusing
    return JSONResponse({"ready": why is None, "why": why}, 503 if why else 200)


async def metrics(request: Request) -> Response:
    """For Prometheus."""
    frame = frame_of(request)
    newest = frame.outbox.recent(limit=1)
    hanging = hanging_loops(frame.box.pulses, HANGING_S)
    text = exposition(frame.health(), frame.box.line, newest[0].report.seq if newest else 0, hanging)
    return Response(text, headers={"content-type": CONTENT_TYPE})


def _entry(request: Request) -> Entry:
    entry = frame_of(request).outbox.entry(request.path_params["id"])
    if entry is None:
        raise HTTPException(404, "The box knows no such picture.")
    return entry


def _door(request: Request) -> Door:
    door: Door = request.app.state.door
    return door


async def _http_error(request: Request, error: Any) -> Response:
    words = "There is no such page." if error.detail == "Not Found" else error.detail
    if studies.wants_json(request):
        return JSONResponse({"error": words}, error.status_code)
    if _door(request).password is not None and not _door(request).is_inside(request.cookies.get(COOKIE)):
        return frame_of(request).bare("error.html", error.status_code, error=words)
    return frame_of(request).page(request, "error.html", error.status_code, error=words)


async def _database_error(request: Request, error: Any) -> Response:
    return frame_of(request).bare("error.html", 500, error=f"The box's memory cannot be read now: {error}.")
