"""What the doctor's end asks of a real box, over a real broker: its whole picture, a report again, a self-test."""

import io
import time
from pathlib import Path
from threading import Event, Thread

import numpy as np
import pytest
from PIL import Image

from doctor.accounts import Account
from doctor.inbox import Inbox
from doctor.requests import Command
from doctor.reviews import Answer
from doctor.store import Store
from edge.decoding.decode import decode
from edge.phantom import phantom
from edge.settings.config import BrokerConfig

READER = Account("ada", "Dr. Ada Reader")


@pytest.fixture
def store(mosquitto, tmp_path: Path):
    """A store whose inbox runs."""
    stop = Event()
    with Store.open(tmp_path / "inbox.sqlite3") as store:
        inbox = Thread(target=Inbox(BrokerConfig(address=mosquitto.address), store).run, args=(stop,))
        inbox.start()
        yield store
        stop.set()
        inbox.join(timeout=10)


def wait_until(condition, timeout_s: float = 60) -> None:
    """Wait until something holds."""
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.05)


def test_a_box_answers_what_it_is_asked_and_confirms_what_it_is_told(
    agent, mosquitto, store, demo_bundle: Path, phantoms, tmp_path: Path
):
    """The picture comes whole and is the one that the box decoded; the review leaves the broker once the box has it."""
    watched = tmp_path / "in"
    watched.mkdir()
    agent(
        "--broker", mosquitto.address, "--model", demo_bundle, "--watch", watched, "--site", "hill", "--device",
        "box-1", "--settle-s", "0.1", "--receipt-timeout-s", "1",
    )  # fmt: skip
    phantoms(watched, 1, first_seed=7)
    wait_until(lambda: (item := store.item(1)) is not None and item.has_preview)

    store.open_report(1, READER)
    store.answer(1, Answer(verdict="agree"), READER, 1)
    store.ask(1, Command.IMAGE, READER)
    store.ask(1, Command.RESEND, READER)
    store.ask_box("hill", "box-1", Command.SELF_TEST, READER)
    wait_until(lambda: store.item(1).delivered and not store.requests_owed() and not store.reviews_owed())

    asked = {one.command: one for one in store.asked_of("hill", "box-1")}
    assert {command: one.error for command, one in asked.items()} == dict.fromkeys(
        (Command.IMAGE, Command.RESEND, Command.SELF_TEST)
    )
    assert "disk" in asked[Command.SELF_TEST].result
    pixels = np.asarray(Image.open(io.BytesIO(store.image_content(1))))
    assert np.array_equal(pixels, decode(phantom(7).png()).pixels)
    (clinic,) = store.clinics()
    assert (clinic.state, clinic.health is not None, clinic.card is not None) == ("online", True, True)
    assert {fault.value for fault in store.rejections()} <= {"repeated"}
