"""The publisher as the agent runs it: in a thread, with what the agent's configuration says."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from threading import Event, Thread

from edge.bundle import Bundle
from edge.config import AgentConfig
from edge.health import Vitals, program_version
from edge.home_assistant import announcements
from edge.intake.quarantine import list_quarantine
from edge.outbox import OUTBOX_NAME, Outbox
from edge.reconnect import LineState
from edge.requests import Command, photograph, resend, restart
from edge.topics import Address


def vitals_of(config: AgentConfig, model_id: str, folders: Sequence[Path]) -> Vitals:
    """What is needed to tell how this box is; `folders` are the folders whose quarantines count."""
    after_s = config.alarm.unanswered_s
    return Vitals(
        state_dir=config.state_dir,
        model_id=model_id,
        unanswered_after=timedelta(seconds=after_s) if after_s else None,
        count_quarantined=lambda: len(list_quarantine(folders)),
    )


def commands_of(stop: Event, capture: Callable[[], None] | None) -> dict[str, Command]:
    """What the doctor's end may ask of this box; `capture` takes a picture, None where there is no camera."""
    commands = {"resend": Command(resend, once=True), "restart": restart(stop)}
    return commands if capture is None else commands | {"capture": photograph(capture)}


def address_of(config: AgentConfig) -> Address:
    """This box's branch of the topic tree."""
    return Address(config.broker.prefix, config.site, config.device_name)


def about_box(config: AgentConfig, bundle: Bundle, outbox: Outbox) -> dict[str, bytes]:
    """What is said of this box on each connection, retained: its model's card, and what Home Assistant is to know."""
    address, model = address_of(config), bundle.model_id
    told = announcements(config.homeassistant, address, model=model, version=program_version(), outbox=outbox)
    return {address.card: bundle.card.to_show(), **told}


@contextmanager
def publishing(
    config: AgentConfig,
    bundle: Bundle,
    *,
    vitals: Vitals,
    line: LineState,
    stop: Event,
    capture: Callable[[], None] | None,
) -> Iterator[None]:
    """Run the publisher in a thread; its end is the agent's end, and its error the agent's error."""
    errors: list[Exception] = []

    def publish() -> None:
        from edge.publish import Publisher  # noqa: PLC0415 - the first image need not wait for the MQTT library

        try:
            Publisher(
                config.broker,
                address=address_of(config),
                outbox=config.state_dir / OUTBOX_NAME,
                limits=config.outbox,
                vitals=vitals,
                about=lambda outbox: about_box(config, bundle, outbox),
                commands=commands_of(stop, capture),
                receipt_timeout_s=config.receipt_timeout_s,
                line_state=line,
            ).run(stop)
        except Exception as error:  # noqa: BLE001 - handed to the main thread, which raises it
            errors.append(error)
        finally:
            stop.set()

    thread = Thread(target=publish, name="publisher")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    if errors:
        raise errors[0]
