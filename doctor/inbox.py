"""MQTT <-> store. What boxes say is stored before anybody is told; what doctors say is sent until it has arrived.

The order is the promise: store, show, receipt, acknowledge. What comes again is stored and shown no second time, but
gets its receipt again, because the box is still asking. All that waits at the broker is stored in one transaction: one
sync of the disk for many messages.
"""

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from itertools import count
from threading import Event
from typing import Final, TypeVar

from doctor.arrivals import Outgoing, take
from doctor.database import StoreAwayError
from doctor.reports import Stored
from doctor.store import Store
from edge.mqtt.broker import Acknowledged, Line, Received
from edge.mqtt.reconnect import RECONNECT, stay_connected
from edge.settings.config import BrokerConfig
from edge.wire.messages import encode
from edge.wire.topics import Address, Kind, of_every_box

_POLL_S: Final = 0.1
"""How soon a review or request in the store is noticed."""
_AT_ONCE: Final = 100
"""Messages stored in one transaction; brokers seldom hand out more than 20 before the first is acknowledged."""
_ASK_AGAIN_S: Final = 15.0
"""A request without an answer is sent again after this."""
_SWEEP_EVERY_S: Final = 10.0

T = TypeVar("T")

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
            _patiently(sender.begin, stop)
            while not stop.is_set():
                batch = self._receive(line, sender)
                if batch:
                    self._take(line, batch, sender, stop)
                    sender.note(batch)
                _patiently(sender.send, stop)

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

    def _take(self, line: Line, batch: list[Received], sender: "_Sender", stop: Event) -> None:
        outgoing = _patiently(partial(self._keep, batch), stop)
        _patiently(self._show_new, stop)
        for said in outgoing:
            sender.publish(said)
        for message in batch:
            line.acknowledge(message)

    def _keep(self, batch: list[Received]) -> list[Outgoing]:
        with self._store.database.writing() as writing:
            taken = [take(writing, message.topic, message.payload, prefix=self._config.prefix) for message in batch]
        return [said for answer in taken for said in answer]

    def _show_new(self) -> None:
        if self._show is None:
            return
        for stored in self._store.unshown():
            self._show(stored)
            self._store.mark_shown(stored.number)


def _patiently(action: Callable[[], T], stop: Event) -> T:
    """Do something in the store, again and again while its server does not answer.

    Raises:
        StoreAwayError: It still did not when the command was told to stop.
    """
    for attempt in count():
        try:
            return action()
        except StoreAwayError as error:
            delay_s = RECONNECT.delay_s(attempt, luck=0)
            log.warning("%s. Trying again in %.1f s; nothing is acknowledged until then.", error, delay_s)
            if stop.wait(delay_s):
                raise
    raise AssertionError("counting never ends")


class _Sender:
    """What the doctors say, over one line. A new line starts from nothing but the store."""

    def __init__(self, line: Line, store: Store, prefix: str) -> None:
        self._line = line
        self._store = store
        self._prefix = prefix
        self._reviews_until = 0  # tick
        self._asked_s: dict[tuple[str, int], float] = {}  # transaction and offset -> when, monotonic
        self._topics: dict[int, str] = {}  # by token, until the broker has answered
        self._next_sweep_s = 0.0
        self._to_sweep = True

    def begin(self) -> None:
        """Take away reviews that an earlier process may have left at the broker when it was killed."""
        for site, device, report_id in self._store.reviews_to_clear():
            self.publish(Outgoing(Address(self._prefix, site, device).review(report_id), b"", retain=True))

    def send(self) -> None:
        """Send the reviews that are new on this line, and the requests that are due."""
        for owed in self._store.reviews_owed(after=self._reviews_until):
            topic = Address(self._prefix, owed.site, owed.device).review(owed.review.id)
            self.publish(Outgoing(topic, encode(owed.review), retain=True))
            self._reviews_until = owed.changed
        self._send_requests(time.monotonic())
        if time.monotonic() >= self._next_sweep_s:
            self._next_sweep_s = time.monotonic() + _SWEEP_EVERY_S
            self._sweep()

    def note(self, batch: list[Received]) -> None:
        """Ask again at once what a box may have missed while it was away."""
        if any(message.topic.endswith(f"/{Kind.STATUS}") for message in batch):
            self._asked_s = {}

    def publish(self, said: Outgoing) -> None:
        """Say something."""
        self._topics[self._line.publish(said.topic, said.payload, retain=said.retain)] = said.topic
        self._to_sweep |= said.retain

    def acknowledged(self, event: Acknowledged) -> None:
        """Note the broker's answer to what was sent."""
        topic = self._topics.pop(event.token, None)
        if topic is not None and event.refusal is not None:
            log.error(
                "the broker refused %s: %s. Allow this user or certificate to publish receipt, review and request.",
                topic,
                event.refusal,
            )

    def _send_requests(self, now_s: float) -> None:
        asked_s, self._asked_s = self._asked_s, {}
        for owed in self._store.requests_owed():
            key = (owed.request.transaction, owed.request.offset_bytes)
            self._asked_s[key] = asked_s.get(key, -_ASK_AGAIN_S)
            if now_s - self._asked_s[key] >= _ASK_AGAIN_S:
                topic = Address(self._prefix, owed.site, owed.device).request(owed.command)
                self.publish(Outgoing(topic, encode(owed.request)))
                self._asked_s[key] = now_s

    def _sweep(self) -> None:
        """Give up requests that are too old, and note how far the broker's reviews are known to be cleared."""
        self._store.give_up_requests(datetime.now(UTC))
        if self._to_sweep and not self._topics:
            self._store.mark_cleared(self._store.changes_since(None).cursor)
            self._to_sweep = False
