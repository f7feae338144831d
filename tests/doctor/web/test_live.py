"""The stream of events: what is told, to whom, from where on, and when it ends."""

import json
from collections.abc import Iterator

import httpx
import pytest

from doctor.web import live


@pytest.fixture
def client(pages, reader) -> Iterator[httpx.Client]:
    """Somebody who is signed in."""
    with pages.client(reader) as client:
        yield client


def changes(lines: Iterator[str]) -> Iterator[tuple[str, dict]]:
    """Each change and its id."""
    mark = ""
    for line in lines:
        if line.startswith("id: "):
            mark = line.removeprefix("id: ")
        if line.startswith("data: "):
            yield mark, json.loads(line.removeprefix("data: "))


def test_a_page_that_lost_its_line_misses_nothing(client, arrive, store):
    """It says how far it was, in the address or as browsers do, and hears of what came since."""
    arrive(1)
    cursor = store.changes_since(None).cursor
    with client.stream("GET", f"/events?after={cursor}") as events:
        second = arrive(2, preview=False)
        mark, first_change = next(changes(events.iter_lines()))
    third = arrive(3, probability=0.1)

    with client.stream("GET", f"/events?after={cursor}", headers={"last-event-id": mark}) as events:
        _, second_change = next(changes(events.iter_lines()))

    assert first_change["reports"] == [second]
    assert second_change["reports"] == [third]


def test_only_urgent_findings_that_nobody_opened_are_alarms(client, arrive, store, other_reader):
    """With words for a notification, and no token of a patient among them."""
    cursor = store.changes_since(None).cursor
    arrive(1, probability=0.1)
    urgent = arrive(2, site="north", seq=7)
    store.open_report(arrive(3), other_reader)

    with client.stream("GET", f"/events?after={cursor}") as events:
        _, change = next(changes(events.iter_lines()))

    assert change["urgent"] == [
        {"number": urgent, "text": "Opacity 93\N{NO-BREAK SPACE}%, north no. 7", "address": f"/report/{urgent}"}
    ]


def test_the_stream_ends_with_the_session(client, store, monkeypatch):
    """Also where news never stops coming; the page then asks, and is told that it is signed out."""
    monkeypatch.setattr(live, "_SIGN_OF_LIFE_S", 0.2)
    with client.stream("GET", "/events") as events:
        lines = events.iter_lines()
        next(lines)
        store.log_out(client.cookies["session"])

        assert all(line in {"", ": still here"} for line in lines)

    assert client.get("/session", headers={"accept": "*/*"}).status_code == 401
