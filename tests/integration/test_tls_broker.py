"""The deployed broker configuration, with the real commands: who is let in, and who may say what."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge.bundle.bundle import read_bundle
from edge.mqtt.broker import Acknowledged, Line, Received
from edge.outbox.outbox import Outbox, State
from edge.settings.config import BrokerConfig
from edge.wire.messages import Status, encode
from edge.wire.topics import Address

BOX_1 = Address("xray", "clinic", "box-1")
REPORT = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def box(agent: Callable[..., Any], tls_broker: Any, demo_bundle: Path, tmp_path: Path) -> Callable[..., Any]:
    """Start the agent of a box that watches `tmp_path/<folder>` and shows a certificate."""

    def start_box(device: str, *options: str, certificate: str | None, ca: str = "ours", folder: str = "box") -> Any:
        watched = tmp_path / folder
        watched.mkdir(exist_ok=True)
        return agent(
            "--broker", tls_broker.address, "--model", demo_bundle, "--watch", watched, "--device", device,
            "--settle-s", "0.1", *tls_broker.flags(certificate, ca), *options,
        )  # fmt: skip

    return start_box


@pytest.fixture
def inbox(doctor: Callable[..., Any], tls_broker: Any) -> Any:
    """The doctor's end, connected with the inbox's certificate."""
    process = doctor(tls_broker.address, *tls_broker.flags("inbox"))
    process.wait_for_line("connected to the broker")
    return process


@pytest.fixture
def connect(tls_broker: Any) -> Callable[..., Line]:
    """Make a bare connection to the broker with somebody's certificate."""

    def make(certificate: str, **options: Any) -> Line:
        config = BrokerConfig(address=tls_broker.address, **tls_broker.certificate(certificate))
        return Line(config, **{"client_id": f"test-{certificate}"} | options)

    return make


def first(line: Line, kind: type[Acknowledged | Received], timeout_s: float = 10) -> Any:
    """The next event of a kind, or None if none comes in time."""
    deadline_s = time.monotonic() + timeout_s
    while time.monotonic() < deadline_s:
        if isinstance(event := line.next_event(0.1), kind):
            return event
    return None


def test_a_phantom_reaches_the_doctor_and_the_receipt_reaches_the_box(
    box: Any, inbox: Any, demo_bundle: Path, phantoms: Any, tmp_path: Path
) -> None:
    """With the certificates that the guide makes, a dropped film arrives at the doctor and the box owes nothing."""
    one = box("box-1", certificate="box-1")
    phantoms(tmp_path / "box", 1)

    inbox.wait_for(lambda process: process.out)
    one.wait_for_line("by the doctor's inbox")

    report = json.loads(inbox.out[0])
    assert (report["site"], report["device"]) == ("clinic", "box-1")
    assert report["decision"] in read_bundle(demo_bundle).card.labels
    assert one.end() == 0
    with Outbox(tmp_path / "box" / ".edge-agent" / "outbox.sqlite3") as outbox:
        assert outbox.count_owed() == 0


def test_a_box_under_another_ones_name_is_refused_says_so_and_keeps_its_report(
    box: Any, inbox: Any, phantoms: Any, tmp_path: Path
) -> None:
    """What box-2 says as box-1 reaches nobody, is kept, and is delivered as soon as the certificate is right."""
    impostor = box("box-1", certificate="box-2")
    phantoms(tmp_path / "box", 1)

    impostor.wait_for_line("the broker refused report seq=1: Not authorized")
    impostor.wait_for_line("the broker refused this box's status: Not authorized")
    assert impostor.end() == 0
    with Outbox(tmp_path / "box" / ".edge-agent" / "outbox.sqlite3") as outbox:
        [entry] = outbox.owed(limit=10)

    assert (entry.state, entry.last_error) == (State.REFUSED, "Not authorized")

    honest = box("box-2", certificate="box-2", folder="other")
    phantoms(tmp_path / "other", 1, first_seed=1)
    honest.wait_for_line("by the doctor's inbox")
    assert [json.loads(line)["device"] for line in inbox.out] == ["box-2"]

    box("box-1", certificate="box-1")
    inbox.wait_for(lambda process: len(process.out) > 1)
    report = json.loads(inbox.out[1])
    assert (report["device"], report["id"], report["replayed"]) == ("box-1", entry.report.id, True)


@pytest.mark.parametrize(
    ("certificate", "ca", "hint"),
    [
        (None, "ours", "it may want a certificate of this client; give broker.cert_file and broker.key_file"),
        ("box-1", "foreign", "it may not accept the certificate"),
    ],
    ids=["no certificate", "certificate of another CA"],
)
def test_a_box_that_is_not_ours_gets_no_connection(box: Any, certificate: str | None, ca: str, hint: str) -> None:
    """Without a certificate of our CA the agent ends with exit code 69 and says what the broker may want."""
    stranger = box("box-1", "--first-contact-s", "1", certificate=certificate, ca=ca)

    code = stranger.code()

    assert code == 69
    assert hint in stranger.err[-1]


@pytest.mark.parametrize(
    ("certificate", "ca", "hint"),
    [
        (None, "ours", "it may want a certificate of this client"),
        ("inbox", "foreign", "it may not accept the certificate"),
    ],
    ids=["no certificate", "certificate of another CA"],
)
def test_an_inbox_that_is_not_ours_gets_no_connection(
    doctor: Any, tls_broker: Any, certificate: str | None, ca: str, hint: str
) -> None:
    """Nobody reads reports without a certificate of our CA; the command ends with exit code 69 and says why."""
    stranger = doctor(tls_broker.address, "--first-contact-s", "1", *tls_broker.flags(certificate, ca))

    code = stranger.code()

    assert code == 69
    assert hint in stranger.err[-1]
    assert stranger.out == []


def test_a_client_refuses_a_broker_that_is_not_ours(tls_broker: Any, doctor: Any, certificates: Path) -> None:
    """A broker whose certificate another CA signed is not talked to; exit code 69 names the file to look at."""
    stranger = doctor(
        tls_broker.address, "--first-contact-s", "1", "--ca-file", certificates / "foreign" / "ca.crt",
    )  # fmt: skip

    code = stranger.code()

    assert code == 69
    assert "certificate" in stranger.err[-1]
    assert "broker.ca_file" in stranger.err[-1]


def test_a_box_reads_nothing_but_its_own_receipts(connect: Callable[..., Line]) -> None:
    """A box that subscribes to everything is shown its own receipts and nobody's reports, states or receipts."""
    topics = [BOX_1.report(REPORT), BOX_1.status, "xray/v1/clinic/box-2/receipt/1"]

    with (
        connect("box-2", subscriptions=["#", "$SYS/#"]) as curious,
        connect("box-1") as other,
        connect("inbox") as inbox,
    ):
        for line, topic in ((other, topics[0]), (other, topics[1]), (inbox, BOX_1.receipt(REPORT)), (inbox, topics[2])):
            line.publish(topic, b"{}")
            assert first(line, Acknowledged).refusal is None
        seen = first(curious, Received)

        assert seen.topic == topics[2]
        assert first(curious, Received, timeout_s=0.5) is None


@pytest.mark.parametrize(
    ("who", "topic"),
    [
        ("box-2", BOX_1.report(REPORT)),
        ("box-2", BOX_1.status),
        ("box-1", BOX_1.receipt(REPORT)),
        ("inbox", BOX_1.report(REPORT)),
        ("inbox", BOX_1.status),
        ("watch", BOX_1.receipt(REPORT)),
        ("watch", BOX_1.report(REPORT)),
        ("box-2", BOX_1.preview(REPORT)),
        ("box-2", BOX_1.confirmation(REPORT)),
        ("box-2", BOX_1.response("image")),
        ("box-2", BOX_1.health),
        ("box-2", BOX_1.card),
        ("box-1", BOX_1.review(REPORT)),
        ("box-1", BOX_1.request("restart")),
        ("inbox", BOX_1.confirmation(REPORT)),
        ("inbox", BOX_1.response("image")),
        ("watch", BOX_1.request("restart")),
        ("box-1", "xray/v2/clinic/box-1/report/1"),
        ("box-1", "elsewhere"),
    ],
)
def test_nobody_writes_what_is_not_theirs(connect: Callable[..., Line], who: str, topic: str) -> None:
    """A box writes what is its own, the inbox what it says to boxes, an onlooker nothing; the rest is refused."""
    with connect(who) as line:
        line.publish(topic, b"{}")

        assert first(line, Acknowledged).refusal == "Not authorized"


def test_everybody_writes_what_is_theirs(connect: Callable[..., Line]) -> None:
    """A box all that it says of itself and its reports, the inbox all that it says to a box."""
    of_box = [BOX_1.status, BOX_1.health, BOX_1.card, BOX_1.report(REPORT), BOX_1.preview(REPORT)]
    of_box += [BOX_1.confirmation(REPORT), BOX_1.response("image")]
    of_inbox = [BOX_1.receipt(REPORT), BOX_1.review(REPORT), BOX_1.request("image")]
    refusals = {}

    for who, topics in (("box-1", of_box), ("inbox", of_inbox)):
        with connect(who) as line:
            for topic in topics:
                line.publish(topic, b"{}")
                refusals[topic] = first(line, Acknowledged).refusal

    assert set(refusals.values()) == {None}
    assert len(refusals) == 10


def test_a_box_hears_its_own_reviews_and_requests_alone(connect: Callable[..., Line]) -> None:
    """What the doctor says to another box is not for it."""
    other = Address("xray", "clinic", "box-2")
    with (
        connect("box-2", subscriptions=["xray/v1/+/+/review/+", "xray/v1/+/+/request/+"]) as curious,
        connect("inbox") as inbox,
    ):
        for topic in (BOX_1.review(REPORT), BOX_1.request("restart"), other.review(REPORT), other.request("restart")):
            inbox.publish(topic, b"{}")
            assert first(inbox, Acknowledged).refusal is None

        heard = [first(curious, Received).topic, first(curious, Received).topic]

        assert heard == [other.review(REPORT), other.request("restart")]
        assert first(curious, Received, timeout_s=0.5) is None


def test_the_last_will_of_an_impostor_is_not_published(
    tls_broker: Any, agent: Any, demo_bundle: Path, connect: Callable[..., Line], tmp_path: Path
) -> None:
    """A box killed while posing as another one does not mark that one as offline."""
    (tmp_path / "in").mkdir()
    with connect("box-1") as honest:
        honest.publish(BOX_1.status, encode(Status(state="online", at=None, model="m")), retain=True)
        assert first(honest, Acknowledged).refusal is None
    impostor = agent(
        "--broker", tls_broker.address, "--model", demo_bundle, "--watch", tmp_path / "in", "--device", "box-1",
        *tls_broker.flags("box-2"),
    )  # fmt: skip
    impostor.wait_for_line("the broker refused this box's status")
    with connect("watch", subscriptions=[BOX_1.status]) as onlooker:
        assert b'"online"' in first(onlooker, Received).payload

        impostor.end(9)

        assert first(onlooker, Received, timeout_s=1) is None


def test_a_box_cannot_throw_another_one_off_the_line(connect: Callable[..., Line]) -> None:
    """Connecting with the client id of another box does not end that box's connection."""
    with connect("box-1", client_id="edge-agent-clinic-box-1") as honest:
        with connect("box-2", client_id="edge-agent-clinic-box-1"):
            assert honest.next_event(0.5) is None

        honest.publish(BOX_1.report(REPORT), b"{}")
        assert first(honest, Acknowledged).refusal is None


def test_a_stolen_box_is_shut_out_by_two_lines_of_the_acl(make_tls_broker: Any, deploy: Path) -> None:
    """The commented lines at the end of the ACL file do what their comment says, and touch nobody else."""
    acl = (
        (deploy / "mosquitto" / "acl").read_text().replace("#user box-9\n#topic deny #\n", "user box-2\ntopic deny #\n")
    )
    broker = make_tls_broker(acl)
    refusals = {}

    for name in ("box-1", "box-2"):
        config = BrokerConfig(address=broker.address, **broker.certificate(name))
        with Line(config, client_id=name) as line:
            line.publish(Address("xray", "clinic", name).report(REPORT), b"{}")
            refusals[name] = first(line, Acknowledged).refusal

    assert refusals == {"box-1": None, "box-2": "Not authorized"}
