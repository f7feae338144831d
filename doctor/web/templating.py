"""Templates -> pages. Every text is escaped on its way into a page, for labels and free texts are anybody's words."""

from functools import cache
from typing import Any, Final

import jinja2

from doctor.urgency import Urgency
from doctor.web import wording
from doctor.worklist import Item
from edge.wire.messages import Report

_TONE: Final = {
    Urgency.CALL_BACK: "urgent",
    Urgency.URGENT: "urgent",
    Urgency.SOON: "soon",
    Urgency.CHECK: "soon",
    Urgency.ROUTINE: "routine",
}
"""Which of the three tones of `static/page.css` an urgency is shown in."""


def render(template: str, **content: Any) -> str:
    """Fill a template of `templates/`; a name it uses and is not given is an error."""
    return _environment().get_template(template).render(**content)


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("doctor.web"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "age": wording.age,
        "moment": wording.moment,
        "named": wording.named,
        "percent": wording.percent,
        "score": wording.score,
        "share": _share,
        "shown": wording.shown,
        "size": wording.size,
        "tone": _TONE.__getitem__,
    }
    environment.tests["answered"] = _is_answered
    return environment


def _share(report: Report) -> float | None:
    return wording.share_of(report.decision, report.positive, report.probabilities)


def _is_answered(item: Item) -> bool:
    return item.review is not None and item.review.state == "answered"
