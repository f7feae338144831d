"""What changes in the store, told to open pages as server-sent events (WHATWG HTML, section 9.2).

One task looks into the store for all of them. An event carries the store's cursor as its id, so a browser that lost its
line says how far it was, and misses nothing.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from http import HTTPStatus
from threading import Event
from typing import Final

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from doctor.changes import Changes
from doctor.store import Store
from doctor.urgency import Urgency
from doctor.web import wording
from doctor.web.visit import SESSION_COOKIE, Desk, desk_of
from doctor.worklist import Item
from edge.database import DatabaseError

_LOOK_S: Final = 0.25
"""How long a page may be behind the store."""
_SIGN_OF_LIFE_S: Final = 15.0
"""Proxies cut lines that are silent for longer; and whether the session still holds is looked up as often."""
_RETRY_MS: Final = 2000
_URGENT: Final = {Urgency.URGENT, Urgency.CALL_BACK}

log = logging.getLogger(__name__)


class Newsroom:
    """Knows how far the store is, and wakes whoever waits for more.

    Args:
        store: The inbox's.
        stop: Ends every stream.
    """

    def __init__(self, store: Store, stop: Event) -> None:
        self._store = store
        self._stop = stop
        self._cursor = 0
        self._news = asyncio.Event()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Look into the store as long as the block runs."""
        looking = asyncio.create_task(self._look())
        try:
            yield
        finally:
            looking.cancel()
            await asyncio.wait([looking])

    async def _look(self) -> None:
        while not self._stop.is_set():
            try:
                cursor = (await run_in_threadpool(self._store.changes_since, None)).cursor
            except DatabaseError as error:
                log.warning("open pages are not kept up to date: %s", error)
                await asyncio.sleep(_SIGN_OF_LIFE_S)
                continue
            if cursor != self._cursor:
                self._cursor = cursor
                self._news.set()
                self._news = asyncio.Event()
            await asyncio.sleep(_LOOK_S)
        self._news.set()

    async def stream(self, after: int, desk: Desk, session: str) -> AsyncIterator[str]:
        """Events from a cursor on, until the page goes, the session ends or the server does."""
        yield f"retry: {_RETRY_MS}\n\n"
        checked_s = time.monotonic()
        while not self._stop.is_set():
            news = self._news
            if time.monotonic() - checked_s > _SIGN_OF_LIFE_S:
                if await run_in_threadpool(desk.store.account_of, session) is None:
                    return
                checked_s = time.monotonic()
            if self._cursor > after:
                changes, urgent = await run_in_threadpool(self._look_closer, after)
                after = changes.cursor
                if changes.reports or changes.clinics:
                    yield _event(changes, urgent)
            elif not await _is_told(news):
                yield ": still here\n\n"

    def _look_closer(self, after: int) -> tuple[Changes, list[Item]]:
        changes = self._store.changes_since(after)
        items = self._store.items(changes.reports).values()
        return changes, [item for item in items if item.unread and item.urgency in _URGENT]


async def events(request: Request) -> Response:
    """The stream of one page."""
    desk = desk_of(request)
    session = request.cookies.get(SESSION_COOKIE, "")
    if not session or await run_in_threadpool(desk.store.account_of, session) is None:
        return Response(status_code=HTTPStatus.UNAUTHORIZED)
    asked = request.headers.get("last-event-id") or request.query_params.get("after", "")
    known = int(asked) if asked.isascii() and asked.isdecimal() else None
    after = known if known is not None else (await run_in_threadpool(desk.store.changes_since, None)).cursor
    newsroom: Newsroom = request.app.state.newsroom
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}  # nginx would hold the events back
    return StreamingResponse(newsroom.stream(after, desk, session), media_type="text/event-stream", headers=headers)


async def _is_told(news: asyncio.Event) -> bool:
    """Whether there was news before a sign of life is due."""
    try:
        async with asyncio.timeout(_SIGN_OF_LIFE_S):
            await news.wait()
    except TimeoutError:
        return False
    return True


def _event(changes: Changes, urgent: Iterable[Item]) -> str:
    content = msgspec.json.encode({"reports": changes.reports, "urgent": [_alarm(item) for item in urgent]})
    return f"id: {changes.cursor}\nevent: change\ndata: {content.decode()}\n\n"


def _alarm(item: Item) -> dict[str, object]:
    share = wording.share_of(item.report.decision, item.report.positive, item.report.probabilities)
    finding = wording.named(item.report.decision) + ("" if share is None else f" {wording.percent(share)}")
    return {
        "number": item.number,
        "text": f"{finding}, {item.report.site} no. {item.report.seq}",
        "address": f"/report/{item.number}",
    }
