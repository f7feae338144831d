"""One request of somebody who is signed in: who it is, what the form held, and how to answer with a page.

`signed_in` is the only door to the pages behind the login. Invariant: a handler that it wraps never runs without a
valid session, nor changes anything for a request that does not come from our own page.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from http import HTTPStatus
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from doctor.accounts import Account, Role
from doctor.store import Store
from doctor.web import assets
from doctor.web.security import form_token, is_form_token, is_own
from doctor.web.templating import render
from edge.wire.messages import NOTICE

SESSION_COOKIE: Final = "session"
THEME_COOKIE: Final = "theme"
_MOST_FIELDS: Final = 20
_LARGEST_NUMBER: Final = 2**63 - 1
"""Of the databases; no report has it."""
_LONGEST_FORM_BYTES: Final = 16 * 1024


@dataclass(frozen=True, slots=True)
class NavigationEntry:
    """A page that the head of every page leads to."""

    name: str
    title: str
    address: str
    admin: bool = False


PAGES: Final = (
    NavigationEntry("statistics", "Statistics", "/statistics"),
    NavigationEntry("admin", "Admin", "/admin", admin=True),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What every page works with.

    Attributes:
        store: The inbox's.
        encrypted: Whether browsers reach the pages over HTTPS, so that cookies are kept from any other line.
        setup: Secret of the address that makes the first account.
    """

    store: Store
    encrypted: bool
    setup: str


@dataclass(frozen=True, kw_only=True)
class Visit:
    """One request of somebody who is signed in."""

    desk: Desk
    request: Request
    session: str
    account: Account
    form: Mapping[str, str]

    @cached_property
    def now(self) -> datetime:
        """When the request is answered, aware UTC."""
        return datetime.now(UTC)

    @property
    def number(self) -> int:
        """The report that the address names."""
        number: int = self.request.path_params["number"]
        if number > _LARGEST_NUMBER:
            raise HTTPException(HTTPStatus.NOT_FOUND, "There is no report of this number.")
        return number

    @property
    def wants_json(self) -> bool:
        """Whether a script asks, which goes on by itself."""
        return "application/json" in self.request.headers.get("accept", "")

    def page(self, template: str, *, status: int = HTTPStatus.OK, **content: Any) -> Response:
        """Fill a template for whoever is signed in."""
        signed_in = {"account": self.account, "form_token": form_token(self.session), "now": self.now}
        return page(self.request, template, status=status, **signed_in, **content)

    def missing(self, what: str) -> Response:
        """Say that there is no such thing."""
        return self.page("door.html.j2", status=HTTPStatus.NOT_FOUND, **plain(heading="Not here", text=what))


Handler = Callable[[Visit], Response]


def page(request: Request, template: str, *, status: int = HTTPStatus.OK, **content: Any) -> Response:
    """Fill a template, for anybody."""
    frame = {
        "account": None,
        "here": "",
        "notice": NOTICE,
        "pages": PAGES,
        "static": assets.folder(),
        "theme": "light" if request.cookies.get(THEME_COOKIE) == "light" else "dark",
    }
    return HTMLResponse(render(template, **{**frame, **content}), status_code=status)


def plain(**content: Any) -> dict[str, Any]:
    """What `door.html.j2` needs, with what is given."""
    empty = dict.fromkeys(("text", "problem", "done", "button", "link", "link_text"), "")
    return {**empty, "fields": (), **content}


def desk_of(request: Request) -> Desk:
    """What the pages work with."""
    desk: Desk = request.app.state.desk
    return desk


def signed_in(handler: Handler, role: Role = Role.READER) -> Callable[[Request], Awaitable[Response]]:
    """An endpoint for whoever is signed in and has the role; the handler runs in a thread: it waits for the store."""

    async def endpoint(request: Request) -> Response:
        desk = desk_of(request)
        session = request.cookies.get(SESSION_COOKIE, "")
        account = await run_in_threadpool(desk.store.account_of, session) if session else None
        if account is None:
            return _to_the_door(request)
        if role is Role.ADMIN and account.role is not Role.ADMIN:
            raise HTTPException(HTTPStatus.FORBIDDEN, "This page is for admins.")
        form = await form_of(request)
        if request.method == "POST" and not is_form_token(session, form.get("token", "")):
            raise HTTPException(
                HTTPStatus.FORBIDDEN, "This page is out of date. Load it again and repeat what you did."
            )
        visit = Visit(desk=desk, request=request, session=session, account=account, form=form)
        return await run_in_threadpool(handler, visit)

    return endpoint


async def form_of(request: Request) -> dict[str, str]:
    """The fields of a form from our own page; empty where nothing was sent.

    Raises:
        HTTPException: It comes from another site, or is larger than any form of ours.
    """
    if request.method != "POST":
        return {}
    if not is_own(request.headers):
        raise HTTPException(HTTPStatus.FORBIDDEN, "This came from another site and was not done.")
    length = request.headers.get("content-length", "")
    if not length.isdecimal() or int(length) > _LONGEST_FORM_BYTES:
        raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "This is more than the page can take.")
    async with request.form(max_files=0, max_fields=_MOST_FIELDS) as fields:
        return {name: value for name, value in fields.items() if isinstance(value, str)}


def _to_the_door(request: Request) -> Response:
    if request.method == "GET" and "text/html" in request.headers.get("accept", ""):
        return RedirectResponse("/login", status_code=HTTPStatus.SEE_OTHER)
    return JSONResponse({"error": "sign in first"}, status_code=HTTPStatus.UNAUTHORIZED)
