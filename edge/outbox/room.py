"""Whether the outbox has room for one more image: the pipeline's question before each."""

import logging
import time
from threading import Event
from typing import Final

from edge.outbox.outbox import Outbox

ROOM_LOOK_S: Final = 5.0
"""How often a full outbox is looked at again."""
ROOM_HOLDS_S: Final = 0.25
"""So long an outbox that had room is not asked again: a few megabytes at most, of hundreds that stay free."""

log = logging.getLogger(__name__)


class Room:
    """Takes no new work while the outbox is full; the image stays where it is.

    Args:
        outbox: Asked again once its last answer is older than `ROOM_HOLDS_S`.
        stop: Ends the waiting.
    """

    def __init__(self, outbox: Outbox, stop: Event) -> None:
        self._outbox = outbox
        self._stop = stop
        self._holds_until_s = 0.0

    def wait(self) -> bool:
        """Wait until there is room. False where the agent is stopped."""
        if time.monotonic() < self._holds_until_s:
            return True
        if (why := self._outbox.is_full()) is not None:
            log.error("no new images are taken: %s", why)
            while self._outbox.is_full() is not None:
                if self._stop.wait(ROOM_LOOK_S):
                    return False
            log.info("there is room again: new images are taken")
        self._holds_until_s = time.monotonic() + ROOM_HOLDS_S
        return True
