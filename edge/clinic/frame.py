"""What every page has around it: the alarms, the box's name, the notice; and when a browser need not load it anew."""

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import Any, Final

import jinja2
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from edge.alarm import Level, age, standing
from edge.clinic.box import Box
from edge.clinic.views import Teller
from edge.clinic.words import size
from edge.outbox.outbox import Outbox
from edge.pseudonym import Pseudonyms
from edge.wire.messages import NOTICE, Health, Report

FRESH_S: Final = 15
"""A page is made anew at least this often, because the ages on it grow."""
NAMED: Final = 10
"""So many pictures without an answer are named on top of each page."""


@contextmanager
def opened(box: Box) -> Iterator["Frame"]:
    """What makes the pages, with connections of its own.

    Raises:
        DatabaseError: The outbox cannot be opened.
        ConfigError: What tokens stand for cannot be opened.
    """
    with ExitStack() as stack:
        outbox, pseudonyms = stack.enter_context(box.open_outbox()), None
        if box.open_pseudonyms is not None and box.page.show_patient:
            pseudonyms = stack.enter_context(box.open_pseudonyms())
        yield Frame(box, outbox, pseudonyms)


class Frame:
    """Makes pages. Used by one thread, the one that serves them.

    Args:
        box: The agent.
        outbox: The page's own connection to its outbox.
        pseudonyms: Likewise, to what tokens stand for; None where patients are not shown.
    """

    def __init__(self, box: Box, outbox: Outbox, pseudonyms: Pseudonyms | None) -> None:
        self.box = box
        self.outbox = outbox
        self._pseudonyms = pseudonyms

    def teller(self) -> Teller:
        """Turns entries into cards, now."""
        return Teller(self.outbox, self.box.unanswered_after, self._patient, datetime.now(UTC))

    def _patient(self, token: str) -> str | None:
        meaning = self._pseudonyms.meaning(token) if self._pseudonyms is not None else None
        return None if meaning is None else meaning.get("PatientID")

    def health(self) -> Health:
        """How the box is."""
        return self.box.vitals.measure(self.outbox)

    def page(self, request: Request, template: str, status: int = 200, **values: Any) -> Response:
        """A page with its frame."""
        health, now = self.health(), datetime.now(UTC)
        asked = self.teller().asked()
        alarms = standing(health, self.box.line, unanswered_after=self.box.unanswered_after, now=now)
        text = (
            _templates()
            .get_template(template)
            .render(
                box=self.box,
                notice=NOTICE,
                health=health,
                asked=asked,
                alarms=alarms,
                urgent=sum(len(card.asks) for card in asked) + sum(alarm.level is Level.NOW for alarm in alarms),
                late=self._late(now) if health.unanswered else [],
                path=request.url.path,
                needs_password=self.box.page.password_file is not None,
                static_tag=_static_tag(),
                **values,
            )
        )
        return HTMLResponse(text, status, {"etag": self.tag(), "cache-control": "no-cache"})

    def _late(self, now: datetime) -> list[Report]:
        """The first of those that have waited too long."""
        after = self.box.unanswered_after
        return [] if after is None else [entry.report for entry in self.outbox.unanswered(after, now, limit=NAMED)]

    def bare(self, template: str, status: int = 200, **values: Any) -> Response:
        """A page for somebody who is not inside: nothing of the box but its name."""
        text = (
            _templates()
            .get_template(template)
            .render(box=self.box, notice=NOTICE, static_tag=_static_tag(), needs_password=True, **values)
        )
        return HTMLResponse(text, status)

    def unchanged(self, request: Request) -> Response | None:
        """The answer to a browser whose page is still right, else None."""
        tag = self.tag()
        return Response(status_code=304, headers={"etag": tag}) if request.headers.get("if-none-match") == tag else None

    def tag(self) -> str:
        """Differs whenever a page may: somebody has written, a file was set aside, the line broke, or time went by."""
        line = self.box.line
        parts = (
            self.outbox.execute("PRAGMA data_version").fetchone()[0],  # changes of others
            self.outbox.execute("SELECT total_changes()").fetchone()[0],  # of this connection
            line.is_up,
            line.since,
            len(self.box.quarantined()),
            int(datetime.now(UTC).timestamp()) // FRESH_S,
        )
        return f'"{hashlib.sha256(repr(parts).encode()).hexdigest()[:16]}"'


@cache
def _templates() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("edge.clinic"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["size"] = size
    environment.filters["age"] = lambda seconds: age(timedelta(seconds=seconds))
    environment.filters["clock"] = lambda at: f"{at:%H:%M}"
    environment.filters["moment"] = lambda at: f"{at:%d %B %Y, %H:%M}"
    return environment


@cache
def _static_tag() -> str:
    """Of the style sheet and the script, so that an update is not hidden by a browser's memory."""
    folder = files("edge.clinic") / "static"
    return hashlib.sha256(b"".join((folder / name).read_bytes() for name in ("clinic.css", "clinic.js"))).hexdigest()[
        :12
    ]
