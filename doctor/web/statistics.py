"""What the readers' answers say of the models: by clinic, by month, against each other, and where images drift."""

from datetime import timedelta
from typing import Final

from starlette.responses import Response

from doctor.learning.answered import CAVEAT
from doctor.learning.overview import overview
from doctor.learning.records import Selection
from doctor.web.visit import Visit

_SPANS: Final = {"30": "30 days", "90": "90 days", "365": "a year", "": "all time"}
"""Days to how the page calls them."""
_DEFAULT: Final = "365"


def show(visit: Visit) -> Response:
    """The page; it counts anew each time it is opened."""
    asked = visit.request.query_params
    days = asked.get("days", _DEFAULT)
    if days not in _SPANS:
        days = _DEFAULT
    site = asked.get("clinic") or None
    since = visit.now - timedelta(days=int(days)) if days else None
    store = visit.desk.store
    return visit.page(
        "statistics.html.j2",
        here="statistics",
        found=overview(store, Selection(site, since), now=visit.now),
        caveat=CAVEAT,
        site=site,
        sites=store.known().sites,
        spans=_SPANS,
        days=days,
    )
