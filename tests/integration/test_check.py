"""`edge-agent check` names what is wrong with the line, with real brokers and real certificates."""

import getpass
import json
import re
import socket
import ssl
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from edge.checks.broker import broker_checks
from edge.checks.check import Check
from edge.mqtt.broker import Line, Received
from edge.settings.config import AgentConfig, BrokerConfig

DAY = timedelta(days=1)
WHO = {"site": "clinic", "device": "box-1"}


def check(broker: BrokerConfig, **agent: object) -> dict[str, Check]:
    """Name to check."""
    return {found.name: found for found in broker_checks(AgentConfig(broker=broker, **WHO | agent))}


def states(found: dict[str, Check]) -> list[str]:
    """In order: broker, encryption, own certificate, login, permission to publish."""
    assert list(found) == ["broker", "encryption", "own certificate", "login", "permission to publish"]
    return [each.state.value for each in found.values()]


def make_certificate(folder: Path, *, begins: datetime, ends: datetime, name: str = "127.0.0.1") -> Path:
    """A certificate that signs itself, with its key beside it."""
    key = generate_private_key(SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "broker")])
    alternative = x509.IPAddress(ip_address(name)) if name[0].isdigit() else x509.DNSName(name)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
        .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "own.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (folder / "own.crt").write_bytes(certificate.public_bytes(Encoding.PEM))
    return folder / "own.crt"


@pytest.fixture
def tls_port() -> Iterator[Callable[[Path], int]]:
    """Listen with a certificate, shake hands, hang up: what a broker does until MQTT begins."""
    servers: list[socket.socket] = []

    def listen(certificate: Path) -> int:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, certificate.with_suffix(".key"))
        server = socket.create_server(("127.0.0.1", 0))
        servers.append(server)

        def serve() -> None:
            while True:
                try:
                    peer, _ = server.accept()
                except OSError:
                    return  # the test is over
                try:
                    context.wrap_socket(peer, server_side=True).close()
                except OSError:
                    peer.close()  # refused the certificate, or only looked whether somebody listens

        Thread(target=serve, daemon=True).start()
        return int(server.getsockname()[1])

    yield listen
    for server in servers:
        server.shutdown(socket.SHUT_RDWR)
        server.close()


def test_a_plain_broker_on_this_machine_is_all_right(mosquitto: Any) -> None:
    """The broker lets the box in and takes its status; the status says that no agent runs."""
    found = check(BrokerConfig(address=mosquitto.address))

    with Line(
        BrokerConfig(address=mosquitto.address), client_id="t", subscriptions=["xray/v1/clinic/box-1/status"]
    ) as line:
        status = line.next_event(5)

    assert states(found) == ["ok", "ok", "skipped", "ok", "ok"]
    assert isinstance(status, Received)
    assert json.loads(status.payload)["state"] == "stopped"


def test_while_the_agent_runs_its_status_stays(mosquitto: Any, agent: Any, demo_bundle: Path, tmp_path: Path) -> None:
    """The check neither throws the agent off the line nor says that it has stopped."""
    one = agent(
        "--broker", mosquitto.address, "--model", demo_bundle, "--watch", tmp_path, "--device", "box-1",
    )  # fmt: skip
    one.wait_for_line("connected to the broker")

    found = check(BrokerConfig(address=mosquitto.address), watch=(str(tmp_path),))

    with Line(
        BrokerConfig(address=mosquitto.address), client_id="t", subscriptions=["xray/v1/clinic/box-1/status"]
    ) as line:
        status = line.next_event(5)
    assert states(found)[-2:] == ["ok", "ok"]
    assert isinstance(status, Received)
    assert json.loads(status.payload)["state"] == "online"
    assert one.end() == 0
    assert not any("Trying again" in line for line in one.err)


def test_the_deployed_broker_lets_its_own_box_through(tls_broker: Any) -> None:
    """TLS both ways; until when the certificates are good is told."""
    found = check(BrokerConfig(address=tls_broker.address, **tls_broker.certificate("box-1")))

    assert states(found) == ["ok", "ok", "ok", "ok", "ok"]
    assert "is valid until 20" in found["encryption"].text
    assert "is valid until 20" in found["own certificate"].text


def test_a_box_under_another_ones_name_learns_that_it_may_not_publish(tls_broker: Any) -> None:
    """The broker's reason, and the line of the ACL that is missing."""
    found = check(BrokerConfig(address=tls_broker.address, **tls_broker.certificate("box-2")))

    assert states(found) == ["ok", "ok", "ok", "ok", "fail"]
    assert "refuses what box-1 publishes: Not authorized" in found["permission to publish"].text
    assert "xray/v1/+/box-1/#" in found["permission to publish"].cure


@pytest.mark.parametrize(("name", "ca"), [(None, "ours"), ("box-1", "foreign")], ids=["none", "of another authority"])
def test_a_box_without_a_certificate_of_ours_is_not_let_in(tls_broker: Any, name: str | None, ca: str) -> None:
    """The cause is the login, and no later step is tried."""
    found = check(BrokerConfig(address=tls_broker.address, **tls_broker.certificate(name, ca)))

    assert states(found)[-2:] == ["fail", "skipped"]
    assert "certificate" in found["login"].text


def test_a_wrong_password_is_named(start: Any, tmp_path: Path) -> None:
    """A broker that asks for a password, and a box that has another one."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    (tmp_path / "passwords").write_text("")
    lines = (f"user {getpass.getuser()}", f"listener {port} 127.0.0.1", f"password_file {tmp_path}/passwords")
    (tmp_path / "conf").write_text("\n".join((*lines, "allow_anonymous false\n")))
    start("mosquitto", "-c", tmp_path / "conf").wait_for_line(" running", timeout_s=10)
    (tmp_path / "password").write_text("wrong")

    found = check(BrokerConfig(address=f"127.0.0.1:{port}", username="box-1", password_file=str(tmp_path / "password")))

    assert states(found) == ["ok", "ok", "skipped", "fail", "skipped"]
    assert "Not authorized" in found["login"].text
    assert "broker.password_file" in found["login"].cure


@pytest.mark.parametrize(
    ("begins", "ends", "name", "complaint"),
    [
        (-10 * DAY, -1 * DAY, "127.0.0.1", "has expired; this box's clock says 20"),
        (1 * DAY, 10 * DAY, "127.0.0.1", "is not valid yet; this box's clock says 20"),
        (-1 * DAY, 90 * DAY, "127.0.0.2", "is for another name than 127.0.0.1"),
        (-1 * DAY, 90 * DAY, "broker.example", "is for another name than 127.0.0.1"),
    ],
    ids=["expired", "not yet valid", "another address", "another host"],
)
def test_what_is_wrong_with_the_broker_s_certificate_is_named(
    tls_port: Any, tmp_path: Path, begins: timedelta, ends: timedelta, name: str, complaint: str
) -> None:
    """Dates are told beside the box's own clock, because a Pi boots in the past."""
    now = datetime.now(UTC)
    certificate = make_certificate(tmp_path, begins=now + begins, ends=now + ends, name=name)

    found = check(BrokerConfig(address=f"127.0.0.1:{tls_port(certificate)}", ca_file=str(certificate)))

    assert states(found) == ["ok", "fail", "skipped", "skipped", "skipped"]
    assert complaint in found["encryption"].text


def test_a_certificate_that_ends_soon_is_warned_of(tls_port: Any, tmp_path: Path) -> None:
    """A month before."""
    now = datetime.now(UTC)
    certificate = make_certificate(tmp_path, begins=now - DAY, ends=now + 5 * DAY)

    found = check(BrokerConfig(address=f"127.0.0.1:{tls_port(certificate)}", ca_file=str(certificate)))

    assert found["encryption"].state == "warn"


@pytest.mark.parametrize(("begins", "ends", "state"), [(-9, -1, "fail"), (1, 9, "fail"), (-9, 5, "warn")])
def test_the_box_s_own_certificate_has_dates_too(
    tls_broker: Any, tmp_path: Path, begins: int, ends: int, state: str
) -> None:
    """A broker refuses an expired one without saying why; the box can tell by itself."""
    now = datetime.now(UTC)
    own = make_certificate(tmp_path, begins=now + begins * DAY, ends=now + ends * DAY)
    files = tls_broker.certificate(None) | {"cert_file": str(own), "key_file": str(own.with_suffix(".key"))}

    found = check(BrokerConfig(address=tls_broker.address, **files))

    assert found["own certificate"].state == state


def test_another_authority_is_not_believed(tls_broker: Any, certificates: Path) -> None:
    """The cure says which file was believed, and that it may be another broker."""
    found = check(BrokerConfig(address=tls_broker.address, ca_file=str(certificates / "foreign" / "ca.crt")))

    assert found["encryption"].state == "fail"
    assert "signed by nobody this box believes" in found["encryption"].text
    assert "broker.ca_file" in found["encryption"].cure


def test_tls_at_a_port_without_it_is_named(mosquitto: Any) -> None:
    """And the usual port."""
    found = check(BrokerConfig(address=mosquitto.address, tls=True))

    assert states(found) == ["ok", "fail", "skipped", "skipped", "skipped"]
    assert "8883" in found["encryption"].cure


@pytest.mark.parametrize(
    ("address", "complaint"),
    [
        ("", "no broker is configured"),
        ("127.0.0.1:1", "nothing listens at port 1"),
        ("no-such-host.invalid", "the name no-such-host.invalid is not known here"),
    ],
)
def test_a_broker_that_is_not_there_is_named(address: str, complaint: str) -> None:
    """Not configured, not listening, not known by name."""
    found = check(BrokerConfig(address=address))

    assert states(found) == ["fail", "skipped", "skipped", "skipped", "skipped"]
    assert complaint in found["broker"].text


def test_a_broker_of_the_older_protocol_cannot_say_that_it_refuses(mosquitto: Any) -> None:
    """So nothing is claimed of the permission."""
    assert states(check(BrokerConfig(address=mosquitto.address, version="3.1.1")))[-2:] == ["ok", "skipped"]


def test_the_command_says_ready_or_not(agent: Any, mosquitto: Any, demo_bundle: Path, tmp_path: Path) -> None:
    """One JSON document and exit code 0 or 1; in text, a line for each check and the cure below."""
    box = ("check", "--model", demo_bundle, "--watch", tmp_path, "--device", "box-1")

    good = agent(*box, "--broker", mosquitto.address, "--json")
    bad = agent(*box, "--broker", "127.0.0.1:1", "--json")
    text = agent(*box, "--broker", "127.0.0.1:1")

    assert (good.code(), bad.code(), text.code()) == (0, 1, 1)
    documents = [json.loads("\n".join(process.out)) for process in (good, bad)]
    assert [document["ready"] for document in documents] == [True, False]
    assert {each["name"]: each["state"] for each in documents[1]["checks"]}["broker"] == "fail"
    assert any(line.startswith("FAIL    broker") for line in text.out)
    assert re.fullmatch(r"NOT READY: 1 of \d+ checks failed", text.err[-1])
