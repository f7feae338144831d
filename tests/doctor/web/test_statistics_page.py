"""The statistics page shows what the answers say, with what it is worth."""

from html import unescape

from doctor.learning.answered import CAVEAT
from doctor.reviews import Answer


def test_the_page_shows_shares_with_their_intervals(pages, store, arrive, reader):
    """By clinic and model; the caveat stands under the figures."""
    for seed, label in ((1, "opacity"), (2, "clear"), (3, "opacity")):
        number = arrive(seed)
        opened = store.open_report(number, reader)
        verdict = "agree" if label == "opacity" else "disagree"
        store.answer(number, Answer(verdict=verdict, label=label), reader, opened.revision)

    with pages.client(reader) as client:
        text = unescape(client.get("/statistics").text)

    assert "67%" in text
    assert "21 to 94% of 3" in text
    assert CAVEAT in text
    assert "every clinic" in text


def test_the_page_can_be_read_by_everybody(pages, open_page, accessibility_faults, arrive, store, reader):
    """By axe-core, with figures on it."""
    opened = store.open_report(arrive(1), reader)
    store.answer(1, Answer(verdict="agree"), reader, opened.revision)
    page = open_page(f"{pages.address}/login")
    pages.enter(page, reader)

    page.goto(f"{pages.address}/statistics")

    assert accessibility_faults(page) == []


def test_without_answers_the_page_says_so(pages, reader):
    """No table of nothing."""
    with pages.client(reader) as client:
        text = client.get("/statistics", params={"days": "nonsense", "clinic": "<b>nowhere</b>"}).text

    assert "Nobody has answered a report in this time." in text
    assert "<b>nowhere" not in text


def test_nobody_reads_it_without_signing_in(pages):
    """Like every page but the door."""
    with pages.client() as client:
        answer = client.get("/statistics")

    assert (answer.status_code, answer.headers["location"]) == (303, "/login")
