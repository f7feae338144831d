"""Reading one report: what the box says of it, what others said, and this doctor's answer."""

from dataclasses import dataclass
from typing import Any, Final, Literal

from starlette.responses import JSONResponse, RedirectResponse, Response

from doctor.reviews import Answer, ConflictError
from doctor.urgency import Mark, marks_of, reason_of
from doctor.web import wording
from doctor.web.picture import full_state
from doctor.web.visit import Visit
from doctor.worklist import Filter, Item
from edge.errors import MessageError
from edge.study import INCONCLUSIVE
from edge.wire.messages import Picture, Report, Review

_GAUGE_WIDTH: Final = 400
_LONGEST_LABEL: Final = 80
_LONGEST_TEXT: Final = 1000
_OTHER: Final = "other"
_SEE: Final = "see:"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Draft:
    """What the form held when it could not be sent."""

    choice: str
    label: str
    new_image: bool
    call_back: bool
    text: str


def show(visit: Visit) -> Response:
    """The reading page; whoever sees it has opened the report."""
    item = visit.desk.store.item(visit.number)
    if item is None:
        return visit.missing("There is no report of this number.")
    if "x-keep" not in visit.request.headers:  # kept for a journey, or looked after in the background: nobody reads it
        visit.desk.store.open_report(item.number, visit.account)
        item = visit.desk.store.item(visit.number) or item
    return _page(visit, item)


def answer(visit: Visit) -> Response:
    """Take an answer, unless somebody has answered since this page was loaded."""
    item = visit.desk.store.item(visit.number)
    if item is None:
        return visit.missing("There is no report of this number.")
    draft = _draft(visit)
    if (problem := _problem(draft, item.report, visit.form.get("revision", ""))) is not None:
        return _page(visit, item, draft=draft, problem=problem, status=422)
    given = _answer_of(draft, item.report)
    try:
        visit.desk.store.answer(item.number, given, visit.account, int(visit.form["revision"]))
    except ConflictError as error:
        if not _is_same(error.standing, given, visit):
            newer = visit.desk.store.item(item.number) or item
            return _page(visit, newer, draft=draft, conflict=error.standing, status=409)
    except MessageError as error:
        return _page(visit, item, draft=draft, problem=f"{error}", status=422)
    address = f"/report/{item.number}"
    if visit.wants_json:
        return JSONResponse({"address": address})
    return RedirectResponse(address, status_code=303)


def _draft(visit: Visit) -> _Draft:
    form = visit.form
    return _Draft(
        choice=form.get("choice", ""),
        label=form.get("label", "").strip(),
        new_image=form.get("new_image") == "yes",
        call_back=form.get("call_back") == "yes",
        text=form.get("text", "").strip(),
    )


def _problem(draft: _Draft, report: Report, revision: str) -> str | None:
    """What keeps an answer from being sent, in words."""
    if draft.choice not in {choice["value"] for choice in _choices(report)}:
        return "Choose what you see first."
    if draft.choice == _OTHER and not draft.label:
        return "Say what you see instead."
    if len(draft.label) > _LONGEST_LABEL or len(draft.text) > _LONGEST_TEXT:
        return f"Say it in at most {_LONGEST_TEXT} letters, and what you see in at most {_LONGEST_LABEL}."
    if not revision.isascii() or not revision.isdecimal():
        return "This page is incomplete; load it again."
    return None


def _answer_of(draft: _Draft, report: Report) -> Answer:
    verdict: Literal["agree", "disagree", "cannot-judge"]
    label: str | None
    match draft.choice:
        case "agree":
            verdict, label = "agree", report.decision
        case "cannot-judge":
            verdict, label = "cannot-judge", None
        case "other":
            verdict, label = "disagree", draft.label
        case choice:
            verdict, label = "disagree", choice.removeprefix(_SEE)
    return Answer(verdict=verdict, label=label, new_image=draft.new_image, call_back=draft.call_back, text=draft.text)


def _is_same(standing: Review | None, given: Answer, visit: Visit) -> bool:
    """Whether the answer that stands is this very one: sent twice, because the reply was lost on the line."""
    return (
        standing is not None
        and standing.reader == visit.account.reader
        and (standing.verdict, standing.label, standing.new_image, standing.call_back, standing.text)
        == (given.verdict, given.label, given.new_image, given.call_back, given.text)
    )


def _page(
    visit: Visit,
    item: Item,
    *,
    draft: _Draft | None = None,
    conflict: Review | None = None,
    problem: str | None = None,
    status: int = 200,
) -> Response:
    store, report, review = visit.desk.store, item.report, item.review
    cursor = store.changes_since(None).cursor
    answered = review is not None and review.state == "answered"
    others = review.reader if review is not None and review.reader != visit.account.reader else None
    return visit.page(
        "reading.html.j2",
        status=status,
        here="reading",
        item=item,
        review=review,
        address=f"/report/{item.number}",
        cursor=cursor,
        picture=report.picture if item.has_preview and _is_drawable(report.picture) else None,
        no_picture=_no_picture(report),
        gauge=_gauge(report),
        reason=reason_of(report, item.urgency),
        warnings=[_WARNINGS[mark] for mark in marks_of(report)],
        others=None if answered else others,
        earlier=store.earlier(item),
        full=full_state(store, item.number),
        following=_following(visit, item),
        choices=_choices(report),
        draft=draft,
        conflict=conflict,
        problem=problem,
    )


_WARNINGS: Final = {
    Mark.UNSIGNED: "Nobody vouches for the model that says this: its bundle is unsigned.",
    Mark.ALLOWED: "This model decides otherwise than the one it was made from. Somebody let it pass; see below why.",
    Mark.NOT_VALIDATED: "Nobody has said what this model was measured on.",
    Mark.CLOCK: "The box's clock was not set: trust the order of its images, not their times.",
}


def _is_drawable(picture: Picture | None) -> bool:
    return picture is not None and picture.width_px > 0 and picture.height_px > 0


def _no_picture(report: Report) -> str:
    if report.picture is None or report.picture.preview_bytes == 0:
        return "This box sends no pictures. Fetch the picture in full, or ask the clinic."
    return "The picture has not arrived yet. It appears here by itself."


def _gauge(report: Report) -> dict[str, Any] | None:
    """The bar under the finding: how much speaks for the sought label, and where the decision turns."""
    value = report.probabilities.get(report.positive)
    if value is None:
        return None
    limit = wording.percent(report.threshold)
    text = f"{wording.named(report.positive)} {wording.percent(value)}; decided from {limit} on"
    low, high = report.band or (report.threshold, report.threshold)
    if high > low:
        text += f", inconclusive between {wording.percent(low)} and {wording.percent(high)}"
    return {
        "text": f"{text}.",
        "value": round(_GAUGE_WIDTH * value, 1),
        "limit": round(_GAUGE_WIDTH * report.threshold, 1),
        "unsure_start": round(_GAUGE_WIDTH * low, 1),
        "unsure_width": round(_GAUGE_WIDTH * (high - low), 1),
    }


def _choices(report: Report) -> list[dict[str, str]]:
    """What can be answered with one touch: the box's decision, the other classes, another word, no judgement."""
    choices = []
    if report.decision != INCONCLUSIVE:  # nobody agrees with a model that does not know: they say what they see
        choices.append({"value": "agree", "title": "Agree", "of": wording.named(report.decision), "key": "a"})
    others = sorted((label for label in report.probabilities if label != report.decision), key=report.positive.__ne__)
    for number, label in enumerate(others, 1):
        choices.append({"value": f"{_SEE}{label}", "title": wording.named(label), "of": "", "key": f"{number}"})
    choices.append({"value": _OTHER, "title": "Other", "of": "", "key": "o"})
    choices.append({"value": "cannot-judge", "title": "Cannot judge", "of": "", "key": "c"})
    return choices


def _following(visit: Visit, item: Item) -> int | None:
    """The first report to read other than this one."""
    for lead in visit.desk.store.worklist(Filter(), limit=2).items:
        for one in (lead, *lead.study):
            if one.number != item.number:
                return one.number
    return None
