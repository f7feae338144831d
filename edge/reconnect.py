"""Staying connected over a line that is slow and often down."""

import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Event
from typing import Final

from edge.broker import Line
from edge.errors import BrokerUnreachableError

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


RECONNECT: Final = Backoff(first_s=0.5, factor=2, max_s=30)


def stay_connected(
    make_line: Callable[[], Line],
    serve: Callable[[Line], None],
    *,
    stop: Event,
    reached_before: bool,
    first_contact_s: float,
    backoff: Backoff = RECONNECT,
) -> None:
    """Serve one line after another until stopped.

    Args:
        make_line: Makes a fresh line; entering it connects.
        serve: Returns when stopped, raises `BrokerUnreachableError` when the line breaks.
        stop: Ends this function.
        reached_before: Whether this broker has answered in an earlier process.
        first_contact_s: Give up after this long if the broker has never answered; 0 for never.
        backoff: How long to wait between tries.

    Raises:
        BrokerUnreachableError: The broker has never answered, in this process or before.
    """
    started_s, attempt, reached = time.monotonic(), 0, reached_before or first_contact_s == 0
    while not stop.is_set():
        try:
            with make_line() as line:
                attempt, reached = 0, True
                log.info("connected to the broker")
                serve(line)
        except BrokerUnreachableError as error:
            delay_s = backoff.delay_s(attempt, random.random())  # noqa: S311 - spreads load, keeps no secret
            if not reached and time.monotonic() + delay_s - started_s > first_contact_s:
                raise BrokerUnreachableError(f"{error} It has never let us in: check address and access.") from error
            log.warning("%s Trying again in %.1f s.", error, delay_s)
            stop.wait(delay_s)
            attempt += 1
