"""What the clinic relies on: its page, and the doctor's answers."""

import json
import os
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from typing import Final

from edge.checks.check import Check
from edge.database import DatabaseError
from edge.errors import ConfigError
from edge.outbox.outbox import OUTBOX_NAME, Outbox
from edge.settings.config import AgentConfig
from edge.settings.page import PageConfig
from edge.settings.page_address import check_certificate, open_listener

PAGE: Final = "clinic's page"
ANSWERS: Final = "doctor's answers"
_LIBRARIES: Final = ("jinja2", "python_multipart", "starlette", "uvicorn")
_ASK_S: Final = 3.0


def page_check(config: AgentConfig) -> Iterator[Check]:
    """Whether the page can be opened, or is open already because the agent runs."""
    page = config.page
    if not page.listen:
        yield Check.skipped(PAGE, "none is configured")
        return
    if missing := [name for name in _LIBRARIES if find_spec(name) is None]:
        cure = "install the page's libraries: pip install 'edge-xray[edge,page]'"
        yield Check.fail(PAGE, f"{', '.join(missing)} cannot be imported", cure=cure)
        return
    try:
        page.password()
        check_certificate(page)
        if not _is_open(page):
            open_listener(page).close()
    except ConfigError as error:
        yield Check.failed_with(PAGE, error)
        return
    yield Check.ok(PAGE, f"{'open' if _is_open(page) else 'can be opened'} at {page.listen}")


def _is_open(page: PageConfig) -> bool:
    """Whether an agent's page answers there."""
    scheme = "http" if page.cert_file is None else "https"
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # who it is does not matter here
    host, port = page.host_and_port
    here = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - looked for, not listened at
    try:
        url = f"{scheme}://{f'[{here}]' if ':' in here else here}:{port}/healthz"
        with urllib.request.urlopen(url, timeout=_ASK_S, context=context) as answer:  # noqa: S310 - our own scheme
            return "alive" in json.load(answer)
    except urllib.error.HTTPError as error:
        return error.headers.get("content-type") == "application/json"  # it answers, and is not well
    except (OSError, ValueError):
        return False


def answers_check(config: AgentConfig) -> Iterator[Check]:
    """Whether every report was answered in time, and the outbox takes new ones."""
    try:
        path = config.state_dir / OUTBOX_NAME
    except ConfigError:
        yield Check.skipped(ANSWERS, "nobody says where the state lies")
        return
    if not path.is_file():
        yield Check.skipped(ANSWERS, "no report was made yet")
    elif path.stat().st_uid != os.geteuid():  # another user's files beside it would keep the agent out
        yield Check.skipped(ANSWERS, "run the check as the user that the agent runs as")
    else:
        yield _answers(config)


def _answers(config: AgentConfig) -> Check:
    try:
        with Outbox(config.state_dir / OUTBOX_NAME, limits=config.outbox) as outbox:
            owed, after_s = outbox.count_owed(), config.alarm.unanswered_s
            if (why := outbox.is_full()) is not None:
                return Check.fail(ANSWERS, "no new reports are made", cure=why)
            late = outbox.count_unanswered(timedelta(seconds=after_s), datetime.now(UTC)) if after_s else 0
    except DatabaseError as error:
        return Check.failed_with(ANSWERS, error)
    if late:
        text = (
            f"{late} reports have waited for an answer for more than {timedelta(seconds=after_s)}; {owed} are not sent"
        )
        return Check.fail(ANSWERS, text, cure="call the doctor; mind the checks of the broker above")
    return Check.ok(ANSWERS, f"no report has waited for too long, {owed} are not confirmed by the doctor's inbox")
