"""The second loop: outbox -> MQTT, receipts -> outbox. It shares nothing with the pipeline but the outbox.

Invariant: a report counts as delivered when the doctor's inbox has sent its receipt, never because a broker took it.
Until then it is sent again: after a reconnect at once, else after a while that grows.
"""

import heapq
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Final

from edge.broker import MAX_IN_FLIGHT, Acknowledged, Line, Received
from edge.config import BrokerConfig
from edge.errors import MessageError
from edge.messages import Receipt, Status, decode, encode
from edge.outbox import Entry, Outbox
from edge.reconnect import Backoff, stay_connected
from edge.topics import Address

POLL_S: Final = 0.1
"""How soon a new report in the outbox is noticed."""
GOODBYE_S: Final = 2.0
"""How long a stop waits for the broker to take the last status."""
MAX_RESEND_S: Final = 600.0

log = logging.getLogger(__name__)


class Publisher:
    """Sends what the outbox owes, until stopped.

    Args:
        config: How to reach the broker.
        address: This box's branch of the topic tree.
        outbox: The outbox's file.
        model_id: Named in the status.
        receipt_timeout_s: A report without a receipt is sent again after this, then after twice this, and so on.
    """

    def __init__(
        self, config: BrokerConfig, *, address: Address, outbox: Path, model_id: str, receipt_timeout_s: float
    ) -> None:
        self._config = config
        self._address = address
        self._outbox_path = outbox
        self._model_id = model_id
        self._resend = Backoff(first_s=receipt_timeout_s, factor=2, max_s=max(MAX_RESEND_S, receipt_timeout_s))

    def run(self, stop: Event) -> None:
        """Deliver until stopped.

        Raises:
            BrokerUnreachableError: The broker has never answered this box.
            DatabaseError: The outbox cannot be used.
        """
        with Outbox(self._outbox_path) as outbox:
            reached = f"reached {self._config.address}"

            def serve(line: Line) -> None:
                outbox.remember(reached, datetime.now(UTC).isoformat())
                _Delivery(line, outbox, self._address, self._resend).run(stop, self._status)

            stay_connected(
                self._line,
                serve,
                stop=stop,
                reached_before=outbox.fact(reached) is not None,
                first_contact_s=self._config.first_contact_s,
            )

    def _line(self) -> Line:
        return Line(
            self._config,
            client_id=f"edge-agent-{self._address.site}-{self._address.device}",
            subscriptions=[self._address.receipt("+")],
            will=(self._address.status, encode(Status(state="offline", at=None, model=self._model_id))),
        )

    def _status(self, *, online: bool) -> bytes:
        return encode(Status(state="online" if online else "stopped", at=datetime.now(UTC), model=self._model_id))


class _Delivery:
    """What is under way on one line. A new line starts from nothing but the outbox."""

    def __init__(self, line: Line, outbox: Outbox, address: Address, resend: Backoff) -> None:
        self._line = line
        self._outbox = outbox
        self._address = address
        self._resend = resend
        self._last_seq = 0
        self._in_flight: dict[int, int] = {}  # token -> seq
        self._due: list[tuple[float, int]] = []  # heap of (monotonic time, seq) still without a receipt
        self._status_tokens: set[int] = set()

    def run(self, stop: Event, status: Callable[..., bytes]) -> None:
        """Send and listen until stopped, then say goodbye."""
        self._say(status(online=True))
        while not stop.is_set():
            busy = self._send_owed() + self._send_due()
            self._handle(self._line.next_event(0 if busy else POLL_S))
        self._say(status(online=False))
        deadline_s = time.monotonic() + GOODBYE_S
        while (self._status_tokens or self._in_flight) and time.monotonic() < deadline_s:
            self._handle(self._line.next_event(POLL_S))

    def _say(self, status: bytes) -> None:
        self._status_tokens.add(self._line.publish(self._address.status, status, retain=True))

    def _send_owed(self) -> int:
        """Send reports this line has not seen yet, in order; return how many."""
        entries = self._outbox.owed(after_seq=self._last_seq, limit=MAX_IN_FLIGHT - len(self._in_flight))
        self._send(entries)
        if entries:
            self._last_seq = entries[-1].report.seq
        return len(entries)

    def _send_due(self) -> int:
        """Send again what has waited long enough for its receipt; return how many."""
        entries: list[Entry] = []
        while self._due and self._due[0][0] <= time.monotonic() and len(self._in_flight) + len(entries) < MAX_IN_FLIGHT:
            _, seq = heapq.heappop(self._due)
            if (entry := self._outbox.still_owed(seq)) is not None:
                entries.append(entry)
        self._send(entries)
        return len(entries)

    def _send(self, entries: list[Entry]) -> None:
        self._outbox.mark_tried([entry.report.seq for entry in entries])
        for entry in entries:
            token = self._line.publish(self._address.report(entry.report.id), encode(entry.report))
            self._in_flight[token] = entry.report.seq

    def _handle(self, event: Acknowledged | Received | None) -> None:
        match event:
            case Acknowledged(token, refusal) if token in self._status_tokens:
                self._status_tokens.discard(token)
                if refusal is not None:
                    log.error("the broker refused this box's status: %s. %s", refusal, self._cure())
            case Acknowledged(token, refusal) if token in self._in_flight:
                self._acknowledged(self._in_flight.pop(token), refusal)
            case Received():
                self._received(event)
            case _:
                pass

    def _acknowledged(self, seq: int, refusal: str | None) -> None:
        if refusal is None:
            self._outbox.mark_sent(seq)
        else:
            self._outbox.mark_refused(seq, refusal)
            log.error("the broker refused report seq=%d: %s. It is kept. %s", seq, refusal, self._cure())
        if (entry := self._outbox.still_owed(seq)) is not None:
            wait_s = self._resend.delay_s(max(entry.attempts - 1, 0), luck=0)
            heapq.heappush(self._due, (time.monotonic() + wait_s, seq))

    def _received(self, message: Received) -> None:
        try:
            receipt = decode(message.payload, Receipt)
        except MessageError as error:
            log.warning("ignored a receipt: %s", error)
        else:
            if message.topic != self._address.receipt(receipt.id):
                log.warning("ignored a receipt that came under the topic of another report")
            elif self._outbox.mark_received(receipt.id):
                log.info("received id=%s by the doctor's inbox", receipt.id)
        self._line.acknowledge(message)

    def _cure(self) -> str:
        return f"Allow user or certificate to publish under {self._address.prefix}/v1/+/{self._address.device}/#."
