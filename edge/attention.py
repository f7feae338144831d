"""What the clinic sees and hears of the box: its page, and the alarms in the log. Each has a thread of its own.

Invariant: neither can stop the pipeline or the publisher. Only a page that cannot be opened at the start is an error,
because then somebody asked for it and would look at nothing.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from threading import Event, Thread

from edge.alarm import Alarm, standing, watch
from edge.delivery.health import Vitals
from edge.errors import ConfigError
from edge.intake.quarantine import list_quarantine, try_again
from edge.intake.spool import Spool
from edge.mqtt.reconnect import LineState
from edge.notify import Pulse
from edge.outbox.outbox import OUTBOX_NAME, Outbox
from edge.pseudonym import Pseudonyms
from edge.settings.config import AgentConfig
from edge.wire.messages import ModelIdentity

log = logging.getLogger(__name__)


@contextmanager
def attending(
    config: AgentConfig,
    model: ModelIdentity,
    *,
    vitals: Vitals,
    line: LineState,
    pulses: Mapping[str, Pulse],
    folders: Sequence[Path],
    capture: Callable[[], None] | None,
) -> Iterator[None]:
    """Serve the page where one is configured, and say in the log what needs somebody's attention.

    Args:
        config: The agent's.
        model: Which model runs.
        vitals: Tells how the box is.
        line: Whether the broker is reached.
        pulses: Each loop's of the agent.
        folders: Watched ones, and those in which the other ways in leave their images.
        capture: Takes a picture with the camera; None where there is none.

    Raises:
        ConfigError: The page cannot be opened.
    """
    ended = Event()
    with ExitStack() as stack:
        if config.page.listen:
            stack.enter_context(
                _page(config, model, vitals=vitals, line=line, pulses=pulses, folders=folders, capture=capture)
            )
        thread = Thread(target=_watch, args=(config, vitals, line, ended), name="alarms")
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


@contextmanager
def _page(
    config: AgentConfig,
    model: ModelIdentity,
    *,
    vitals: Vitals,
    line: LineState,
    pulses: Mapping[str, Pulse],
    folders: Sequence[Path],
    capture: Callable[[], None] | None,
) -> Iterator[None]:
    try:
        from edge.clinic.box import Box  # noqa: PLC0415 - the page's libraries are optional
        from edge.clinic.serve import serving  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"page.listen is set, and the page's library {error.name} is not installed; "
            "install it with: pip install 'edge-xray[edge,page]'"
        ) from error
    box = Box(
        site=config.site,
        device=config.device_name,
        page=config.page,
        model=model,
        open_outbox=partial(Outbox, config.state_dir / OUTBOX_NAME, limits=config.outbox),
        vitals=vitals,
        unanswered_after=vitals.unanswered_after,
        quarantined=partial(list_quarantine, folders),
        try_again=partial(try_again, folders),
        pulses=pulses,
        line=line,
        keep=Spool(config.state_dir, "http").put,
        open_pseudonyms=partial(Pseudonyms, config.state_dir),
        capture=capture,
    )
    with serving(box):
        yield


def _watch(config: AgentConfig, vitals: Vitals, line: LineState, ended: Event) -> None:
    with Outbox(config.state_dir / OUTBOX_NAME, limits=config.outbox) as outbox:

        def look() -> tuple[Alarm, ...]:
            after: timedelta | None = vitals.unanswered_after
            return standing(vitals.measure(outbox), line, unanswered_after=after, now=datetime.now(UTC))

        watch(look, ended)
