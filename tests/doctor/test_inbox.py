"""The inbox between a real broker and the store."""

import time
from contextlib import contextmanager
from datetime import UTC, datetime
from hashlib import sha256
from threading import Event, Thread

import pytest

from doctor.inbox import Inbox
from doctor.rejected import Fault
from doctor.requests import Command
from doctor.reviews import Answer
from doctor.store import Store
from edge.mqtt.broker import Line, Received
from edge.settings.config import BrokerConfig
from edge.wire.messages import Chunk, Confirmation, Receipt, Request, Response, Review, Status, decode, encode
from edge.wire.topics import Address

BOX = Address("xray", "clinic", "box-1")
PROBE = Address("xray", "probe", "probe")
PNG = bytes(range(256)) * 400


@pytest.fixture
def config(mosquitto) -> BrokerConfig:
    """The broker."""
    return BrokerConfig(address=mosquitto.address)


@pytest.fixture
def running_on(config):
    """Run an inbox in a thread for a while, over a store."""

    @contextmanager
    def run(store: Store):
        stop, problems = Event(), []

        def work() -> None:
            try:
                Inbox(config, store).run(stop)
            except Exception as error:  # noqa: BLE001 - shown by the test
                problems.append(error)

        cursor = store.changes_since(None).cursor
        thread = Thread(target=work)
        thread.start()
        try:
            with Line(config, client_id="probe") as line:  # retained, so it arrives as soon as the inbox listens
                line.publish(PROBE.status, encode(Status(state="online", at=datetime.now(UTC), model="")), retain=True)
                wait_until(lambda: store.changes_since(cursor).clinics or problems)
            yield
        finally:
            stop.set()
            thread.join(timeout=10)
            assert (problems, thread.is_alive()) == ([], False)

    return run


@pytest.fixture
def running(running_on, store):
    """Run an inbox in a thread for a while."""
    return lambda: running_on(store)


@pytest.fixture
def box(config):
    """A box's end of the line."""
    with Line(config, client_id="box-1", subscriptions=BOX.to_this_box) as line:
        yield line


def wait_until(condition, timeout_s: float = 20) -> None:
    """Wait until something holds."""
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.05)


def next_message(line: Line, topic: str, timeout_s: float = 10) -> Received:
    """The next message under a topic."""
    deadline_s = time.monotonic() + timeout_s
    while time.monotonic() < deadline_s:
        event = line.next_event(0.1)
        if isinstance(event, Received):
            line.acknowledge(event)
            if event.topic == topic:
                return event
    pytest.fail(f"nothing came under {topic}")


def test_a_review_reaches_the_box_and_leaves_the_broker_when_it_is_confirmed(
    store, running, box, config, make_report, reader
):
    """Opened and answered, each retained, and then nothing."""
    report = make_report()
    with running():
        box.publish(BOX.report(report.id), encode(report))
        receipt = decode(next_message(box, BOX.receipt(report.id)).payload, Receipt)
        store.open_report(1, reader)
        opened = decode(next_message(box, BOX.review(report.id)).payload, Review)
        store.answer(1, Answer(verdict="agree"), reader, 1)
        answered = decode(next_message(box, BOX.review(report.id)).payload, Review)
        with Line(config, client_id="late", subscriptions=[BOX.review("+")]) as late:
            retained = decode(next_message(late, BOX.review(report.id)).payload, Review)
        box.publish(BOX.confirmation(report.id), encode(Confirmation(id=report.id, revision=2)))
        cleared = next_message(box, BOX.review(report.id)).payload
        with Line(config, client_id="later", subscriptions=[BOX.review("+")]) as later:
            nothing = later.next_event(0.5)

    assert receipt.id == report.id
    assert (opened.state, answered.state, answered.verdict) == ("opened", "answered", "agree")
    assert retained == answered
    assert (cleared, nothing) == (b"", None)
    assert store.reviews_owed() == []


def test_reviews_that_a_broker_forgot_are_sent_again(store, running, config, make_report, reader):
    """Each connection begins with what the boxes have not confirmed."""
    report = make_report()
    store.add(report)
    store.open_report(1, reader)

    for _ in range(2):
        with running(), Line(config, client_id="box-1", subscriptions=BOX.to_this_box) as line:
            assert decode(next_message(line, BOX.review(report.id)).payload, Review).revision == 1
            line.publish(BOX.review(report.id), b"", retain=True)
            time.sleep(0.2)


def test_a_picture_comes_whole_through_a_broken_line(store, running, config, make_report, reader):
    """Each piece is asked for when the one before has come, also by an inbox that was started anew."""
    report = make_report()
    store.add(report)
    store.ask(1, Command.IMAGE, reader)
    whole = {"media_type": "image/png", "total_bytes": len(PNG), "sha256": sha256(PNG).hexdigest()}

    def serve(pieces: int) -> None:
        with running(), Line(config, client_id="box-1", subscriptions=BOX.to_this_box) as line:
            line.publish(BOX.status, encode(Status(state="online", at=None, model="m")), retain=True)
            answered: set[int] = set()  # a piece may be asked for twice
            while len(answered) < pieces:
                request = decode(next_message(line, BOX.request("image")).payload, Request)
                start = request.offset_bytes
                piece = Chunk(offset_bytes=start, content=PNG[start : start + request.size_bytes], **whole)
                answer = Response(transaction=request.transaction, at=datetime.now(UTC), chunk=piece)
                line.publish(BOX.response("image"), encode(answer))
                answered.add(start)
            wait_until(lambda: store.image(1).received_bytes > max(answered))

    serve(2)
    halfway = store.image(1)
    serve(2)

    assert (halfway.verified, halfway.received_bytes) == (False, 2 * 32768)
    assert store.image_content(1) == PNG


def test_rubbish_does_not_stop_the_inbox(store, running, box, make_report):
    """It is counted, and the next report is stored."""
    report = make_report()
    with running():
        for payload in (b"rubbish", b'{"schema": "xray.report/9"}', bytes(10_000_000)):
            box.publish(BOX.report("0" * 32), payload)
        box.publish(BOX.report(report.id), encode(report))
        next_message(box, BOX.receipt(report.id), timeout_s=30)

    assert store.rejections() == {Fault.NOT_JSON: 1, Fault.NEWER_SCHEMA: 1, Fault.TOO_LARGE: 1}
    assert store.item(1).report == report


def test_a_review_that_a_killed_inbox_left_at_the_broker_is_taken_away(
    store, running, config, make_report, reader, monkeypatch
):
    """It had noted the box's confirmation, and was killed before it could say so to the broker."""
    monkeypatch.setattr("doctor.inbox._SWEEP_EVERY_S", 0.2)
    report = make_report()
    store.add(report)
    review = store.open_report(1, reader)
    with Line(config, client_id="killed") as line:
        line.publish(BOX.review(report.id), encode(review), retain=True)
        line.next_event(5)
    store.confirm(report.site, report.device, report.id, 1)

    with running():
        wait_until(lambda: store.reviews_to_clear() == [])

    with Line(config, client_id="late", subscriptions=[BOX.review("+")]) as late:
        assert late.next_event(0.5) is None


def test_an_inbox_waits_for_its_database(postgresql, running_on, config, make_report):
    """Nothing is acknowledged while the server is away, so nothing is lost."""
    report = make_report()
    with Store.open(postgresql.new_place()) as store, running_on(store):
        postgresql.stop()
        with Line(config, client_id="box-1", subscriptions=BOX.to_this_box) as line:
            line.publish(BOX.report(report.id), encode(report))
            nothing = line.next_event(1) and line.next_event(1)
            postgresql.run()
            receipt = decode(next_message(line, BOX.receipt(report.id), timeout_s=30).payload, Receipt)

    assert nothing is None
    assert receipt.id == report.id


def test_an_inbox_outlives_its_broker(store, running, config, mosquitto, make_report):
    """It comes back by itself, and with it what is owed."""
    report = make_report()
    with running():
        mosquitto.restart()
        with Line(config, client_id="box-1", subscriptions=BOX.to_this_box) as line:

            def send_again() -> bool:
                line.publish(BOX.report(report.id), encode(report))
                return store.item(1) is not None

            wait_until(send_again)

    assert store.item(1).report == report
