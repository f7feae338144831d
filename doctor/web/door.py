"""The door: signing in and out, the first account, a new password, and what stands in where there is no line."""

import hmac
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from doctor.accounts import AccountError, Role
from doctor.web.visit import SESSION_COOKIE, THEME_COOKIE, Desk, Visit, desk_of, form_of, page, plain

_THEMES: Final = ("dark", "light")
_A_YEAR_S: Final = 365 * 24 * 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class _Field:
    name: str
    label: str
    type: str = "text"
    autocomplete: str = "off"
    value: str = ""
    longest: int = 64
    hint: str = ""


_NAME: Final = _Field(name="name", label="Name", autocomplete="username")
_PASSWORD: Final = _Field(
    name="password", label="Password", type="password", autocomplete="current-password", longest=200
)
_NEW: Final = _Field(
    name="new",
    label="New password",
    type="password",
    autocomplete="new-password",
    longest=200,
    hint="Twelve letters or more; several words make a good one.",
)
_READER: Final = _Field(
    name="reader", label="How the clinics see you", autocomplete="name", longest=80, hint="For example: Dr. A. Reader"
)


async def sign_in(request: Request) -> Response:
    """The login."""
    desk = desk_of(request)
    form = await form_of(request)
    if request.method == "GET":
        return _sign_in_page(request)
    try:
        session = await run_in_threadpool(desk.store.log_in, form.get("name", ""), form.get("password", ""))
    except AccountError as error:
        return _sign_in_page(request, name=form.get("name", ""), problem=str(error), status=HTTPStatus.FORBIDDEN)
    return _enter(desk, session)


def _sign_in_page(request: Request, *, name: str = "", problem: str = "", status: int = HTTPStatus.OK) -> Response:
    fields = (replace(_NAME, value=name), _PASSWORD)
    content = plain(heading="Sign in", fields=fields, button="Sign in", problem=problem)
    return page(request, "door.html.j2", status=status, **content)


async def set_up(request: Request) -> Response:
    """Make the first account: for whoever reads the terminal, where the address is, and only while there is none."""
    desk = desk_of(request)
    form = await form_of(request)
    secret = request.path_params["secret"]
    right = hmac.compare_digest(secret.encode(), desk.setup.encode())
    if not right or len(await run_in_threadpool(desk.store.accounts)) > 0:
        raise HTTPException(HTTPStatus.NOT_FOUND, "This address has done its work: there is an account already.")
    problem = ""
    if request.method == "POST":
        try:
            await run_in_threadpool(
                desk.store.add_account, form.get("name", ""), form.get("reader", ""), Role.ADMIN, form.get("new", "")
            )
            return _enter(desk, await run_in_threadpool(desk.store.log_in, form["name"], form["new"]))
        except AccountError as error:
            problem = str(error)
    fields = (_filled(_NAME, form), _filled(_READER, form), _NEW)
    text = "This inbox has no account yet. Make yours; it may also add others."
    content = plain(heading="The first account", text=text, fields=fields, button="Make it", problem=problem)
    return page(
        request, "door.html.j2", status=HTTPStatus.UNPROCESSABLE_ENTITY if problem else HTTPStatus.OK, **content
    )


def password(visit: Visit) -> Response:
    """A new password for whoever is signed in."""
    problem = done = ""
    if visit.request.method == "POST":
        try:
            visit.desk.store.change_password(
                visit.account, visit.form.get("password", ""), visit.form.get("new", ""), keep=visit.session
            )
            done = "Your password is changed. Every other device has been signed out."
        except AccountError as error:
            problem = str(error)
    content = plain(
        heading="Password",
        text=f"Signed in as {visit.account.name}. The clinics see: {visit.account.reader}.",
        fields=(replace(_PASSWORD, label="Password until now"), _NEW),
        button="Change it",
        problem=problem,
        done=done,
        link="/",
        link_text="To the worklist",
    )
    return visit.page("door.html.j2", status=HTTPStatus.UNPROCESSABLE_ENTITY if problem else HTTPStatus.OK, **content)


def theme(visit: Visit) -> Response:
    """Dark or light pages, on this device."""
    response = RedirectResponse("/", status_code=HTTPStatus.SEE_OTHER)
    wanted = visit.form.get("theme", "")
    response.set_cookie(
        THEME_COOKIE,
        wanted if wanted in _THEMES else _THEMES[0],
        max_age=_A_YEAR_S,
        httponly=True,
        samesite="strict",
        secure=visit.desk.encrypted,
    )
    return response


def sign_out(visit: Visit) -> Response:
    """End the session; the browser forgets the pages and pictures that it kept."""
    visit.desk.store.log_out(visit.session)
    response = RedirectResponse("/login", status_code=HTTPStatus.SEE_OTHER)
    response.delete_cookie(SESSION_COOKIE, **_cookie(visit.desk))
    response.headers["clear-site-data"] = '"cache"'
    return response


def session(_: Visit) -> Response:
    """Whether somebody is signed in, for a script whose line broke."""
    return Response(status_code=HTTPStatus.NO_CONTENT)


def offline(request: Request) -> Response:
    """What the installed app shows where there is no line and nothing kept."""
    text = "There is no line to the inbox, and this page is not kept here. Reports that you opened before are."
    return page(request, "door.html.j2", **plain(heading="No line", text=text, link="/", link_text="To the worklist"))


def _filled(field: _Field, form: dict[str, str]) -> _Field:
    return replace(field, value=form.get(field.name, ""))


def _enter(desk: Desk, session: str) -> Response:
    response = RedirectResponse("/", status_code=HTTPStatus.SEE_OTHER)
    response.set_cookie(SESSION_COOKIE, session, **_cookie(desk))
    return response


def _cookie(desk: Desk) -> dict[str, Any]:
    return {"httponly": True, "samesite": "strict", "secure": desk.encrypted, "path": "/"}
