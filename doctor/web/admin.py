"""What only admins see: boxes and what they can be asked, messages that were set aside, accounts, the audit log."""

from http import HTTPStatus
from typing import Final

from starlette.responses import Response

from doctor.accounts import AccountError, Role
from doctor.audit import Verdict
from doctor.requests import Asked, Command
from doctor.web.clinics import box_lines
from doctor.web.visit import Visit

_REJECTED: Final = 100
_ENTRIES: Final = 50
_LAST: Final = 3
_UNPROCESSABLE: Final = HTTPStatus.UNPROCESSABLE_ENTITY
_ASKED: Final = {Command.SELF_TEST: "Self-test", Command.RESTART: "Restart"}
"""What a box can be asked here, and how it is called."""


def show(visit: Visit) -> Response:
    """The page."""
    return _page(visit)


def add_account(visit: Visit) -> Response:
    """Let somebody else read, too."""
    form = visit.form
    role = Role.ADMIN if form.get("admin") == "yes" else Role.READER
    try:
        visit.desk.store.add_account(
            form.get("name", ""), form.get("reader", ""), role, form.get("new", ""), by=visit.account
        )
    except AccountError as error:
        return _page(visit, problem=str(error), status=_UNPROCESSABLE)
    return _page(visit, done=f"{form['reader']} can sign in now.")


def disable_account(visit: Visit) -> Response:
    """Let somebody in no more, from this moment on."""
    name = visit.form.get("name", "")
    try:
        visit.desk.store.disable_account(name, by=visit.account)
    except AccountError as error:
        return _page(visit, problem=str(error), status=_UNPROCESSABLE)
    return _page(visit, done=f"{name} can sign in no more.")


def ask_box(visit: Visit) -> Response:
    """Ask a box to examine itself, or to start anew."""
    form = visit.form
    known = {(clinic.site, clinic.device) for clinic in visit.desk.store.clinics()}
    box = (form.get("site", ""), form.get("device", ""))
    command = next((command for command in _ASKED if command == form.get("command")), None)
    if box not in known or command is None:
        return _page(visit, problem="There is no such box, or it cannot be asked that.", status=_UNPROCESSABLE)
    visit.desk.store.ask_box(*box, command, visit.account)
    return _page(visit, done=f"{'/'.join(box)} is asked: {_ASKED[command]}. Its answer appears in the list of boxes.")


def _asked_line(asked: Asked) -> str:
    """What became of a request, in a line."""
    what = _ASKED.get(asked.command, str(asked.command))
    if asked.error is not None:
        return f"{what}: {asked.error}"
    if asked.answered_at is None:
        return f"{what}: asked, no answer yet"
    wrong = [f"{name}: {outcome}" for name, outcome in (asked.result or {}).items() if outcome != "ok"]
    return f"{what}: {'; '.join(wrong) or 'done, nothing is wrong'}"


def verify(visit: Visit) -> Response:
    """Go through the whole audit log."""
    return _page(visit, verdict=visit.desk.store.verify_audit())


def _page(
    visit: Visit, *, problem: str = "", done: str = "", verdict: Verdict | None = None, status: int = HTTPStatus.OK
) -> Response:
    store = visit.desk.store
    return visit.page(
        "admin.html.j2",
        status=status,
        here="admin",
        problem=problem,
        done=done,
        verdict=verdict,
        boxes=[
            (line, [(one.asked_at, _asked_line(one)) for one in store.asked_of(line.site, line.device, limit=_LAST)])
            for line in box_lines(store.clinics())
        ],
        asked=_ASKED,
        rejections=store.rejections(),
        rejected=store.rejected(limit=_REJECTED),
        accounts=store.accounts(),
        entries=store.audit_entries(last=_ENTRIES),
    )
