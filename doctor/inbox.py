"""MQTT -> store -> receipt. Each report is stored before anybody is told that it arrived.

The order is the promise: store, show, receipt. A report that comes again is stored and shown no second time, but gets
its receipt again, because the box is still asking.
"""

import logging
from collections.abc import Callable
from threading import Event

from doctor.store import Store, Stored
from edge.broker import Line, Received
from edge.config import BrokerConfig
from edge.errors import MessageError
from edge.messages import Receipt, Report, decode, encode
from edge.reconnect import stay_connected
from edge.topics import Kind, Topic, of_every_box

_POLL_S = 0.2

log = logging.getLogger(__name__)


class Inbox:
    """Receives every clinic's reports, until stopped.

    Args:
        config: How to reach the broker.
        store: Where reports are kept.
        show: Called with each new report once; when it returns, the report counts as shown.
    """

    def __init__(self, config: BrokerConfig, store: Store, show: Callable[[Stored], None]) -> None:
        self._config = config
        self._store = store
        self._show = show

    def run(self, stop: Event) -> None:
        """Receive until stopped.

        Raises:
            BrokerUnreachableError: The broker has never answered this command.
            DatabaseError: The store cannot be used.
        """
        self._show_new()  # stored by an earlier process that ended before it could show them

        def serve(line: Line) -> None:
            while not stop.is_set():
                event = line.next_event(_POLL_S)
                if isinstance(event, Received):
                    self._received(line, event)

        stay_connected(self._line, serve, stop=stop, reached_before=False, first_contact_s=self._config.first_contact_s)

    def _line(self) -> Line:
        return Line(
            self._config,
            client_id=f"edge-doctor-{self._store.inbox_id}",
            subscriptions=of_every_box(self._config.prefix),
            persistent=True,
        )

    def _received(self, line: Line, message: Received) -> None:
        try:
            topic = Topic.parse(message.topic, self._config.prefix)
            if topic.kind is Kind.REPORT:
                self._receive_report(line, topic, message.payload)
        except MessageError as error:
            log.warning("ignored a message under %s: %s", message.topic[:200], error)
        line.acknowledge(message)

    def _receive_report(self, line: Line, topic: Topic, payload: bytes) -> None:
        report = decode(payload, Report)
        if (report.site, report.device, report.id) != (topic.address.site, topic.address.device, topic.of):
            raise MessageError(
                f"the report says it is {report.site}/{report.device} {report.id}, its topic says otherwise"
            )
        stored = self._store.add(report)
        self._show_new()
        receipt = Receipt(id=report.id, stored_at=stored.stored_at, preview=stored.has_preview)
        line.publish(topic.address.receipt(report.id), encode(receipt))

    def _show_new(self) -> None:
        for stored in self._store.unshown():
            self._show(stored)
            self._store.mark_shown(stored.number)
