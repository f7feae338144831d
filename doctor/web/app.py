"""The doctor's pages as one application. Each address, and who answers it, stands here.

Invariant: but for the door (`door.py`) and the assets, every address is behind `signed_in`.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from threading import Event
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from doctor.accounts import Role
from doctor.store import Store
from doctor.web import admin, assets, door, picture, reading, statistics, worklist
from doctor.web.live import Newsroom, events
from doctor.web.security import SafeHeaders
from doctor.web.visit import Desk, page, plain, signed_in
from edge.database import DatabaseError


def make_app(store: Store, *, setup: str, encrypted: bool = False, stop: Event | None = None) -> Starlette:
    """The pages over an open store.

    Args:
        store: The inbox's.
        setup: Secret of `/setup/<setup>`, where the first account is made as long as there is none.
        encrypted: Whether browsers reach the pages over HTTPS.
        stop: Ends the pages' streams of events, which would otherwise hold the server open.
    """
    newsroom = Newsroom(store, stop or Event())

    @asynccontextmanager
    async def running(_: Starlette) -> AsyncIterator[None]:
        async with newsroom.open():
            yield

    app = Starlette(
        routes=_routes(),
        middleware=[Middleware(SafeHeaders, encrypted=encrypted), Middleware(GZipMiddleware, minimum_size=600)],
        exception_handlers={HTTPException: _refused, DatabaseError: _unusable},
        lifespan=running,
    )
    app.state.desk = Desk(store=store, encrypted=encrypted, setup=setup)
    app.state.newsroom = newsroom
    return app


def _routes() -> list[Route]:
    get, post, both = ["GET"], ["POST"], ["GET", "POST"]
    report = "/report/{number:int}"
    return [
        Route("/", signed_in(worklist.show), methods=get),
        Route(report, signed_in(reading.show), methods=get),
        Route(f"{report}/answer", signed_in(reading.answer), methods=post),
        Route(f"{report}/preview", signed_in(picture.preview), methods=get),
        Route(f"{report}/thumb", signed_in(picture.thumb), methods=get),
        Route(f"{report}/image", signed_in(picture.progress), methods=get),
        Route(f"{report}/image", signed_in(picture.ask), methods=post),
        Route(f"{report}/full", signed_in(picture.full), methods=get),
        Route("/statistics", signed_in(statistics.show), methods=get),
        Route("/events", events, methods=get),
        Route("/admin", signed_in(admin.show, Role.ADMIN), methods=get),
        Route("/admin/account", signed_in(admin.add_account, Role.ADMIN), methods=post),
        Route("/admin/account/disable", signed_in(admin.disable_account, Role.ADMIN), methods=post),
        Route("/admin/box", signed_in(admin.ask_box, Role.ADMIN), methods=post),
        Route("/admin/audit", signed_in(admin.verify, Role.ADMIN), methods=post),
        Route("/account", signed_in(door.password), methods=both),
        Route("/theme", signed_in(door.theme), methods=post),
        Route("/logout", signed_in(door.sign_out), methods=post),
        Route("/session", signed_in(door.session), methods=get),
        Route("/login", door.sign_in, methods=both),
        Route("/setup/{secret}", door.set_up, methods=both),
        Route("/offline", door.offline, methods=get),
        Route("/static/{version}/{name}", assets.asset, methods=get),
        Route("/sw.js", assets.service_worker, methods=get),
        Route("/manifest.webmanifest", assets.manifest, methods=get),
    ]


async def _refused(request: Request, error: Exception) -> Response:
    status, detail = HTTPStatus.INTERNAL_SERVER_ERROR, str(error)
    headers: Mapping[str, str] | None = None
    if isinstance(error, HTTPException):
        status, detail, headers = HTTPStatus(error.status_code), error.detail, error.headers
    if detail == status.phrase:
        detail = {HTTPStatus.NOT_FOUND: "There is no page of this address."}.get(status, detail)
    return _say(request, status, "This was not done", detail, headers)


async def _unusable(request: Request, error: Exception) -> Response:
    return _say(request, HTTPStatus.SERVICE_UNAVAILABLE, "The store cannot be used", str(error))


def _say(
    request: Request, status: HTTPStatus, heading: str, text: str, headers: Mapping[str, str] | None = None
) -> Response:
    if "text/html" not in request.headers.get("accept", ""):
        return JSONResponse({"error": text}, status_code=status, headers=headers)
    content: dict[str, Any] = plain(heading=heading, text=text, link="/", link_text="To the worklist")
    response = page(request, "door.html.j2", status=status, **content)
    response.headers.update(headers or {})
    return response
