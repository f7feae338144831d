"""The clinic's page of a real agent, with a real broker, a real doctor's end and a real browser."""

import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from playwright.sync_api import expect

from edge.phantom import phantom
from edge.wire.messages import Review, encode
from edge.wire.topics import Address


@pytest.fixture
def address() -> str:
    """A free address for the page."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return f"127.0.0.1:{probe.getsockname()[1]}"


@pytest.fixture
def watched(tmp_path: Path) -> Path:
    """A watched folder."""
    folder = tmp_path / "in"
    folder.mkdir()
    return folder


@pytest.fixture
def say(mosquitto) -> Iterator:
    """Publish as the doctor's inbox does: a retained review."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
    client.connect("127.0.0.1", mosquitto.port)
    client.loop_start()

    def publish(report: str, **fields: object) -> None:
        review = Review(id=report, at=datetime.now(UTC), reader="Dr. Weber", **fields)
        topic = Address("xray", "hill", "box-1").review(report)
        client.publish(topic, encode(review), qos=1, retain=True).wait_for_publish(10)

    yield publish
    client.disconnect()
    client.loop_stop()


def test_from_the_picture_to_the_answer_while_the_nurse_looks(
    agent, doctor, mosquitto, say, demo_bundle, phantoms, watched: Path, address: str, open_page
):
    """A dropped picture goes up the ladder to the doctor's answer, and a sent one appears beside it."""
    canary = "Erika-Mustermann-1964"
    box = agent(
        "--broker", mosquitto.address, "--model", demo_bundle, "--watch", watched, "--site", "hill",
        "--device", "box-1", "--page", address, "--receipt-timeout-s", "1", "--settle-s", "0.2", "--log-level", "debug",
    )  # fmt: skip
    box.wait_for_line("the clinic's page is at")
    page = open_page(f"http://{address}")
    phantoms(watched, 1)
    current = page.locator("article [aria-current=step]")
    expect(current).to_contain_text("On its way", timeout=20_000)

    doctor(mosquitto.address)
    expect(current).to_contain_text("Doctor has it", timeout=20_000)
    link = page.locator("article a").first.get_attribute("href")
    report = link.rsplit("/", 1)[-1]
    say(report, revision=1, state="opened")
    expect(current).to_contain_text("Doctor opened it")
    say(report, revision=2, state="answered", verdict="disagree", label="pneumonia", call_back=True, text="Call me.")
    expect(current).to_contain_text("Doctor answered")
    expect(page.locator("#alarms")).to_contain_text("Call the doctor now")

    page.get_by_label("Send pictures").set_input_files(
        [{"name": f"{canary}.png", "mimeType": "image/png", "buffer": phantom(1).png()}]
    )
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.locator("article")).to_have_count(2, timeout=20_000)
    page.goto(f"http://{address}{link}")
    expect(page.get_by_text("Dr. Weber disagrees", exact=True)).to_be_visible()
    assert canary not in "".join(box.out + box.err)


def test_a_report_that_nobody_answers_is_an_alarm_everywhere(
    agent, mosquitto, demo_bundle, phantoms, watched: Path, address: str
):
    """On the page, in the numbers, and in the log."""
    box = agent(
        "--broker", mosquitto.address, "--model", demo_bundle, "--watch", watched, "--page", address,
        "--log-format", "json", env={"EDGE_AGENT_ALARM_UNANSWERED_S": "0.5"},
    )  # fmt: skip
    phantoms(watched, 1)

    box.wait_for_line('"alarm":"unanswered"')

    page = httpx.get(f"http://{address}/", headers={"accept": "text/html"}).text
    assert "1 picture has had no answer for too long. Call the doctor." in page
    assert "edge_agent_reports_unanswered 1.0" in httpx.get(f"http://{address}/metrics").text


@pytest.mark.parametrize(
    ("listen", "complaint"),
    [("0.0.0.0:8080", "give page.password_file"), ("127.0.0.1", "HOST:PORT"), ("taken", "Address already in use")],
)
def test_a_page_that_cannot_be_opened_ends_the_agent_with_78(
    agent, demo_bundle, watched: Path, listen: str, complaint: str
):
    """The message names the key and the cure, before the first picture is taken."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = listen.replace("taken", f"127.0.0.1:{taken.getsockname()[1]}")

        box = agent("--broker", "127.0.0.1:1", "--model", demo_bundle, "--watch", watched, "--page", listen)

        assert box.code() == 78
    assert "page.listen" in box.err[-1]
    assert complaint in box.err[-1]
