"""The clinic's page and the doctor's answers, as `edge-agent check` sees them."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from edge.checks.check import Check
from edge.checks.clinic import answers_check, page_check
from edge.outbox.outbox import OUTBOX_NAME, Outbox
from edge.settings.config import AgentConfig
from edge.settings.delivery import AlarmConfig, OutboxConfig
from edge.settings.page import PageConfig
from edge.wire.messages import Report, decode

GOLDEN = Path(__file__).parents[1] / "golden" / "report.json"


def one(checks: Iterator[Check]) -> Check:
    """The only check."""
    (check,) = checks
    return check


@contextmanager
def _taken() -> Iterator[str]:
    """An address at which somebody else listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


def test_a_page_that_nobody_wants_is_not_looked_at():
    """Nor its libraries."""
    assert one(page_check(AgentConfig())).state == "skipped"


def test_a_free_address_can_be_opened_and_is_left_free():
    """The check takes it for a moment only."""
    with _taken() as address:
        pass
    config = AgentConfig(page=PageConfig(listen=address))

    assert (
        one(page_check(config)) == one(page_check(config)) == Check.ok("clinic's page", f"can be opened at {address}")
    )


def test_an_address_of_somebody_else_fails():
    """The port is taken by something that is no page of ours."""
    with _taken() as address:
        check = one(page_check(AgentConfig(page=PageConfig(listen=address))))

    assert check.state == "fail"
    assert "Address already in use" in check.text
    assert "nobody else uses" in check.cure


def test_an_unreadable_password_fails(tmp_path: Path):
    """Before somebody finds the agent dead."""
    page = PageConfig(listen="0.0.0.0:1", password_file=str(tmp_path / "nowhere"))

    check = one(page_check(AgentConfig(page=page)))

    assert check.state == "fail"
    assert "page.password_file" in check.text


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state folder with one report of two hours ago."""
    report = decode(GOLDEN.read_bytes(), Report)
    with Outbox(tmp_path / OUTBOX_NAME, clock=lambda: datetime.now(UTC) - timedelta(hours=2)) as outbox:
        outbox.put(msgspec.structs.replace(report, seq=0))
    return tmp_path


@pytest.mark.parametrize(("after_s", "state_name"), [(3600, "fail"), (3 * 3600, "ok"), (0, "ok")])
def test_an_answer_that_does_not_come_fails_the_check(state: Path, after_s: float, state_name: str):
    """So the exit status of `edge-agent check` is an alarm, too; 0 switches it off."""
    config = AgentConfig(state=str(state), alarm=AlarmConfig(unanswered_s=after_s))

    assert one(answers_check(config)).state == state_name


def test_an_outbox_that_takes_no_more_fails(state: Path):
    """The cure is the outbox's own sentence."""
    config = AgentConfig(state=str(state), outbox=OutboxConfig(min_free_bytes=2**60))

    check = one(answers_check(config))

    assert (check.state.value, "free disk space" in check.cure) == ("fail", True)


def test_a_box_without_reports_has_none_to_wait_for(tmp_path: Path):
    """And the check makes no outbox."""
    assert one(answers_check(AgentConfig(state=str(tmp_path)))).state == "skipped"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_another_user_s_outbox_is_left_alone(state: Path):
    """A file of root's beside it would keep the agent out."""
    os.chown(state / OUTBOX_NAME, 12345, 12345)

    assert one(answers_check(AgentConfig(state=str(state)))).state == "skipped"
