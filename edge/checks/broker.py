"""The line to the broker, from the network up: an address that answers, TLS, a login, the permission to publish.

Each step is tried only if the one before it went well, so the first complaint names the cause. The last one publishes
this box's own status, which is true at that moment: `online` while the agent runs, else `stopped`.
"""

import fcntl
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from edge.bundle.bundle import read_bundle
from edge.checks.check import Check, State, all_skipped
from edge.errors import BrokerUnreachableError, BundleError, ConfigError
from edge.mqtt.broker import Acknowledged, Line, tls_context
from edge.settings.config import TLS_PORT, AgentConfig, BrokerConfig
from edge.wire.messages import Status, encode
from edge.wire.topics import Address

BROKER: Final = "broker"
ENCRYPTION: Final = "encryption"
CERTIFICATE: Final = "own certificate"
LOGIN: Final = "login"
PERMISSION: Final = "permission to publish"
_STEPS: Final = (BROKER, ENCRYPTION, CERTIFICATE, LOGIN, PERMISSION)

EXPIRES_SOON: Final = timedelta(days=30)
_NOT_YET_VALID: Final = 9
_EXPIRED: Final = 10
_OTHER_HOST: Final = frozenset({62, 64})
"""Of OpenSSL's X509_V_ERR_*: CERT_NOT_YET_VALID, CERT_HAS_EXPIRED, HOSTNAME_MISMATCH and IP_ADDRESS_MISMATCH."""


def broker_checks(config: AgentConfig) -> Iterator[Check]:
    """Go the way of a report as far as the broker, step by step."""
    for done, check in enumerate(_steps(config), start=1):
        yield check
        if check.state is State.FAIL:
            yield from all_skipped(_STEPS[done:], f"not tried, because of: {check.name}")
            return


def _steps(config: AgentConfig) -> Iterator[Check]:
    """One check for each of `_STEPS`, in order; whoever reads them stops at the first that fails."""
    yield _reached(config.broker)
    yield _encryption(config.broker)
    yield _own_certificate(config.broker)
    address = Address(config.broker.prefix, config.site, config.device_name)
    client_id = f"edge-agent-check-{address.site}-{address.device}"
    try:
        with Line(config.broker, client_id=client_id, subscriptions=[address.receipt("+")]) as line:
            yield Check.ok(LOGIN, f"the broker lets {address.device} in")
            yield _permission(line, config, address)
    except (BrokerUnreachableError, ConfigError) as error:
        yield Check.fail(
            LOGIN,
            str(error),
            cure="mind broker.username and broker.password_file, or the certificate, and that the broker knows them",
        )


def _reached(broker: BrokerConfig) -> Check:
    """Whether something listens at the address."""
    try:
        host, port = broker.host_and_port
    except ConfigError:
        return Check.fail(
            BROKER,
            f"no broker is configured, broker.address is {broker.address!r}",
            cure="give --broker HOST, or `address = ...` under [broker] in the configuration file",
        )
    where = f"{host}:{port}"
    try:
        with socket.create_connection((host, port), timeout=broker.connect_timeout_s):
            return Check.ok(BROKER, f"something listens at {where}")
    except socket.gaierror as error:
        return Check.fail(
            BROKER,
            f"the name {host} is not known here: {error.strerror}",
            cure="mind the spelling; is the box on the network, and does it have a name server (`resolvectl status`)?",
        )
    except ConnectionRefusedError:
        return Check.fail(
            BROKER,
            f"the machine {host} is there, and nothing listens at port {port}",
            cure="start the broker there, and mind the port: 1883, or 8883 with TLS",
        )
    except OSError as error:
        return Check.fail(
            BROKER,
            f"{where} does not answer: {error.strerror or error}",
            cure=f"mind the address, the network, and every firewall on the way: TCP port {port} must be open",
        )


def _encryption(broker: BrokerConfig) -> Check:
    """Whether the broker is who it should be, and for how long its certificate says so."""
    host, port = broker.host_and_port
    if not broker.encrypted:
        if _is_this_machine(host):
            return Check.ok(ENCRYPTION, "none, and the broker is on this machine")
        return Check.warn(
            ENCRYPTION,
            "none: whoever is on the way can read and change what is sent",
            cure="let the broker speak TLS and give broker.ca_file; deploy/mosquitto has all that is needed",
        )
    try:
        context = tls_context(broker)
        with (
            socket.create_connection((host, port), timeout=broker.connect_timeout_s) as plain,
            context.wrap_socket(plain, server_hostname=host) as encrypted,
        ):
            certificate = encrypted.getpeercert() or {}
    except ConfigError as error:
        return Check.failed_with(ENCRYPTION, error)
    except ssl.SSLCertVerificationError as error:
        return _not_believed(error, broker, host)
    except OSError as error:  # ssl.SSLError is one
        return Check.fail(
            ENCRYPTION,
            f"no TLS at {host}:{port}: {getattr(error, 'reason', None) or error}",
            cure=f"mind the port: TLS usually has {TLS_PORT}; or the broker speaks without TLS there",
        )
    until = datetime.fromtimestamp(ssl.cert_time_to_seconds(str(certificate["notAfter"])), UTC)
    return _validity(ENCRYPTION, "the broker's certificate", until, cure="let whoever runs the broker renew it")


def _not_believed(error: ssl.SSLCertVerificationError, broker: BrokerConfig, host: str) -> Check:
    """What is wrong with the broker's certificate."""
    now = f"this box's clock says {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    if error.verify_code == _NOT_YET_VALID:
        text = f"the broker's certificate is not valid yet; {now}"
        cure = "if the clock is wrong, set it: see the check clock"
    elif error.verify_code == _EXPIRED:
        text = f"the broker's certificate has expired; {now}"
        cure = "if the clock is right, the broker needs a new certificate"
    elif error.verify_code in _OTHER_HOST:
        text = f"the broker's certificate is for another name than {host} ({error.verify_message})"
        cure = "give broker.address the name that the certificate has, or have one made for this name"
    else:
        text = f"the broker's certificate is signed by nobody this box believes ({error.verify_message})"
        cure = (
            f"broker.ca_file must be the authority that signed it, now it is {broker.ca_file or 'not set'}; "
            "if it is the right one, another broker answers there: send it nothing"
        )
    return Check.fail(ENCRYPTION, text, cure=cure)


def _own_certificate(broker: BrokerConfig) -> Check:
    """For how long this box's own certificate is good."""
    if broker.cert_file is None:
        return Check.skipped(CERTIFICATE, "this box shows none")
    from cryptography import x509  # noqa: PLC0415 - needed here only

    try:
        certificate = x509.load_pem_x509_certificate(Path(broker.cert_file).read_bytes())
    except (OSError, ValueError) as error:
        return Check.fail(CERTIFICATE, f"it cannot be read: {error}", cure=f"mind {broker.cert_file}: a PEM file")
    if certificate.not_valid_before_utc > datetime.now(UTC):
        return Check.fail(
            CERTIFICATE,
            f"it is valid only from {certificate.not_valid_before_utc:%Y-%m-%d} on, which has not come yet here",
            cure="if the clock is wrong, set it: see the check clock",
        )
    return _validity(
        CERTIFICATE, "this box's certificate", certificate.not_valid_after_utc, cure="make a new one for this box"
    )


def _validity(name: str, whose: str, until: datetime, *, cure: str) -> Check:
    left = until - datetime.now(UTC)
    text = f"{whose} is valid until {until:%Y-%m-%d}"
    if left < timedelta(0):
        return Check.fail(name, f"{whose} has expired on {until:%Y-%m-%d}", cure=cure)
    return Check.warn(name, text, cure=cure) if left < EXPIRES_SOON else Check.ok(name, text)


def _permission(line: Line, config: AgentConfig, address: Address) -> Check:
    """Whether the broker takes what this box has to say."""
    if config.broker.version != "5":
        return Check.skipped(PERMISSION, "a broker that speaks MQTT 3.1.1 does not say when it refuses; use version 5")
    status = Status(state="online" if _agent_runs(config) else "stopped", at=datetime.now(UTC), model=_model_id(config))
    token = line.publish(address.status, encode(status), retain=True)
    deadline_s = time.monotonic() + config.broker.connect_timeout_s
    while (left_s := deadline_s - time.monotonic()) > 0:
        match line.next_event(left_s):
            case Acknowledged(found, None) if found == token:
                return Check.ok(PERMISSION, f"the broker takes what {address.device} publishes")
            case Acknowledged(found, refusal) if found == token:
                return Check.fail(
                    PERMISSION,
                    f"the broker refuses what {address.device} publishes: {refusal}",
                    cure=f"let this user or certificate write {address.prefix}/v1/+/{address.device}/#; with "
                    "certificates, site and device of the box must be those of its certificate",
                )
            case _:
                pass
    return Check.fail(PERMISSION, "the broker did not answer a publish", cure="look into the broker's log")


def _agent_runs(config: AgentConfig) -> bool:
    """Whether an agent holds the lock of the state folder, this process included."""
    with suppress(ConfigError, OSError), (config.state_dir / "agent.lock").open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _model_id(config: AgentConfig) -> str:
    try:
        return read_bundle(config.model_path).model_id
    except (BundleError, ConfigError):
        return "none"


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
