"""One MQTT connection, as a context manager. Box and doctor's end speak through it.

paho's callbacks run in its own thread, where publishing or waiting would deadlock; here they only put events into a
queue, and whoever holds the line reads them in order. A line that breaks ends with `BrokerUnreachableError`; making a
new one, and how soon, is the holder's business. paho's own memory of what is in flight is never relied on.
"""

import queue
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edge.errors import BrokerUnreachableError, ConfigError
from edge.settings.config import BrokerConfig

MAX_IN_FLIGHT: Final = 20
"""Publishes the broker has not yet acknowledged. paho heeds no broker's Receive Maximum; few allow less than this."""
_VERSIONS: Final = {"5": mqtt.MQTTv5, "3.1.1": mqtt.MQTTv311}
_WEEK_S: Final = 7 * 24 * 3600


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The broker has answered a publish.

    Attributes:
        token: What `publish` returned.
        refusal: Why the broker did not take it, else None.
    """

    token: int
    refusal: str | None


@dataclass(frozen=True, slots=True)
class Received:
    """A message from the broker; it comes again unless it is acknowledged with `Line.acknowledge`."""

    topic: str
    payload: bytes
    token: int
    qos: int


@dataclass(frozen=True, slots=True)
class Lost:
    """The connection is gone."""

    reason: str


@dataclass(frozen=True, slots=True)
class Woken:
    """Somebody in another thread has something for whoever holds the line."""


Event = Acknowledged | Received | Lost | Woken


class Line:
    """A connection to the broker that is up from entering the context to leaving it.

    Args:
        config: How to reach the broker.
        client_id: Unique at the broker; a second connection with the same one ends the first.
        subscriptions: Topic filters, QoS 1.
        will: Topic and payload that the broker publishes, retained, when this connection breaks.
        persistent: Ask the broker to keep messages for this client while it is away, for a week at most.

    Raises:
        BrokerUnreachableError: On entering: nothing answered, or the broker refused the connection.
        ConfigError: A certificate, key or password file cannot be used.
    """

    def __init__(
        self,
        config: BrokerConfig,
        *,
        client_id: str,
        subscriptions: Sequence[str] = (),
        will: tuple[str, bytes] | None = None,
        persistent: bool = False,
    ) -> None:
        self._config = config
        self._subscriptions = subscriptions
        self._persistent = persistent
        # Not `SimpleQueue`: a signal whose handler outlasts the time left makes its `get` wait for ever (CPython 3.11).
        self._events: queue.Queue[Event] = queue.Queue()
        self._answers: queue.Queue[str | None] = queue.Queue()  # None is yes, a text is why not
        self._welcome = False
        self._problem: str | None = None  # paho's disconnect callback knows no cause, its log does
        self._client = self._make_client(client_id)
        if will is not None:
            self._client.will_set(*will, qos=1, retain=True)

    def __enter__(self) -> Self:
        """Connect and subscribe."""
        host, port = self._config.host_and_port
        try:
            self._client.connect(host, port, self._config.keepalive_s, **self._session())
        except (OSError, ValueError) as error:
            raise self._unreachable(_reason(error)) from error
        self._client.loop_start()
        try:
            self._await_answer("the connection")
            if self._subscriptions:
                self._client.subscribe([(topic, 1) for topic in self._subscriptions])
                self._await_answer("the subscription")
        except BrokerUnreachableError:
            self._client.loop_stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Disconnect in order, so that the broker does not publish the will."""
        self._client.disconnect()
        self._client.loop_stop()

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> int:
        """Hand a message to the broker with QoS 1.

        Returns:
            A token; an `Acknowledged` with the same one follows once the broker has answered.
        """
        return self._client.publish(topic, payload, qos=1, retain=retain).mid

    def acknowledge(self, message: Received) -> None:
        """Tell the broker that a message is dealt with."""
        self._client.ack(message.token, message.qos)

    def next_event(self, timeout_s: float) -> Acknowledged | Received | None:
        """The next thing that happened, or None if nothing did in time.

        Raises:
            BrokerUnreachableError: The connection is gone.
        """
        try:
            event = self._events.get(timeout=timeout_s) if timeout_s > 0 else self._events.get_nowait()
        except queue.Empty:
            return None
        if isinstance(event, Lost):
            raise self._unreachable(event.reason)
        return None if isinstance(event, Woken) else event

    def wake(self) -> None:
        """End a wait for the next event; may be called in any thread."""
        self._events.put(Woken())

    def _make_client(self, client_id: str) -> mqtt.Client:
        config = self._config
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            protocol=_VERSIONS[config.version],
            clean_session=None if config.version == "5" else not self._persistent,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        client.connect_timeout = config.connect_timeout_s
        client.max_inflight_messages_set(MAX_IN_FLIGHT)
        if config.encrypted:
            client.tls_set_context(tls_context(config))
        if config.username is not None or config.password_file is not None:
            client.username_pw_set(config.username or "", _password(config))
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe
        client.on_publish = self._on_publish
        client.on_message = self._on_message
        client.on_log = self._on_log
        return client

    def _session(self) -> dict[str, Any]:
        if self._config.version != "5":
            return {}
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call] # paho leaves it so
        properties.SessionExpiryInterval = _WEEK_S if self._persistent else 0
        return {"clean_start": not self._persistent, "properties": properties}

    def _await_answer(self, to: str) -> None:
        try:
            refusal = self._answers.get(timeout=self._config.connect_timeout_s)
        except queue.Empty:
            raise self._unreachable(
                f"no answer to {to} within {self._config.connect_timeout_s:g} s; it may be no MQTT broker"
            ) from None
        if refusal is not None:
            raise self._unreachable(f"it refused {to}: {refusal}")

    def _unreachable(self, reason: str) -> BrokerUnreachableError:
        host, port = self._config.host_and_port
        return BrokerUnreachableError(f"MQTT broker {host}:{port}: {reason}.")

    def _on_connect(self, _client: Any, _userdata: Any, _flags: Any, code: Any, _properties: Any) -> None:
        self._welcome = True
        self._answers.put(str(code) if code.is_failure else None)

    def _on_subscribe(self, _client: Any, _userdata: Any, _mid: Any, codes: Any, _properties: Any) -> None:
        self._answers.put(next((str(code) for code in codes if code.is_failure), None))

    def _on_publish(self, _client: Any, _userdata: Any, mid: int, code: Any, _properties: Any) -> None:
        self._events.put(Acknowledged(mid, str(code) if code.is_failure else None))

    def _on_message(self, _client: Any, _userdata: Any, message: mqtt.MQTTMessage) -> None:
        self._events.put(Received(message.topic, bytes(message.payload), message.mid, message.qos))

    def _on_disconnect(self, _client: Any, _userdata: Any, _flags: Any, code: Any, _properties: Any) -> None:
        reason = f"the connection is gone ({self._problem or code})"
        if not self._welcome:  # with TLS 1.3 a broker refuses a certificate only after the handshake has ended here
            reason += f"; {_hint(self._config)}"
        self._answers.put(reason)
        self._events.put(Lost(reason))

    def _on_log(self, _client: Any, _userdata: Any, level: int, text: str) -> None:
        if level == mqtt.MQTT_LOG_ERR:
            self._problem = text


def tls_context(config: BrokerConfig) -> ssl.SSLContext:
    """How the line is encrypted: whom this end believes, and what it shows of itself.

    Raises:
        ConfigError: A certificate or key file cannot be used.
    """
    try:
        context = ssl.create_default_context(cafile=config.ca_file)
        if config.cert_file is not None:
            context.load_cert_chain(config.cert_file, config.key_file)
    except OSError as error:  # ssl.SSLError is one
        files = ", ".join(filter(None, (config.ca_file, config.cert_file, config.key_file)))
        raise ConfigError(
            f"cannot use the TLS files {files}: {error.strerror or error}; they must be PEM files this user may read"
        ) from error
    return context


def _password(config: BrokerConfig) -> str | None:
    if config.password_file is None:
        return None
    try:
        return Path(config.password_file).read_text(encoding="utf-8").rstrip("\n")
    except OSError as error:
        raise ConfigError(f"cannot read broker.password_file {config.password_file}: {error.strerror}") from error


def _hint(config: BrokerConfig) -> str:
    """What is usually wrong where a broker hangs up before it has answered."""
    if not config.encrypted:
        return "it may expect TLS; mind the port and broker.ca_file"
    if config.cert_file is None:
        return "it may want a certificate of this client; give broker.cert_file and broker.key_file"
    return f"it may not accept the certificate {config.cert_file}; mind who signed it, and until when"


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate was refused: {error.verify_message}; mind broker.ca_file, the host name and the clock"
    if isinstance(error, TimeoutError):
        return "no answer; mind the address, the port and the firewall"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused; nothing listens there, mind the address and the port"
    return str(error)
