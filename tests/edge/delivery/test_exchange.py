"""What box and broker say to each other, over a real broker."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Thread

import msgspec
import pytest

from edge.bundle.bundle import read_bundle
from edge.delivery.health import Vitals, temperature_c
from edge.delivery.publish import Publisher
from edge.delivery.requests import Command, Done, RefusedError, resend, restart
from edge.mqtt.broker import Acknowledged, Line, Received
from edge.outbox.entry import Rung, State
from edge.outbox.outbox import Outbox
from edge.settings.config import BrokerConfig
from edge.settings.delivery import OutboxConfig
from edge.wire.messages import (
    Confirmation,
    Health,
    ModelIdentity,
    Receipt,
    Report,
    Request,
    Response,
    Review,
    decode,
    encode,
)
from edge.wire.topics import Address, Kind, Topic, of_every_box

BOX = Address("xray", "clinic", "box-1")
AT = datetime(2026, 1, 2, tzinfo=UTC)
UNLIMITED = OutboxConfig(min_free_bytes=0)


def a_report(number: int) -> Report:
    """A small report."""
    return Report(
        id=f"{number:032x}", site="clinic", device="box-1", received_at=AT, clock_synced=False, origin="folder",
        decision="not-assessable", probabilities={}, positive="covid", threshold=0.5, heatmap=None, guard={},
        reason="blank", timings_ms={},
        model=ModelIdentity(
            id="m", sha256="0" * 64, signed=False, runtime="litert", validated_on="-", not_validated_on="-"
        ),
    )  # fmt: skip


class DoctorsEnd:
    """A plain client in the place of the doctor's inbox: it sees all and answers what a test lets it answer."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.seen: list[tuple[Kind, str, bytes]] = []
        self.answer: Callable[[Kind, str, bytes], None] = lambda *_: None

    def say(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish."""
        self.line.publish(topic, payload, retain=retain)

    def wait_for(self, condition: Callable[[], object], timeout_s: float = 10) -> None:
        """Read until a condition holds."""
        deadline_s = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline_s, self.seen
            event = self.line.next_event(0.05)
            if isinstance(event, Received):
                topic = Topic.parse(event.topic, "xray")
                self.seen.append((topic.kind, topic.of, event.payload))
                self.answer(topic.kind, topic.of, event.payload)
                self.line.acknowledge(event)

    def of(self, kind: Kind) -> list[tuple[str, bytes]]:
        """What was seen of a kind."""
        return [(of, payload) for seen, of, payload in self.seen if seen is kind]


@pytest.fixture
def config(mosquitto) -> BrokerConfig:
    """How to reach the broker."""
    return BrokerConfig(address=mosquitto.address)


@pytest.fixture
def doctors_end(config: BrokerConfig) -> Iterator[DoctorsEnd]:
    """The other end."""
    with Line(config, client_id="doctor", subscriptions=of_every_box("xray")) as line:
        yield DoctorsEnd(line)


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    """The outbox, as the pipeline holds it."""
    with Outbox(tmp_path / "outbox.sqlite3") as outbox:
        yield outbox


@pytest.fixture
def publishing(config: BrokerConfig, tmp_path: Path) -> Callable[..., object]:
    """Run the publisher in a thread, as the agent does."""

    @contextmanager
    def run(
        *, receipt_timeout_s: float = 30, limits: OutboxConfig = UNLIMITED, commands: dict[str, Command] | None = None
    ) -> Iterator[None]:
        publisher = Publisher(
            config,
            address=BOX,
            outbox=tmp_path / "outbox.sqlite3",
            limits=limits,
            vitals=Vitals(
                state_dir=tmp_path, model_id="m", unanswered_after=timedelta(hours=1), count_quarantined=lambda: 3
            ),
            about=lambda _: {BOX.card: b'{"name": "m"}'},
            commands=commands or {},
            receipt_timeout_s=receipt_timeout_s,
        )
        stop = Event()
        thread = Thread(target=publisher.run, args=(stop,))
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    return run


def receipt(report_id: str, *, preview: bool) -> bytes:
    """What the inbox says when it has stored something."""
    return encode(Receipt(id=report_id, stored_at=AT, preview=preview))


def test_the_picture_follows_the_receipt_and_comes_until_its_own(outbox, doctors_end, publishing):
    """Report, receipt, preview, again the preview after a while, receipt that speaks of it, and nothing more."""
    outbox.put(a_report(1), preview=b"jpeg")
    report_id = a_report(1).id

    def answer(kind: Kind, of: str, _: bytes) -> None:
        enough = len(doctors_end.of(Kind.PREVIEW)) >= 2
        if kind is Kind.REPORT or (kind is Kind.PREVIEW and enough):
            doctors_end.say(BOX.receipt(of), receipt(of, preview=enough))

    doctors_end.answer = answer
    with publishing(receipt_timeout_s=0.3):
        doctors_end.wait_for(lambda: outbox.parcel(Kind.PREVIEW, 1) is None and outbox.count_owed() == 0)
        later_s = time.monotonic() + 1
        doctors_end.wait_for(lambda: time.monotonic() > later_s)

    order = [kind for kind, *_ in doctors_end.seen if kind in {Kind.REPORT, Kind.PREVIEW}]
    assert (order, doctors_end.of(Kind.PREVIEW)[-1]) == (
        [Kind.REPORT, Kind.PREVIEW, Kind.PREVIEW],
        (report_id, b"jpeg"),
    )


def test_no_picture_is_sent_before_somebody_has_the_report(outbox, doctors_end, publishing):
    """While no doctor's end answers, the line is spared."""
    outbox.put(a_report(1), preview=b"jpeg")

    with publishing(receipt_timeout_s=0.2):
        doctors_end.wait_for(lambda: len(doctors_end.of(Kind.REPORT)) >= 2)

    assert doctors_end.of(Kind.PREVIEW) == []
    assert outbox.entry(a_report(1).id).rung is Rung.BROKER


def test_a_review_is_stored_and_then_confirmed(outbox, doctors_end, publishing):
    """Also the one that waited at the broker while the box was away; an older one is answered with what the box has."""
    outbox.put(a_report(1))
    review = Review(
        id=a_report(1).id, revision=3, state="answered", at=AT, reader="Dr. A. Reader", verdict="agree", text="Clear."
    )
    doctors_end.say(BOX.review(review.id), encode(review), retain=True)
    doctors_end.wait_for(lambda: isinstance(doctors_end.line.next_event(1), Acknowledged))

    with publishing():
        doctors_end.wait_for(lambda: doctors_end.of(Kind.CONFIRMATION))
        stored = outbox.entry(review.id)
        doctors_end.say(BOX.review(review.id), b"", retain=True)
        late = msgspec.structs.replace(review, revision=2, text="No.")
        doctors_end.say(BOX.review(review.id), encode(late))
        doctors_end.wait_for(lambda: len(doctors_end.of(Kind.CONFIRMATION)) == 2)

    assert (stored.rung, stored.review) == (Rung.ANSWERED, review)
    assert outbox.entry(review.id).review == review
    assert {decode(payload, Confirmation).revision for _, payload in doctors_end.of(Kind.CONFIRMATION)} == {3}


@pytest.mark.parametrize(
    ("topic", "payload", "complaint"),
    [
        (BOX.receipt("0" * 32), receipt("1" * 32, preview=False), "under the topic of another report"),
        (BOX.receipt("0" * 32), b"rubbish", "expected a Receipt"),
        (
            BOX.review("0" * 32),
            encode(Review(id="0" * 32, revision=1, state="opened", at=AT, reader="x")),
            "which this box has never had",
        ),
    ],
)
def test_what_makes_no_sense_is_ignored_and_told(outbox, doctors_end, publishing, caplog, topic, payload, complaint):
    """It settles nothing, confirms nothing and does not end the connection."""
    outbox.put(a_report(1))

    with publishing():
        doctors_end.wait_for(lambda: doctors_end.of(Kind.REPORT))
        doctors_end.say(topic, payload)
        doctors_end.say(BOX.receipt(a_report(1).id), receipt(a_report(1).id, preview=False))
        doctors_end.wait_for(lambda: outbox.count_owed() == 0)

    assert complaint in caplog.text
    assert doctors_end.of(Kind.CONFIRMATION) == []


def test_health_and_card_are_told_on_connecting(outbox, doctors_end, publishing):
    """What waits, what was set aside, why nothing new is taken, and the model's card."""
    outbox.put(a_report(1), preview=bytes(2**21))

    with publishing(limits=OutboxConfig(max_bytes=2**20, min_free_bytes=0)):
        doctors_end.wait_for(lambda: doctors_end.of(Kind.HEALTH) and doctors_end.of(Kind.CARD))

    health = decode(doctors_end.of(Kind.HEALTH)[0][1], Health)
    assert (health.owed, health.unanswered, health.quarantined, health.model) == (1, 0, 3, "m")
    assert "1 reports wait" in health.refusing
    assert json.loads(doctors_end.of(Kind.CARD)[0][1]) == {"name": "m"}


def test_what_somebody_asks_for_again_goes_out_at_once(outbox, doctors_end, publishing):
    """`retry` does not wait for a receipt's time, and `resend` sends what the doctor's end has."""
    outbox.put(a_report(1))

    with publishing():
        doctors_end.wait_for(lambda: outbox.entry(a_report(1).id).state is State.SENT)
        outbox.retry()
        doctors_end.wait_for(lambda: len(doctors_end.of(Kind.REPORT)) == 2)
        doctors_end.say(BOX.receipt(a_report(1).id), receipt(a_report(1).id, preview=False))
        doctors_end.wait_for(lambda: outbox.count_owed() == 0)
        outbox.resend(a_report(1).id)
        doctors_end.wait_for(lambda: len(doctors_end.of(Kind.REPORT)) == 3)


def asked(doctors_end: DoctorsEnd, command: str, transaction: str, **more: object) -> Response:
    """Ask the box for something once it is there, and wait for its answer."""
    doctors_end.wait_for(lambda: any(b'"online"' in payload for _, payload in doctors_end.of(Kind.STATUS)))
    doctors_end.say(BOX.request(command), encode(Request(transaction=transaction, **more)))

    def answers() -> list[Response]:
        found = [decode(payload, Response) for of, payload in doctors_end.of(Kind.RESPONSE) if of == command]
        return [answer for answer in found if answer.transaction == transaction]

    before = len(answers())
    doctors_end.wait_for(lambda: len(answers()) > before)
    return answers()[-1]


def test_the_doctor_s_end_can_have_a_report_again(outbox, doctors_end, publishing):
    """It is sent with its picture although it was received; one that never was is refused with a sentence."""
    outbox.put(a_report(1))
    doctors_end.answer = lambda kind, of, _: (
        kind is Kind.REPORT and doctors_end.say(BOX.receipt(of), receipt(of, preview=False))
    )

    with publishing(commands={"resend": Command(resend, once=True)}):
        doctors_end.wait_for(lambda: outbox.count_owed() == 0)
        done = asked(doctors_end, "resend", "t-1", id=a_report(1).id)
        doctors_end.wait_for(lambda: len(doctors_end.of(Kind.REPORT)) == 2 and outbox.count_owed() == 0)
        refused = asked(doctors_end, "resend", "t-2", id="f" * 32)

    assert (done.transaction, done.error) == ("t-1", None)
    assert refused.error == f"this box has no report {'f' * 32}"


@pytest.mark.usefixtures("outbox")
def test_a_request_this_box_does_not_know_is_refused(doctors_end, publishing):
    """With what it does know."""
    with publishing(commands={"resend": Command(resend)}):
        response = asked(doctors_end, "dance", "t-1")

    assert response.error == "this box cannot do 'dance'; it can do resend"


@pytest.mark.usefixtures("outbox")
def test_a_restart_is_answered_first_and_done_once(doctors_end, publishing):
    """The agent ends after the answer; asked again under the same transaction it does not end again."""
    stop = Event()

    with publishing(commands={"restart": restart(stop)}):
        first = asked(doctors_end, "restart", "t-1")
        assert stop.wait(5)
        stop.clear()
        again = asked(doctors_end, "restart", "t-1")
        assert not stop.wait(0.3)

    assert (first.error, again.error) == (None, None)


@pytest.mark.parametrize(
    ("error", "told"),
    [(RefusedError("there is no camera"), "there is no camera"), (ZeroDivisionError(), "its log says why")],
)
@pytest.mark.usefixtures("outbox")
def test_a_request_that_fails_is_answered_and_ends_nothing(doctors_end, publishing, error, told):
    """Also where the failure is a defect."""

    def fail(_: Request, __: Outbox) -> Done:
        raise error

    with publishing(commands={"capture": Command(fail), "resend": Command(resend)}):
        failed = asked(doctors_end, "capture", "t-1")
        after = asked(doctors_end, "resend", "t-2")

    assert told in failed.error
    assert after.error is None


def test_a_card_to_show_has_no_hashes_of_training_images(demo_bundle: Path):
    """They are long, and name images of patients."""
    card = read_bundle(demo_bundle).card

    shown = json.loads(card.to_show())

    assert card.trained_on
    assert shown["trained_on"] == ""
    assert shown["not_validated_on"] == card.not_validated_on


def test_the_processor_s_temperature_is_told_where_there_is_one(tmp_path: Path):
    """Thousandths of a degree, as Linux writes them."""
    zone = tmp_path / "temp"
    zone.write_text("48500\n")

    assert (temperature_c(zone), temperature_c(tmp_path / "none")) == (48.5, None)
