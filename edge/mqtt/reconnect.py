"""Staying connected over a line that is slow and often down."""

import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Event
from typing import Final

from edge.errors import BrokerUnreachableError
from edge.mqtt.broker import Line

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait before trying again: `min(max_s, first_s * factor ** attempt)`, less up to a half at random.

    The random part keeps a hundred boxes from coming back in the same second
    (Brooker, "Exponential Backoff And Jitter").

    Attributes:
        first_s: Before the first repetition.
        factor: From each to the next.
        max_s: Never longer than this.
    """

    first_s: float
    factor: float
    max_s: float

    def delay_s(self, attempt: int, luck: float) -> float:
        """Seconds to wait.

        Args:
            attempt: 0 for the first repetition.
            luck: 0-1, usually random.
        """
        full_s = self.max_s
        if attempt < 64:  # noqa: PLR2004 - beyond that the power only overflows
            full_s = min(self.max_s, self.first_s * self.factor**attempt)
        return full_s * (1 - luck / 2)


@dataclass(slots=True)
class LineState:
    """Whether the broker is reached, and since when. One thread tells, others look.

    Attributes:
        is_up: Now.
        since: From when on it has been so, aware UTC.
    """

    is_up: bool = False
    since: datetime = field(default_factory=lambda: datetime.now(UTC))

    def tell(self, *, is_up: bool) -> None:
        """Note that the line has come up or broken; what is known already changes nothing."""
        if is_up != self.is_up:
            self.is_up, self.since = is_up, datetime.now(UTC)


RECONNECT: Final = Backoff(first_s=0.5, factor=2, max_s=30)


def stay_connected(
    make_line: Callable[[], Line],
    serve: Callable[[Line], None],
    *,
    stop: Event,
    reached_before: bool,
    first_contact_s: float,
    state: LineState | None = None,
    backoff: Backoff = RECONNECT,
) -> None:
    """Serve one line after another until stopped.

    Args:
        make_line: Makes a fresh line; entering it connects.
        serve: Returns when stopped, raises `BrokerUnreachableError` when the line breaks.
        stop: Ends this function.
        reached_before: Whether this broker has answered in an earlier process.
        first_contact_s: Give up after this long if the broker has never answered; 0 for never.
        state: Is told whenever the line comes up or breaks.
        backoff: How long to wait between tries.

    Raises:
        BrokerUnreachableError: The broker has never answered, in this process or before.
    """
    state = state or LineState()
    started_s, attempt, reached = time.monotonic(), 0, reached_before or first_contact_s == 0
    while not stop.is_set():
        try:
            with make_line() as line:
                attempt, reached = 0, True
                log.info("connected to the broker")
                state.tell(is_up=True)
                serve(line)
        except BrokerUnreachableError as error:
            state.tell(is_up=False)
            delay_s = backoff.delay_s(attempt, random.random())  # noqa: S311 - spreads load, keeps no secret
            if not reached and time.monotonic() + delay_s - started_s > first_contact_s:
                raise BrokerUnreachableError(f"{error} It has never let us in: check address and access.") from error
            log.warning("%s Trying again in %.1f s.", error, delay_s)
            stop.wait(delay_s)
            attempt += 1
