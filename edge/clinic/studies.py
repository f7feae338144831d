"""`POST /studies`: pictures from the page's form, from drag and drop, or from a program."""

import asyncio
from typing import Any, Final

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Message, Receive

from edge.clinic.frame import Frame
from edge.clinic.uploads import MAX_FILES, MAX_REQUEST_BYTES, Taken, UploadError, take
from edge.wire.messages import report_id

AT_ONCE: Final = 2
"""Requests that are read into memory at one time; further ones wait."""
LONGEST_S: Final = 300.0
"""For one request, its waiting included."""
_MULTI_STATUS: Final = 207


async def receive(request: Request) -> Response:
    """Take what was sent, and say of each file what became of it."""
    frame: Frame = request.app.state.frame
    try:
        async with asyncio.timeout(LONGEST_S), request.app.state.uploads:
            taken = await _take_all(frame, Request(request.scope, _limited(request)))
    except UploadError as error:
        taken = [Taken("", error=str(error), status=error.status)]
    except TimeoutError:
        taken = [Taken("", error="This took too long. Keep the file and send it again.", status=408)]
    status = {each.status for each in taken}
    code = status.pop() if len(status) == 1 else _MULTI_STATUS
    links = [f"/reports/{report_id(each.sha256, frame.box.model.sha256)}" if each.sha256 else None for each in taken]
    if "text/html" in request.headers.get("accept", ""):
        return frame.page(request, "sent.html", code, taken=taken)
    files = [{"name": each.name, "error": each.error, "report": link} for each, link in zip(taken, links, strict=True)]
    return json_of({"files": files}, code)


def wants_json(request: Request) -> bool:
    """Whether a program asks."""
    accepted = request.headers.get("accept", "")
    return "application/json" in accepted and "text/html" not in accepted


def json_of(document: Any, status: int = 200) -> Response:
    """A JSON answer; messages of the wire are written as they are on it."""
    return Response(msgspec.json.encode(document), status, media_type="application/json")


async def _take_all(frame: Frame, request: Request) -> list[Taken]:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "multipart/form-data":
        return [await _take(frame, "", await request.body())]
    taken = []
    async with request.form(max_files=MAX_FILES, max_fields=10) as form:
        for _, sent in form.multi_items():
            if isinstance(sent, UploadFile) and (sent.filename or sent.size):
                taken.append(await _take(frame, sent.filename or "", await sent.read()))
    if not taken:
        raise UploadError("No file was chosen.", 400)
    return taken


async def _take(frame: Frame, name: str, content: bytes) -> Taken:
    refusing = frame.outbox.is_full()
    return await run_in_threadpool(take, name, content, frame.box.keep, refusing)


def _limited(request: Request) -> Receive:
    """The request's body, cut off where it is larger than it may be."""
    received_bytes = 0
    limit_mb = MAX_REQUEST_BYTES // 2**20
    too_large = UploadError(f"This is more than {limit_mb} MB at once. Send fewer or smaller files.", 413)

    async def receive() -> Message:
        nonlocal received_bytes
        if int(request.headers.get("content-length", "0")) > MAX_REQUEST_BYTES:
            raise too_large
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        received_bytes += len(message.get("body", b""))
        if received_bytes > MAX_REQUEST_BYTES:
            raise too_large
        return message

    return receive
