"""The second loop: outbox -> MQTT, receipts and reviews -> outbox. It shares nothing with the pipeline but the outbox.

It stays connected; what is said on one connection is in `edge.delivery.exchange`.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Final

from edge.delivery.exchange import Exchange
from edge.delivery.health import Vitals
from edge.delivery.requests import Command, Desk
from edge.mqtt.broker import Line
from edge.mqtt.reconnect import Backoff, LineState, stay_connected
from edge.outbox.outbox import Outbox
from edge.settings.config import BrokerConfig
from edge.settings.delivery import OutboxConfig
from edge.wire.messages import Status, encode
from edge.wire.topics import Address

MAX_RESEND_S: Final = 600.0


class Publisher:
    """Sends what the outbox owes and takes what the doctor's end says, until stopped.

    Args:
        config: How to reach the broker.
        address: This box's branch of the topic tree.
        outbox: The outbox's file.
        limits: When it counts as full.
        vitals: Tells how the box is.
        about: Tells, on each connection, what is said of this box, retained: topic to payload.
        commands: What the doctor's end may ask, by name.
        receipt_timeout_s: A report without a receipt is sent again after this, then after twice this, and so on.
        line_state: Is told whenever the line comes up or breaks.
    """

    def __init__(
        self,
        config: BrokerConfig,
        *,
        address: Address,
        outbox: Path,
        limits: OutboxConfig,
        vitals: Vitals,
        about: Callable[[Outbox], Mapping[str, bytes]],
        commands: Mapping[str, Command],
        receipt_timeout_s: float,
        line_state: LineState | None = None,
    ) -> None:
        self._config = config
        self._address = address
        self._outbox_path = outbox
        self._limits = limits
        self._vitals = vitals
        self._about = about
        self._line_state = line_state
        self._commands = commands
        self._resend = Backoff(first_s=receipt_timeout_s, factor=2, max_s=max(MAX_RESEND_S, receipt_timeout_s))

    def run(self, stop: Event) -> None:
        """Deliver until stopped.

        Raises:
            BrokerUnreachableError: The broker has never answered this box.
            DatabaseError: The outbox cannot be used.
        """
        with (
            Outbox(self._outbox_path, limits=self._limits) as outbox,
            Desk(self._commands, self._outbox_path) as desk,
        ):
            reached = f"reached {self._config.address}"

            def serve(line: Line) -> None:
                outbox.remember(reached, datetime.now(UTC).isoformat())
                exchange = Exchange(line, outbox, self._address, resend=self._resend, vitals=self._vitals, desk=desk)
                exchange.run(stop, self._about(outbox))

            stay_connected(
                self._line,
                serve,
                stop=stop,
                reached_before=outbox.fact(reached) is not None,
                first_contact_s=self._config.first_contact_s,
                state=self._line_state,
            )

    def _line(self) -> Line:
        return Line(
            self._config,
            client_id=f"edge-agent-{self._address.site}-{self._address.device}",
            subscriptions=self._address.to_this_box,
            will=(self._address.status, encode(Status(state="offline", at=None, model=self._vitals.model_id))),
        )
