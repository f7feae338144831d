"""What is under way of one kind, reports or previews, on one connection. A new one starts from the outbox alone.

Invariant: what is handed to the broker was marked as tried before, and stays owed until the doctor's inbox says it has
it. Until then it is sent again, after a while that grows.
"""

import heapq
import time
from collections import deque
from typing import Final

from edge.mqtt.broker import Line
from edge.mqtt.reconnect import Backoff
from edge.outbox.entry import Parcel
from edge.outbox.outbox import Outbox, Payload
from edge.wire.topics import Address, Kind

LOOK_S: Final = 0.1
"""How soon a new report in the outbox is noticed."""


class Stream:
    """Sends reports, or previews.

    Args:
        line: To the broker.
        outbox: Where they are owed.
        address: This box's branch of the topic tree.
        kind: Which of the two.
        window: So many at most that the broker has not acknowledged.
        batch: So many are read, and marked as tried with one sync to the disk.
        resend: How long to wait for a receipt before sending again.
    """

    def __init__(
        self, line: Line, outbox: Outbox, address: Address, *, kind: Payload, window: int, batch: int, resend: Backoff
    ) -> None:
        self._line = line
        self._outbox = outbox
        self._topic = address.report if kind is Kind.REPORT else address.preview
        self._kind: Payload = kind
        self._window = window
        self._batch = batch
        self._resend = resend
        self._ready: deque[Parcel] = deque()  # marked as tried, not yet sent
        self._in_flight: dict[int, Parcel] = {}  # by token
        self._due: list[tuple[float, int]] = []  # heap of (monotonic time, seq) without a receipt
        self._last_seq = 0
        self._look_at_s = 0.0

    @property
    def in_flight(self) -> int:
        """How many the broker has not acknowledged."""
        return len(self._in_flight)

    def start_again(self) -> None:
        """Send all that is owed once more."""
        self._ready.clear()
        self._due.clear()
        self._last_seq, self._look_at_s = 0, 0.0

    def offer(self, seq: int) -> None:
        """Send one that has become owed behind the place reached; those before it are found anyway."""
        if seq <= self._last_seq:
            heapq.heappush(self._due, (0.0, seq))

    def send(self) -> int:
        """Hand over as many as the window allows; return how many."""
        sent = 0
        while len(self._in_flight) < self._window:
            if not self._ready:
                self._fetch()
                if not self._ready:
                    break
            parcel = self._ready.popleft()
            self._in_flight[self._line.publish(self._topic(parcel.id), parcel.payload)] = parcel
            sent += 1
        return sent

    def acknowledged(self, token: int) -> Parcel | None:
        """Take note that the broker has answered; None where the token is not of this stream."""
        parcel = self._in_flight.pop(token, None)
        if parcel is not None:
            wait_s = self._resend.delay_s(parcel.attempts, luck=0)
            heapq.heappush(self._due, (time.monotonic() + wait_s, parcel.seq))
        return parcel

    def mark(self, parcel: Parcel, refusal: str | None) -> None:
        """Note in the outbox what the broker has answered; until that is durable the worst is a repetition."""
        if refusal is not None:
            self._outbox.mark_refused(parcel.seq, refusal, self._kind)
        elif self._kind is Kind.REPORT:
            self._outbox.mark_sent(parcel.seq)

    def _fetch(self) -> None:
        now_s = time.monotonic()
        parcels: list[Parcel] = []
        if self._look_at_s <= now_s:
            parcels = self._outbox.parcels(self._kind, after_seq=self._last_seq, limit=self._batch)
            self._last_seq = parcels[-1].seq if parcels else self._last_seq
            self._look_at_s = now_s if parcels else now_s + LOOK_S
        while self._due and self._due[0][0] <= now_s and len(parcels) < self._batch:
            _, seq = heapq.heappop(self._due)
            if (parcel := self._outbox.parcel(self._kind, seq)) is not None:
                parcels.append(parcel)
        self._outbox.mark_tried([parcel.seq for parcel in parcels], self._kind)
        self._ready.extend(parcels)
