"""Whatever comes over the wire is stored, or counted and kept aside; nothing stops the inbox."""

import json

import msgspec
import pytest

from doctor.arrivals import take
from doctor.rejected import BEGINNING_BYTES, KEPT, Fault
from doctor.reviews import Answer
from doctor.worklist import Filter
from edge.wire.messages import Confirmation, Health, Receipt, Report, Status, decode, encode

BOX = "xray/v1/clinic/box-1"
ID = f"{1:032x}"
JPEG = b"\xff\xd8\xff\xe0 a picture"


@pytest.fixture
def send(store):
    """Let one message arrive; returns what is said in return."""

    def send_one(topic: str, payload: bytes):
        with store.database.writing() as writing:
            return take(writing, topic, payload, prefix="xray")

    return send_one


@pytest.fixture
def document(make_report) -> dict:
    """A report as a mapping, to be spoilt."""
    return json.loads(encode(make_report(1)))


def spoilt(document: dict, **changes: object) -> bytes:
    """A report with other fields."""
    return json.dumps({**document, **changes}).encode()


def test_a_report_is_stored_and_gets_its_receipt_also_when_it_comes_again(store, send, make_report):
    """The same receipt, because the box is still asking; the repetition is counted."""
    payload = encode(make_report(1))

    (first,) = send(f"{BOX}/report/{ID}", payload)
    (second,) = send(f"{BOX}/report/{ID}", payload)

    receipt = decode(first.payload, Receipt)
    assert (first.topic, first.retain) == (f"{BOX}/receipt/{ID}", False)
    assert (receipt.id, receipt.stored_at, receipt.preview) == (ID, store.item(1).stored_at, False)
    assert second == first
    assert store.rejections() == {Fault.REPEATED: 1}
    assert store.rejected() == []


def test_a_receipt_says_when_the_preview_has_come_too(store, send, make_report):
    """Then the box owes nothing more."""
    early = send(f"{BOX}/preview/{ID}", JPEG)
    send(f"{BOX}/report/{ID}", encode(make_report(1)))

    (said,) = send(f"{BOX}/preview/{ID}", JPEG)

    assert early == ()
    assert decode(said.payload, Receipt).preview
    assert store.preview(1) == JPEG
    assert store.rejections() == {}


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"schema": "xray.report/2"}, Fault.NEWER_SCHEMA),
        ({"schema": "xray.report/12", "id": None}, Fault.NEWER_SCHEMA),
        ({"schema": "something"}, Fault.SCHEMA),
        ({"schema": 7}, Fault.SCHEMA),
        ({"probabilities": "many"}, Fault.SCHEMA),
        ({"received_at": "2026-01-02T03:04:05"}, Fault.SCHEMA),
        ({"id": f"{2:032x}"}, Fault.IDENTITY),
        ({"site": "other"}, Fault.IDENTITY),
        ({"device": "box-2"}, Fault.IDENTITY),
        ({"heatmap": [[0.5] * 7] * 6}, Fault.HEATMAP),
        ({"heatmap": [[0.5] * 6] * 7}, Fault.HEATMAP),
        ({"heatmap": [[0.5] * 7] * 6 + [[0.5]]}, Fault.HEATMAP),
        ({"heatmap": []}, Fault.HEATMAP),
        ({"heatmap": [[2.0] * 7] * 7}, Fault.HEATMAP),
        ({"heatmap": [[-0.1] * 7] * 7}, Fault.HEATMAP),
        ({"heatmap": [["x"] * 7] * 7}, Fault.HEATMAP),
        ({"decision": "c\0vid"}, Fault.SCHEMA),
        ({"decision": "x" * 81}, Fault.SCHEMA),
        ({"patient": "p" * 65}, Fault.SCHEMA),
        ({"padding": "x" * 10_000_000}, Fault.TOO_LARGE),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_report_that_cannot_be_taken_is_kept_aside(store, send, document, changes, fault):
    """With what was wrong and its beginning; no receipt, no row."""
    payload = spoilt(document, **changes)

    said = send(f"{BOX}/report/{ID}", payload)

    (kept,) = store.rejected()
    assert said == ()
    assert (kept.fault, kept.topic, kept.size_bytes) == (fault, f"{BOX}/report/{ID}", len(payload))
    assert kept.beginning == payload[:BEGINNING_BYTES]
    assert store.rejections() == {fault: 1}
    assert store.worklist(Filter(), limit=10).items == ()


@pytest.mark.parametrize(
    ("topic", "payload", "fault"),
    [
        (f"{BOX}/report/{ID}", b"rubbish", Fault.NOT_JSON),
        (f"{BOX}/report/{ID}", b"", Fault.NOT_JSON),
        (f"{BOX}/report/{ID}", b"\xff\xfe\x00", Fault.NOT_JSON),
        (f"{BOX}/report/{ID}", b"[" * 8000, Fault.NOT_JSON),
        (f"{BOX}/report/{ID}", b'{"id": "\\ud800"}', Fault.NOT_JSON),
        (f"{BOX}/report/{ID}", b"null", Fault.SCHEMA),
        (f"{BOX}/report/{ID}", bytes(10_000_000), Fault.TOO_LARGE),
        (f"{BOX}/preview/{ID}", b"GIF89a", Fault.NOT_JPEG),
        (f"{BOX}/preview/{ID}", b"\xff\xd8\xff" + bytes(200_000), Fault.TOO_LARGE),
        (f"{BOX}/status", b'{"state": "asleep"}', Fault.SCHEMA),
        (f"{BOX}/status", b"", Fault.NOT_JSON),
        (f"{BOX}/health", b"{}", Fault.SCHEMA),
        (f"{BOX}/card", b"[]", Fault.SCHEMA),
        (f"{BOX}/card", b"no", Fault.NOT_JSON),
        (f"{BOX}/card", bytes(100_000), Fault.TOO_LARGE),
        (f"{BOX}/confirmation/{ID}", encode(Confirmation(id=ID, revision=1)), Fault.UNASKED),
        (f"{BOX}/confirmation/{ID}", encode(Confirmation(id="0" * 32, revision=1)), Fault.IDENTITY),
        (f"{BOX}/response/image", b'{"transaction": "t", "at": "2026-01-02T03:04:05Z"}', Fault.UNASKED),
        (f"{BOX}/receipt/{ID}", b"{}", Fault.TOPIC),
        (f"{BOX}/strange/{ID}", b"{}", Fault.TOPIC),
        ("xray/v1/<script>/box/status", b"{}", Fault.TOPIC),
        ("other/v1/clinic/box/status", b"{}", Fault.TOPIC),
    ],
    ids=lambda value: str(value)[:40],
)
def test_rubbish_of_every_kind_is_named(store, send, topic, payload, fault):
    """By what was wrong with it."""
    assert send(topic, payload) == ()
    assert store.rejections() == {fault: 1}


def test_a_text_that_a_database_refuses_stops_nothing(store, send):
    """PostgreSQL's texts hold no NUL; SQLite's do, and nobody has asked."""
    said = send(f"{BOX}/response/image", b'{"transaction": "t\\u0000", "at": "2026-01-02T03:04:05Z"}')

    assert said == ()
    assert sum(store.rejections().values()) == 1


def test_a_report_that_comes_again_with_another_finding_changes_nothing(store, send, make_report):
    """The first stands, the box gets its receipt, and the admin sees it."""
    send(f"{BOX}/report/{ID}", encode(make_report(1)))

    (said,) = send(f"{BOX}/report/{ID}", encode(make_report(1, decision="normal")))

    assert said.topic == f"{BOX}/receipt/{ID}"
    assert store.item(1).report == make_report(1)
    assert store.rejections() == {Fault.REPEATED: 1, Fault.CONTRADICTION: 1}


def test_what_is_kept_aside_is_bounded(store, send, monkeypatch):
    """The oldest goes; the count stays."""
    monkeypatch.setattr("doctor.rejected.KEPT", 3)

    for number in range(5):
        send(f"{BOX}/report/{ID}", f"rubbish {number}".encode())

    assert [kept.beginning for kept in store.rejected()] == [b"rubbish 4", b"rubbish 3", b"rubbish 2"]
    assert store.rejections() == {Fault.NOT_JSON: 5}
    assert KEPT == 1000


def test_one_bad_message_takes_no_other_with_it(store, make_report):
    """Also in one transaction, and where it is the database that refuses."""
    bad = msgspec.structs.replace(make_report(1).model, id="x" * 201)
    with store.database.writing() as writing:
        for number, model in ((1, None), (2, bad), (3, None)):
            report = make_report(number) if model is None else make_report(number, model=model)
            take(writing, f"{BOX}/report/{report.id}", encode(report), prefix="xray")

    assert [stored.report.seq for stored in store.unshown()] == [1, 3]
    assert store.rejections() == {Fault.SCHEMA: 1}


def test_a_confirmed_review_is_taken_away_from_the_broker(store, send, make_report, reader):
    """Only the one that stands, and again each time the box says so."""
    send(f"{BOX}/report/{ID}", encode(make_report(1)))
    store.answer(1, Answer(verdict="agree"), reader, 0)
    store.answer(1, Answer(verdict="disagree", label="normal"), reader, 1)

    old = send(f"{BOX}/confirmation/{ID}", encode(Confirmation(id=ID, revision=1)))
    (new,) = send(f"{BOX}/confirmation/{ID}", encode(Confirmation(id=ID, revision=2)))
    again = send(f"{BOX}/confirmation/{ID}", encode(Confirmation(id=ID, revision=2)))

    assert old == ()
    assert (new.topic, new.payload, new.retain) == (f"{BOX}/review/{ID}", b"", True)
    assert again == (new,)
    assert store.reviews_owed() == []


def test_a_box_is_known_by_what_it_last_told(store, send, make_report):
    """Status, health and card; since when only where the state changed."""
    now = make_report(1).received_at
    health = Health(
        at=now, clock_synced=True, owed=2, unanswered=0, quarantined=0, disk_free_bytes=1, uptime_s=1.0,
        version="0.1.0", model="m@1",
    )  # fmt: skip
    send(f"{BOX}/status", encode(Status(state="online", at=now, model="m@1")))
    (first,) = store.clinics()
    send(f"{BOX}/status", encode(Status(state="online", at=now, model="m@2")))
    send(f"{BOX}/health", encode(health))
    send(f"{BOX}/card", b'{"name": "m"}')
    send(f"{BOX}/report/{ID}", encode(make_report(1)))
    (second,) = store.clinics()
    send(f"{BOX}/status", encode(Status(state="offline", at=None, model="m@2")))
    send("xray/v1/clinic/box-2/status", encode(Status(state="stopped", at=now, model="m@2")))
    third, other = store.clinics()

    assert (second.state, second.since, second.model) == ("online", first.since, "m@1")
    assert (second.health, second.card, second.waiting) == (health, {"name": "m"}, 1)
    assert (third.state, third.since > first.since, third.health) == ("offline", True, health)
    assert (other.device, other.state, other.waiting) == ("box-2", "stopped", 0)


def test_pages_that_follow_along_learn_what_changed(store, send, make_report, reader):
    """Reports that came, got a preview or a review, and boxes that told something; nothing twice."""
    start = store.changes_since(None)
    send(f"{BOX}/report/{ID}", encode(make_report(1)))
    send(f"{BOX}/status", encode(Status(state="online", at=None, model="m")))

    came = store.changes_since(start.cursor)
    send(f"{BOX}/preview/{ID}", JPEG)
    pictured = store.changes_since(came.cursor)
    store.answer(1, Answer(verdict="agree"), reader, 0)
    answered = store.changes_since(pictured.cursor)
    quiet = store.changes_since(answered.cursor)

    assert (start.reports, start.clinics) == ((), ())
    assert (came.reports, came.clinics) == ((1,), (("clinic", "box-1"),))
    assert (pictured.reports, pictured.clinics) == ((1,), ())
    assert answered.reports == (1,)
    assert (quiet.reports, quiet.cursor) == ((), answered.cursor)


def test_very_many_changes_come_in_parts(store, make_report, monkeypatch):
    """And none is left out, also where one transaction changed several."""
    monkeypatch.setattr("doctor.changes._AT_ONCE", 4)
    cursor = store.changes_since(None).cursor
    for first in range(0, 12, 3):
        with store.database.writing() as writing:
            for number in range(first, first + 3):
                report = make_report(number)
                take(writing, f"{BOX}/report/{report.id}", encode(report), prefix="xray")

    seen: set[int] = set()
    while True:
        changes = store.changes_since(cursor)
        if changes.cursor == cursor:
            break
        seen |= set(changes.reports)
        cursor = changes.cursor

    assert seen == set(range(1, 13))


def test_no_report_holds_what_names_a_patient(store, send, document):
    """Unknown fields are ignored, so a careless box cannot bring a name into the store."""
    send(f"{BOX}/report/{ID}", spoilt(document, patient_name="Erika Mustermann"))

    (stored,) = store.unshown()
    assert b"Erika" not in encode(stored.report)
    assert isinstance(stored.report, Report)
