"""The pages' server: uvicorn in a thread of its own, beside the inbox, over the same store."""

import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from edge.errors import ConfigError

PORT: Final = 8042
_BACKLOG: Final = 128
_LONGEST_END_S: Final = 5

log = logging.getLogger(__name__)


def parse_address(text: str) -> tuple[str, int]:
    """`HOST`, `HOST:PORT` or `:PORT` -> host and port; an IPv6 address stands in brackets.

    Raises:
        ConfigError: A port that is no number from 0 to 65535.
    """
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        host, port = text, str(PORT)
    if not port.isdecimal() or not int(port) < 2**16:
        raise ConfigError(f"--http must be HOST:PORT, got {text!r}")
    return host.strip("[]") or "127.0.0.1", int(port)


@contextmanager
def listening(host: str, port: int) -> Iterator[socket.socket]:
    """A socket that listens; port 0 takes a free one.

    Raises:
        ConfigError: The address is taken or not this machine's.
    """
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        taken = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise ConfigError(
            f"cannot listen on {host}:{port}: {error.strerror}; another program may hold it: name another with --http"
        ) from error
    with taken:
        # Connections inherit it. Without it the second half of an answer waits 40 ms for the first to be acknowledged.
        taken.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield taken


def address_of(taken: socket.socket) -> str:
    """Where a browser on this machine finds the pages."""
    host, port = taken.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    return f"http://{'127.0.0.1' if host in {'0.0.0.0', '::'} else shown}:{port}"  # noqa: S104 - shown, not bound


@contextmanager
def served(app: ASGIApp, taken: socket.socket, *, stop: Event) -> Iterator[None]:
    """Serve the pages while the block runs.

    Args:
        app: The pages.
        taken: Where; see `listening`.
        stop: Set at the end, so that streams of events end.
    """
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=_LONGEST_END_S,
    )
    server = uvicorn.Server(config)
    thread = Thread(target=server.run, kwargs={"sockets": [taken]}, name="pages", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        server.should_exit = True
        thread.join(2 * _LONGEST_END_S)
        if thread.is_alive():
            log.error("the pages did not end within %d s; the inbox ends without them", 2 * _LONGEST_END_S)
