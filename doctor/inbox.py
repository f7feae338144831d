"""MQTT <-> store. What boxes say is stored before anybody is told; what doctors say is sent until it has arrived.

The order is the promise: store, show, receipt, acknowledge. What comes again is stored and shown no second time, but
gets its receipt again, because the box is still asking. All that waits at the broker is stored in one transaction: one
sync of the disk for many messages.
"""

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from threading import Event
from typing import Final

from doctor.arrivals import take
from doctor.reports import Stored
from doctor.store import Store
from edge.broker import Acknowledged, Line, Received
from edge.config import BrokerConfig
from edge.messages import encode
from edge.reconnect import stay_connected
from edge.topics import Address, Kind, of_every_box

_POLL_S: Final = 0.1
"""How soon a review or request in the store is noticed."""
_AT_ONCE: Final = 100
"""Messages stored in one transaction; brokers seldom hand out more than 20 before the first is acknowledged."""
_ASK_AGAIN_S: Final = 15.0
"""A request without an answer is sent again after this."""
_GIVE_UP_EVERY_S: Final = 30.0

log = logging.getLogger(__name__)


class Inbox:
    """Serves every clinic, until stopped.

    Args:
        config: How to reach the broker.
        store: Where reports are kept.
        show: Called with each new report once; when it returns, the report counts as shown. None shows nothing.
    """

    def __init__(self, config: BrokerConfig, store: Store, show: Callable[[Stored], None] | None = None) -> None:
        self._config = config
        self._store = store
        self._show = show
        self._client_id = f"edge-doctor-{store.inbox_id}"

    def run(self, stop: Event) -> None:
        """Serve until stopped.

        Raises:
            BrokerUnreachableError: The broker has never answered this command.
            DatabaseError: The store cannot be used.
        """
        self._show_new()  # stored by an earlier process that ended before it could show them

        def serve(line: Line) -> None:
            sender = _Sender(line, self._store, self._config.prefix)
            while not stop.is_set():
                batch = self._receive(line, sender)
                if batch:
                    self._take(line, batch)
                    sender.note(batch)
                sender.send()

        stay_connected(self._line, serve, stop=stop, reached_before=False, first_contact_s=self._config.first_contact_s)

    def _line(self) -> Line:
        return Line(
            self._config,
            client_id=self._client_id,
            subscriptions=of_every_box(self._config.prefix),
            persistent=True,
        )

    def _receive(self, line: Line, sender: "_Sender") -> list[Received]:
        """Wait a moment for a message, and take all that have come."""
        batch: list[Received] = []
        event = line.next_event(_POLL_S)
        while event is not None:
            if isinstance(event, Received):
                batch.append(event)
            else:
                sender.acknowledged(event)
            if len(batch) == _AT_ONCE:
                break
            event = line.next_event(0)
        return batch

    def _take(self, line: Line, batch: list[Received]) -> None:
        with self._store.database.writing() as writing:
            outgoing = [
                said
                for message in batch
                for said in take(writing, message.topic, message.payload, prefix=self._config.prefix)
            ]
        self._show_new()
        for said in outgoing:
            line.publish(said.topic, said.payload, retain=said.retain)
        for message in batch:
            line.acknowledge(message)

    def _show_new(self) -> None:
        if self._show is None:
            return
        for stored in self._store.unshown():
            self._show(stored)
            self._store.mark_shown(stored.number)


class _Sender:
    """What the doctors say, over one line. A new line starts from nothing but the store."""

    def __init__(self, line: Line, store: Store, prefix: str) -> None:
        self._line = line
        self._store = store
        self._prefix = prefix
        self._reviews_until = 0  # tick
        self._asked_s: dict[tuple[str, int], float] = {}  # transaction and offset -> when, monotonic
        self._topics: dict[int, str] = {}  # by token, until the broker has answered
        self._given_up_s = 0.0

    def send(self) -> None:
        """Send the reviews that are new on this line, and the requests that are due."""
        for owed in self._store.reviews_owed(after=self._reviews_until):
            topic = Address(self._prefix, owed.site, owed.device).review(owed.review.id)
            self._publish(topic, encode(owed.review), retain=True)
            self._reviews_until = owed.changed
        now_s = time.monotonic()
        if now_s - self._given_up_s > _GIVE_UP_EVERY_S:
            self._given_up_s = now_s
            self._store.give_up_requests(datetime.now(UTC))
        asked_s = self._asked_s
        self._asked_s = {}
        for request in self._store.requests_owed():
            key = (request.request.transaction, request.request.offset_bytes)
            self._asked_s[key] = asked_s.get(key, -_ASK_AGAIN_S)
            if now_s - self._asked_s[key] >= _ASK_AGAIN_S:
                topic = Address(self._prefix, request.site, request.device).request(request.command)
                self._publish(topic, encode(request.request))
                self._asked_s[key] = now_s

    def note(self, batch: list[Received]) -> None:
        """Ask again at once what a box may have missed while it was away."""
        if any(message.topic.endswith(f"/{Kind.STATUS}") for message in batch):
            self._asked_s = {}

    def acknowledged(self, event: Acknowledged) -> None:
        """Note the broker's answer to what was sent."""
        topic = self._topics.pop(event.token, None)
        if topic is not None and event.refusal is not None:
            log.error(
                "the broker refused %s: %s. Allow this user or certificate to publish receipt, review and request.",
                topic,
                event.refusal,
            )

    def _publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        self._topics[self._line.publish(topic, payload, retain=retain)] = topic
