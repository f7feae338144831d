"""The command `edge-doctor` with no further command: inbox and pages over one store, with a real broker."""

import re
import signal
import sys
import time

import httpx
import pytest


@pytest.fixture
def serve(start, mosquitto, tmp_path):
    """Start it on a free port with a store of its own."""
    return lambda *arguments: start(
        sys.executable, "-m", "doctor.cli", "--broker", mosquitto.address, "--store", tmp_path / "inbox.sqlite3",
        "--http", "127.0.0.1:0", *arguments,
    )  # fmt: skip


def printed(process, pattern: str) -> str:
    """What a line of the terminal says, once it says it."""
    process.wait_for(lambda found: any(re.search(pattern, line) for line in found.err))
    return next(match[1] for line in process.err if (match := re.search(pattern, line)))


def test_the_first_start_leads_to_the_first_account(serve):
    """The terminal shows where the pages are and where the first account is made; the second start only the former."""
    doctor = serve()
    setup = printed(doctor, r"(http://127.0.0.1:\d+/setup/\S+)")
    address = printed(doctor, r"The pages: (\S+)")
    with httpx.Client(headers={"accept": "text/html"}, follow_redirects=True) as client:
        assert "Sign in" in client.get(address).text
        form = {"name": "ada", "reader": "Dr. Ada Reader", "new": "correct horse battery staple"}
        assert "Dr. Ada Reader" in client.post(setup, data=form).text
    assert doctor.end() == 0

    again = serve()
    printed(again, r"The pages: (\S+)")

    assert not any("/setup/" in line for line in again.err)
    assert any("Not a diagnosis." in line for line in again.err)


def test_it_ends_in_order_while_pages_follow_along(serve):
    """A page that listens for news does not hold it back."""
    doctor = serve()
    setup = printed(doctor, r"(http://127.0.0.1:\d+/setup/\S+)")
    address = printed(doctor, r"The pages: (\S+)")
    form = {"name": "ada", "reader": "Dr. Ada Reader", "new": "correct horse battery staple"}
    with httpx.Client() as client:
        client.post(setup, data=form)
        with client.stream("GET", f"{address}/events") as events:
            assert next(events.iter_lines()).startswith("retry:")
            began_s = time.monotonic()

            code = doctor.end(signal.SIGTERM)

    assert code == 0
    assert time.monotonic() - began_s < 3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--http", "0.0.0.0:8042"), "--behind-proxy"),
        (("--http", "127.0.0.1:no"), "HOST:PORT"),
        (("--http", "192.0.2.1:8042", "--behind-proxy"), "cannot listen"),
    ],
)
def test_pages_that_cannot_be_served_are_refused(serve, arguments: tuple[str, ...], said: str):
    """In the clear over a network, at no address, at another machine's: exit 78 and what to do."""
    doctor = serve(*arguments)

    assert doctor.code() == 78
    assert said in doctor.err[-1]


def test_a_broker_or_a_command_is_needed(start):
    """Neither is a usage error."""
    doctor = start(sys.executable, "-m", "doctor.cli")

    assert doctor.code() == 2
    assert "--broker HOST is needed" in doctor.err[-1]
