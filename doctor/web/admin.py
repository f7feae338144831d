"""What only admins see: messages that were set aside, accounts, and the audit log."""

from http import HTTPStatus
from typing import Final

from starlette.responses import Response

from doctor.accounts import AccountError, Role
from doctor.audit import Verdict
from doctor.web.visit import Visit

_REJECTED: Final = 100
_ENTRIES: Final = 50


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
        return _page(visit, problem=str(error), status=HTTPStatus.UNPROCESSABLE_ENTITY)
    return _page(visit, done=f"{form['reader']} can sign in now.")


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
        rejections=store.rejections(),
        rejected=store.rejected(limit=_REJECTED),
        accounts=store.accounts(),
        entries=store.audit_entries(last=_ENTRIES),
    )
