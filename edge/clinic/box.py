"""What the page needs of the agent it runs in, as one frozen value: the page imports no pipeline."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from edge.clinic.uploads import Keep
from edge.delivery.health import Vitals
from edge.intake.quarantine import Quarantined
from edge.mqtt.reconnect import LineState
from edge.notify import Pulse
from edge.outbox.outbox import Outbox
from edge.pseudonym import Pseudonyms
from edge.settings.page import PageConfig
from edge.wire.messages import ModelIdentity


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """The agent, as its page sees it.

    Attributes:
        site: The clinic's name.
        device: The box's name.
        page: How the page is to be.
        model: Which model runs, and what is known of it.
        open_outbox: Opens a connection of the page's own.
        vitals: Tells how the box is.
        unanswered_after: When a picture without an answer is late; None for never.
        quarantined: Lists the files set aside.
        try_again: Has one of them tried again, by its id; False where it is there no more.
        pulses: Each loop's of the agent.
        line: Whether the broker is reached.
        keep: Makes a picture durable that came over HTTP.
        capture: Takes a picture with the camera; None where none is configured.
        open_pseudonyms: Opens a connection of the page's own to what tokens stand for; None where nobody knows.
    """

    site: str
    device: str
    page: PageConfig
    model: ModelIdentity
    open_outbox: Callable[[], Outbox]
    vitals: Vitals
    unanswered_after: timedelta | None
    quarantined: Callable[[], Sequence[Quarantined]]
    try_again: Callable[[str], bool]
    pulses: Mapping[str, Pulse] = field(default_factory=dict)
    line: LineState = field(default_factory=LineState)
    keep: Keep
    capture: Callable[[], None] | None = None
    open_pseudonyms: Callable[[], Pseudonyms] | None = None
