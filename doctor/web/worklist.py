"""The worklist: what needs reading first, and who is there among the clinics."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from starlette.responses import RedirectResponse, Response

from doctor.urgency import Urgency
from doctor.web.clinics import box_lines
from doctor.web.visit import Visit
from doctor.worklist import Counts, Filter, Show
from edge.errors import ConfigError

_ROWS: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class _View:
    """One of the lists that the tabs offer."""

    name: str
    title: str
    show: Show
    urgency: Urgency | None = None
    hot: bool = False


_VIEWS: Final = (
    _View(name="to-read", title="To read", show=Show.OPEN),
    _View(name="urgent", title="Urgent", show=Show.OPEN, urgency=Urgency.URGENT, hot=True),
    _View(name="unread", title="Unread", show=Show.UNREAD),
    _View(name="overdue", title="Overdue", show=Show.OVERDUE, hot=True),
    _View(name="answered", title="Answered", show=Show.ANSWERED),
    _View(name="all", title="All", show=Show.ALL),
)


def show(visit: Visit) -> Response:
    """The worklist, or the part of it that `static/worklist.js` puts into a page that is open."""
    asked = visit.request.query_params
    view = next((view for view in _VIEWS if view.name == asked.get("view")), _VIEWS[0])
    wanted = Filter(
        show=view.show,
        urgency=view.urgency,
        site=asked.get("clinic") or None,
        decision=asked.get("finding") or None,
    )
    store = visit.desk.store
    cursor = store.changes_since(
        None
    ).cursor  # before the lists are read: what comes between is announced once more, and never missed
    try:
        page = store.worklist(wanted, limit=_ROWS, after=asked.get("after"))
    except ConfigError:
        return RedirectResponse("/", status_code=303)
    counts, known = store.counts(), store.known()
    kept = {name: asked[name] for name in ("clinic", "finding") if asked.get(name)}
    here = {"view": view.name, **kept}
    return visit.page(
        "worklist.html.j2",
        here="worklist",
        view=view.name,
        clinic=wanted.site,
        finding=wanted.decision,
        tabs=[_tab(one, counts, kept, chosen=one is view) for one in _VIEWS],
        counts={"urgent": counts.open[Urgency.URGENT]},
        items=page.items,
        cursor=cursor,
        address=_address({**here, "after": asked.get("after")}),
        first_address=_address(here),
        paged="after" in asked,
        older=_address({**here, "after": page.next}) if page.next else None,
        clinics=box_lines(store.clinics()),
        sites=known.sites,
        findings=known.decisions,
    )


def _address(query: Mapping[str, str | None]) -> str:
    given = {name: value for name, value in query.items() if value and (name, value) != ("view", _VIEWS[0].name)}
    return f"/?{urlencode(given)}" if given else "/"


def _tab(view: _View, counts: Counts, kept: Mapping[str, str], *, chosen: bool) -> dict[str, object]:
    count = {
        "to-read": sum(counts.open.values()),
        "urgent": counts.open[Urgency.URGENT],
        "unread": counts.unread,
        "overdue": counts.overdue,
    }.get(view.name)
    address = _address({"view": view.name, **kept})
    return {
        "name": view.name,
        "title": view.title,
        "address": address,
        "count": count,
        "chosen": chosen,
        "hot": view.hot,
    }
