"""Who may come in: the page's password, the sessions behind it, and what a foreign web site may not do.

Without a password the page answers to this machine alone: by its own names, so that no foreign name can be pointed at
it. What changes something is taken only from the page itself or from a program that is no browser.
"""

import base64
import binascii
import hmac
import re
import secrets
import time
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlencode, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from edge.settings.page import is_loopback

COOKIE: Final = "edge_agent_page"
OPEN_PATHS: Final = ("/healthz", "/readyz", "/login", "/static/")
MAX_WRONG: Final = 5
"""Wrong passwords from one address within `WRONG_S`; then it has to wait."""
WRONG_S: Final = 60.0
_MAX_SESSIONS: Final = 1000
_MAX_CALLERS: Final = 1000
_PATH: Final = re.compile(r"/(?!/)[A-Za-z0-9._/-]*")
"""Of this page. Everything else is left out: browsers drop tabs, turn backslashes, and take two slashes for a host."""
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_HEADERS: Final = {
    "content-security-policy": "default-src 'self'; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}


@dataclass(slots=True)
class Door:
    """Lets in whoever knows the password.

    Attributes:
        password: None lets everybody in who reaches the page.
        session_s: How long a session lasts.
        clock_s: Tells monotonic seconds.
    """

    password: str | None = field(repr=False)
    session_s: float
    clock_s: Callable[[], float] = time.monotonic
    _sessions: dict[str, float] = field(default_factory=dict, repr=False)  # token -> end
    _wrong: dict[str, deque[float]] = field(default_factory=lambda: defaultdict(deque), repr=False)  # address -> times

    def enter(self, password: str, address: str) -> str | None:
        """Begin a session.

        Args:
            password: As typed.
            address: Whose, for counting wrong ones.

        Returns:
            The session's token; None where the password is wrong or the address has to wait.
        """
        if not self.knows(password, address):
            return None
        now_s = self.clock_s()
        self._sessions = {token: end_s for token, end_s in self._sessions.items() if end_s > now_s}
        while len(self._sessions) >= _MAX_SESSIONS:
            del self._sessions[next(iter(self._sessions))]
        token = secrets.token_urlsafe(32)
        self._sessions[token] = now_s + self.session_s
        return token

    def knows(self, password: str, address: str) -> bool:
        """Whether this is the password; an address that has to wait is not listened to."""
        if self.password is None:
            return True
        if self.wait_s(address) > 0:
            return False
        right = hmac.compare_digest(password.encode(), self.password.encode())
        if not right:
            if len(self._wrong) >= _MAX_CALLERS:
                self._wrong.clear()
            self._wrong[address].append(self.clock_s())
        return right

    def wait_s(self, address: str) -> float:
        """How long an address has to wait before it may try again, in seconds; mostly 0."""
        now_s = self.clock_s()
        times = self._wrong.get(address, deque())
        while times and times[0] <= now_s - WRONG_S:
            times.popleft()
        return times[0] + WRONG_S - now_s if len(times) >= MAX_WRONG else 0.0

    def is_inside(self, token: str | None) -> bool:
        """Whether a session is under way."""
        return token is not None and self._sessions.get(token, 0.0) > self.clock_s()

    def leave(self, token: str | None) -> None:
        """End a session."""
        if token is not None:
            self._sessions.pop(token, None)


class Guarded:
    """The application behind the door.

    Args:
        app: What is inside.
        door: Who may come in.
    """

    def __init__(self, app: ASGIApp, door: Door) -> None:
        self._app = app
        self._door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or answer it at the door."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("cache-control", "no-store")
            await send(message)

        connection = HTTPConnection(scope)
        answer = self._refusal(scope["method"], connection) or self._way_in(scope["method"], connection)
        await (answer or self._app)(scope, receive, send_guarded)

    def _refusal(self, method: str, connection: HTTPConnection) -> Response | None:
        """What no password makes good."""
        headers = connection.headers
        if self._door.password is None and not is_loopback(_host(headers)):
            return PlainTextResponse("This page answers to 127.0.0.1 and localhost only.\n", 421)
        if method not in _SAFE and _is_foreign(headers):
            return PlainTextResponse("Refused: this was sent by another web site.\n", 403)
        return None

    def _way_in(self, method: str, connection: HTTPConnection) -> Response | None:
        """None for whoever is inside or may be; else where to go."""
        path = connection.url.path
        if self._door.password is None or path.startswith(OPEN_PATHS):
            return None
        if self._door.is_inside(connection.cookies.get(COOKIE)):
            return None
        password = _basic_password(connection.headers)
        if password is not None and self._door.knows(password, address_of(connection)):
            return None
        if method == "GET" and "text/html" in connection.headers.get("accept", ""):
            return RedirectResponse(f"/login?{urlencode({'next': path})}", 303)
        return PlainTextResponse(
            "The page's password is needed.\n", 401, {"www-authenticate": 'Basic realm="edge-agent"'}
        )


def address_of(connection: HTTPConnection) -> str:
    """Who asks."""
    return connection.client.host if connection.client is not None else "unknown"


def local_path(text: str) -> str:
    """A path of this page to go to; anything that could lead elsewhere is the first page."""
    path = text.partition("?")[0]
    return path if _PATH.fullmatch(path) else "/"


def _host(headers: Headers) -> str:
    try:
        return urlsplit(f"//{headers.get('host', '')}").hostname or ""
    except ValueError:  # a bracket without its like
        return ""


def _is_foreign(headers: Headers) -> bool:
    """Whether a browser says that another site's page sent this; a program that is no browser says nothing."""
    origin = headers.get("origin")
    if origin is not None:
        return origin.partition("://")[2] != headers.get("host")
    return headers.get("sec-fetch-site", "none") not in {"same-origin", "none"}


def _basic_password(headers: Headers) -> str | None:
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(value, validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        return ""
