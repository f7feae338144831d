"""What protects a page and its reader: response headers, and the proof that a request comes from one of our own pages.

A request that changes something must come from this site (the browser says so) and carry the token that only pages of
the same session hold. Either alone would do in a browser of today; together they also do in one of yesterday.
"""

import hmac
from hashlib import sha256
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY: Final = "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
"""No inline script or style, nothing from elsewhere, and nobody may put a page into a frame."""
_HEADERS: Final = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}


class SafeHeaders:
    """Adds the headers to every response; nothing is kept by a browser or proxy unless the page says otherwise."""

    def __init__(self, app: ASGIApp, *, encrypted: bool) -> None:
        self._app = app
        self._headers = dict(_HEADERS)
        if encrypted:
            self._headers["strict-transport-security"] = "max-age=31536000"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers[name] = value
                headers.setdefault("cache-control", "no-store")
            await send(message)

        await self._app(scope, receive, send_with_headers if scope["type"] == "http" else send)


def is_own(headers: Headers) -> bool:
    """Whether a request that changes something comes from a page of this very site, by what the browser says of it."""
    if (site := headers.get("sec-fetch-site")) is not None:
        return site == "same-origin"
    if (origin := headers.get("origin")) is not None:
        return urlsplit(origin).netloc == headers.get("host")
    return True  # no browser of ours leaves both out; the token decides


def form_token(session: str) -> str:
    """What a form must carry in a session, 64 hex digits; it says nothing about the session's own secret."""
    return hmac.new(session.encode(), b"edge-doctor form", sha256).hexdigest()


def is_form_token(session: str, given: str) -> bool:
    """Whether a form carries it."""
    return hmac.compare_digest(form_token(session).encode(), given.encode())
