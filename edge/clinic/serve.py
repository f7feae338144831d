"""Serves the page in a thread of the agent, for as long as a context lasts."""

import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Final

import uvicorn

from edge.clinic.access import Door
from edge.clinic.app import make_app
from edge.clinic.box import Box
from edge.clinic.frame import Frame, opened
from edge.errors import EdgeXrayError
from edge.settings.page_address import check_certificate, open_listener

AGAIN_S: Final = 5.0
"""A page that failed is served anew after this."""
MAX_AT_ONCE: Final = 64
"""Requests under way; further ones are told to come later."""
GOODBYE_S: Final = 2
"""How long the end waits for requests that are under way."""

log = logging.getLogger(__name__)


@contextmanager
def serving(box: Box) -> Iterator[None]:
    """Serve the page until the context is left.

    Raises:
        ConfigError: The address is taken or not this machine's, or a file of the page cannot be used.
    """
    page = box.page
    door = Door(page.password(), session_s=page.session_hours * 3600)
    check_certificate(page)
    with open_listener(page) as listener:
        server = _Server(box, door, listener)
        server.start()
        log.info("the clinic's page is at %s://%s", "https" if page.cert_file else "http", page.listen)
        try:
            yield
        finally:
            server.end()


class _Server:
    """Keeps one server at work until it is told to end."""

    def __init__(self, box: Box, door: Door, listener: socket.socket) -> None:
        self._box = box
        self._door = door
        self._listener = listener
        self._ended = Event()
        self._server: uvicorn.Server | None = None
        self._thread = Thread(target=self._run, name="page", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        self._ended.set()
        if self._server is not None:
            self._server.should_exit = True
        self._thread.join(GOODBYE_S + AGAIN_S)

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                with opened(self._box) as frame, self._listener.dup() as listener:  # a server closes what it is given
                    self._server = uvicorn.Server(_options(frame, self._door))
                    self._server.run(sockets=[listener])
            except EdgeXrayError as error:
                # The trace says no more than this line.
                log.error("the clinic's page cannot be served: %s; trying again in %g s", error, AGAIN_S)  # noqa: TRY400
            except (Exception, SystemExit):
                # Whatever it is, the pipeline goes on.
                log.exception("the clinic's page has failed; it is served anew in %g s", AGAIN_S)
            self._ended.wait(AGAIN_S)


def _options(frame: Frame, door: Door) -> uvicorn.Config:
    page = frame.box.page
    return uvicorn.Config(
        make_app(frame, door),
        loop="asyncio",
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=MAX_AT_ONCE,
        timeout_graceful_shutdown=GOODBYE_S,
        ssl_certfile=page.cert_file,
        ssl_keyfile=page.key_file,
    )
