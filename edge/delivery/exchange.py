"""What box and broker say to each other on one connection. A new connection starts from nothing but the outbox.

Invariant: a report counts as delivered when the doctor's inbox has sent its receipt, never because a broker took it.
What the doctor's end says is durable before the broker, or the doctor's end, is told that it has arrived.
"""

import logging
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from threading import Event
from typing import Final, Literal

from edge.delivery.health import Vitals
from edge.delivery.requests import Desk
from edge.delivery.stream import LOOK_S, Stream
from edge.errors import MessageError
from edge.mqtt.broker import Acknowledged, Line, Received
from edge.mqtt.reconnect import Backoff
from edge.outbox.outbox import Outbox
from edge.wire.messages import Confirmation, Health, Receipt, Request, Review, Status, decode, encode
from edge.wire.topics import Address, Kind, Topic

GOODBYE_S: Final = 2.0
"""How long a stop waits for the broker to take the last status."""
HEALTH_LOOK_S: Final = 5.0
HEALTH_EVERY_S: Final = 300.0
MAX_PREVIEWS_IN_FLIGHT: Final = 2
"""A new report waits behind no more of them on a slow line."""
REPORTS_IN_HAND: Final = 100
"""Handed to paho, which has so many as the broker allows under way, and the next one ready when one is acknowledged."""
GATHER_S: Final = 0.002
"""When half of them are under way, so long is waited for acknowledgements to gather: being woken by each costs more."""
BATCH: Final = 1000
"""Marks written in one transaction."""
HOLD_S: Final = 0.25
"""So long a mark waits for others at most, and not at all when nothing is under way."""

Note = Callable[[], None]
"""Something to be noted in the outbox."""

log = logging.getLogger(__name__)


class Exchange:
    """Says what the outbox owes, and takes down what the doctor's end answers.

    Args:
        line: A connection.
        outbox: Used by this thread alone.
        address: This box's branch of the topic tree.
        resend: How long to wait for a receipt before sending again.
        vitals: Tells how the box is.
        desk: Does what the doctor's end asks.
    """

    def __init__(
        self, line: Line, outbox: Outbox, address: Address, *, resend: Backoff, vitals: Vitals, desk: Desk
    ) -> None:
        self._line = line
        self._outbox = outbox
        self._address = address
        self._receipts = address.receipt("")
        self._vitals = vitals
        self._desk = desk
        few, many = MAX_PREVIEWS_IN_FLIGHT, REPORTS_IN_HAND
        self._reports = Stream(line, outbox, address, kind=Kind.REPORT, window=many, batch=BATCH, resend=resend)
        self._previews = Stream(line, outbox, address, kind=Kind.PREVIEW, window=few, batch=few, resend=resend)
        self._rounds = outbox.rounds()
        self._look_at_s = 0.0
        self._told: dict[int, str] = {}  # token -> what was said; nothing hangs on the answer
        self._notes: list[Note] = []  # to be written down together
        self._must_last = False  # whether one of them is more than a mark whose loss costs a repetition
        self._afterwards: list[Note] = []  # to be done once they are
        self._written_s = 0.0
        self._health: Health | None = None
        self._health_look_s = 0.0

    def run(self, stop: Event, about: Mapping[str, bytes]) -> None:
        """Send and listen until stopped, then say goodbye.

        Args:
            stop: Ends this.
            about: Topic to what is said of this box once on each connection, retained: the card, and announcements.

        Raises:
            BrokerUnreachableError: The connection is gone.
            DatabaseError: The outbox cannot be used.
        """
        try:
            self._say_status("online")
            for topic, payload in about.items():
                self._tell("card" if topic == self._address.card else "announcement", topic, payload, retain=True)
            self._desk.call(self._line.wake)
            while not stop.is_set():
                self._look_around()
                self._answer()
                sent = self._reports.send()
                if not self._reports.in_flight:  # findings first
                    sent += self._previews.send()
                if self._reports.in_flight > REPORTS_IN_HAND // 2:
                    time.sleep(GATHER_S)
                self._listen(0 if sent else LOOK_S)
            self._say_status("stopped")
            deadline_s = time.monotonic() + GOODBYE_S
            while (self._told or self._under_way) and time.monotonic() < deadline_s:
                self._listen(LOOK_S)
        finally:
            self._write_down()

    @property
    def _under_way(self) -> int:
        return self._reports.in_flight + self._previews.in_flight

    def _say_status(self, state: Literal["online", "stopped"]) -> None:
        status = Status(state=state, at=datetime.now(UTC), model=self._vitals.model_id)
        self._tell("status", self._address.status, encode(status), retain=True)

    def _tell(self, what: str, topic: str, payload: bytes, *, retain: bool = False) -> None:
        self._told[self._line.publish(topic, payload, retain=retain)] = what

    def _look_around(self) -> None:
        """See whether somebody asked for a new round of sending, and how the box is."""
        now_s = time.monotonic()
        if now_s < self._look_at_s:
            return
        self._look_at_s = now_s + LOOK_S
        if (rounds := self._outbox.rounds()) != self._rounds:
            self._rounds = rounds
            self._reports.start_again()
            self._previews.start_again()
        if now_s >= self._health_look_s:
            self._health_look_s = now_s + HEALTH_LOOK_S
            self._say_health(self._vitals.measure(self._outbox))

    def _say_health(self, health: Health) -> None:
        """Publish where something has changed, and every few minutes."""
        if self._health is not None and not _worth_telling(self._health, health):
            return
        self._health = health
        self._tell("health", self._address.health, encode(health), retain=True)

    def _answer(self) -> None:
        """Say what has become of the doctor's end's requests."""
        for answer in self._desk.answers():
            self._tell("response", self._address.response(answer.command), encode(answer.response))
            if answer.afterwards is not None:
                answer.afterwards()

    def _listen(self, wait_s: float) -> None:
        """Take what has come, and write it down when that is worth a sync to the disk."""
        event = self._line.next_event(wait_s)
        for _ in range(REPORTS_IN_HAND):
            if event is None:
                break
            self._take(event)
            event = self._line.next_event(0)
        if event is not None:
            self._take(event)
        held_s = time.monotonic() - self._written_s
        if not self._under_way or held_s >= HOLD_S or len(self._notes) >= BATCH:
            self._write_down()

    def _take(self, event: Acknowledged | Received) -> None:
        match event:
            case Received():
                self._must_last |= not event.topic.startswith(self._receipts)
                self._notes.append(partial(self._note, event))
            case Acknowledged(token, refusal) if token in self._told:
                what = self._told.pop(token)
                if refusal is not None:
                    log.error("the broker refused this box's %s: %s. %s", what, refusal, self._cure())
            case Acknowledged(token, refusal):
                for stream, what in ((self._reports, "report"), (self._previews, "preview")):
                    if (parcel := stream.acknowledged(token)) is None:
                        continue
                    self._notes.append(partial(stream.mark, parcel, refusal))
                    if refusal is not None:
                        said = f"the broker refused {what} seq={parcel.seq}: {refusal}"
                        log.error("%s. It is kept. %s", said, self._cure())

    def _write_down(self) -> None:
        """Make what was noted durable, all at once; only then tell whoever waits for it.

        What a doctor said is synced to the disk. Marks of what was sent and received are left to the system: a power
        cut that takes them costs a repetition of each, and the receipts come again.
        """
        notes, self._notes = self._notes, []
        self._written_s = time.monotonic()
        if not notes:
            return
        must_last, self._must_last = self._must_last, False
        with self._outbox.transaction(synced=must_last):
            for note in notes:
                note()
        afterwards, self._afterwards = self._afterwards, []
        for act in afterwards:
            act()

    def _note(self, message: Received) -> None:
        self._afterwards.append(partial(self._line.acknowledge, message))
        try:
            topic = Topic.parse(message.topic, self._address.prefix)
            if topic.kind is Kind.RECEIPT:
                self._note_receipt(topic, decode(message.payload, Receipt))
            elif topic.kind is Kind.REVIEW and message.payload:  # it is empty where the inbox takes a review away
                self._note_review(topic, decode(message.payload, Review))
            elif topic.kind is Kind.REQUEST:
                self._desk.ask(topic.of, decode(message.payload, Request))
        except MessageError as error:
            log.warning("ignored a message of the doctor's end: %s", error)

    def _note_receipt(self, topic: Topic, receipt: Receipt) -> None:
        _check_topic(topic, receipt.id)
        seq = self._outbox.mark_received(receipt.id, preview=receipt.preview)
        if seq is not None:
            self._afterwards.append(partial(log.info, "received id=%s by the doctor's inbox", receipt.id))
            self._afterwards.append(partial(self._previews.offer, seq))

    def _note_review(self, topic: Topic, review: Review) -> None:
        _check_topic(topic, review.id)
        if self._outbox.add_review(review):
            said = review.verdict or review.state
            self._afterwards.append(partial(log.info, "review id=%s revision=%d: %s", review.id, review.revision, said))
        entry = self._outbox.entry(review.id)
        if entry is None or entry.review is None:
            raise MessageError(f"a review of report {review.id}, which this box has never had")
        payload = encode(Confirmation(id=review.id, revision=entry.review.revision))
        self._afterwards.append(partial(self._tell, "confirmation", self._address.confirmation(review.id), payload))

    def _cure(self) -> str:
        return f"Allow user or certificate to publish under {self._address.prefix}/v1/+/{self._address.device}/#."


def _check_topic(topic: Topic, report_id: str) -> None:
    if topic.of != report_id:
        raise MessageError(f"a {topic.kind} that came under the topic of another report")


def _worth_telling(before: Health, now: Health) -> bool:
    def gist(health: Health) -> tuple[object, ...]:
        return health.owed, health.unanswered, health.quarantined, health.refusing, health.clock_synced

    return gist(before) != gist(now) or now.uptime_s - before.uptime_s >= HEALTH_EVERY_S
