"""The publisher as the agent runs it: in a thread, with what the agent's configuration says."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from threading import Event, Thread
from typing import Final

from edge.bundle.bundle import Bundle
from edge.decoding.whole import decode_whole
from edge.delivery.full_image import FullImages
from edge.delivery.health import Vitals, program_version
from edge.delivery.home_assistant import announcements
from edge.delivery.requests import Command, Done, photograph, resend, restart
from edge.intake.quarantine import list_quarantine
from edge.mqtt.reconnect import LineState
from edge.outbox.outbox import OUTBOX_NAME, Outbox
from edge.settings.config import AgentConfig
from edge.wire.messages import Request
from edge.wire.topics import Address

WHOLE_TIMEOUT_S: Final = 120.0
"""For one picture in full resolution; a large film takes a small board a while."""


def vitals_of(config: AgentConfig, model_id: str, folders: Sequence[Path]) -> Vitals:
    """What is needed to tell how this box is; `folders` are the folders whose quarantines count."""
    after_s = config.alarm.unanswered_s
    return Vitals(
        state_dir=config.state_dir,
        model_id=model_id,
        unanswered_after=timedelta(seconds=after_s) if after_s else None,
        count_quarantined=lambda: len(list_quarantine(folders)),
    )


def commands_of(config: AgentConfig, stop: Event, capture: Callable[[], None] | None) -> dict[str, Command]:
    """What the doctor's end may ask of this box; `capture` takes a picture, None where there is no camera."""
    decode = partial(decode_whole, timeout_s=WHOLE_TIMEOUT_S, max_memory_bytes=config.decode.max_memory_bytes)
    images = FullImages(config.state_dir, decode, blank=config.privacy.regions)
    commands = {
        "image": Command(images.piece),
        "resend": Command(resend, once=True),
        "restart": restart(stop),
        "self-test": Command(partial(self_test, config)),
    }
    return commands if capture is None else commands | {"capture": photograph(capture)}


def self_test(config: AgentConfig, _: Request, __: Outbox) -> Done:
    """What `edge-agent check` finds, but for the line to the broker: that the answer arrives shows that it works.

    A second login under this box's name would throw its own connection off the line.
    """
    from edge.checks.every import as_result, checks_but_for_the_line  # noqa: PLC0415 - nobody may ever ask

    return Done(result=as_result(checks_but_for_the_line(config)))


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
        from edge.delivery.publish import Publisher  # noqa: PLC0415 - the first image need not wait for the MQTT library

        try:
            Publisher(
                config.broker,
                address=address_of(config),
                outbox=config.state_dir / OUTBOX_NAME,
                limits=config.outbox,
                vitals=vitals,
                about=lambda outbox: about_box(config, bundle, outbox),
                commands=commands_of(config, stop, capture),
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
