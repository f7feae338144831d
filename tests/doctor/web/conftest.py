"""What the pages' tests share: the pages over a real store, served by a real uvicorn, and somebody signed in."""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import Event

import argon2
import httpx
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from doctor import accounts
from doctor.accounts import Account, Role
from doctor.store import Store
from doctor.web import server
from doctor.web.app import make_app
from edge.phantom import phantom
from edge.wire.messages import Picture, Report

PASSWORD = "correct horse battery staple"  # noqa: S105 - known to everybody
SETUP = "first-account"
HEATMAP = tuple(tuple(float(row == column == 3) for column in range(7)) for row in range(7))


@pytest.fixture(autouse=True)
def quick_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hash passwords with little work: how much work protects them is not what these tests are about."""
    monkeypatch.setattr(accounts, "_hasher", argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A fresh store; the pages do not know which database it is."""
    with Store.open(tmp_path / "inbox.sqlite3") as store:
        yield store


@pytest.fixture
def arrive(store: Store, make_report: Callable[..., Report]) -> Callable[..., int]:
    """Let a report of a phantom arrive, with its preview; returns its number."""

    def one(seed: int = 1, *, probability: float = 0.93, preview: bool = True, **changes: object) -> int:
        jpeg, size = preview_of(seed % 2)
        finding = {
            "positive": "opacity",
            "decision": "opacity" if probability >= 0.5 else "clear",
            "probabilities": {"clear": 1 - probability, "opacity": probability},
            "threshold": 0.5,
            "band": (0.4, 0.6),
            "heatmap": HEATMAP,
            "picture": Picture(width_px=size[0], height_px=size[1], preview_bytes=len(jpeg)),
        }
        report = make_report(seed, **{**finding, **changes})
        stored = store.add(report)
        if preview:
            store.add_preview(report.site, report.device, report.id, jpeg)
        return stored.number

    return one


@cache
def preview_of(seed: int) -> tuple[bytes, tuple[int, int]]:
    """A phantom as a box sends it, and the size of the whole."""
    film = phantom(seed)
    gray = (film.pixels / (2**film.bit_depth - 1) * 255).astype(np.uint8)
    content = io.BytesIO()
    Image.fromarray(gray).save(content, "JPEG", quality=80)
    return content.getvalue(), (gray.shape[1], gray.shape[0])


class Counted:
    """An application, and how many bytes of bodies it has sent, compressed as they went over the line."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.sent_bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on."""

        async def count(message: Message) -> None:
            self.sent_bytes += len(message.get("body", b""))
            await send(message)

        await self._app(scope, receive, count)


@dataclass(frozen=True, slots=True)
class Pages:
    """The pages as a browser finds them."""

    address: str
    store: Store
    line: Counted

    @contextmanager
    def client(self, account: Account | None = None) -> Iterator[httpx.Client]:
        """A client without scripts; signed in where an account is given."""
        headers = {"accept": "text/html", "origin": self.address}
        with httpx.Client(base_url=self.address, headers=headers) as client:
            if account is not None:
                answer = client.post("/login", data={"name": account.name, "password": PASSWORD})
                assert answer.status_code == 303, answer.text
            yield client

    def enter(self, page: Page, account: Account) -> None:
        """Sign in by hand and wait until the worklist is live."""
        page.goto(f"{self.address}/login")
        page.get_by_label("Name").fill(account.name)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_selector(".lamp.on")


@pytest.fixture
def pages(store: Store) -> Iterator[Pages]:
    """The pages over the store, on a free port."""
    stop = Event()
    line = Counted(make_app(store, setup=SETUP, stop=stop))
    with server.listening("127.0.0.1", 0) as taken, server.served(line, taken, stop=stop):
        yield Pages(server.address_of(taken), store, line)


@pytest.fixture
def reader(store: Store) -> Account:
    """Somebody who reads."""
    return store.add_account("ada", "Dr. Ada Reader", Role.READER, PASSWORD)


@pytest.fixture
def other_reader(store: Store) -> Account:
    """Somebody else who reads, with an account."""
    return store.add_account("ben", "Dr. Ben Other", Role.READER, PASSWORD)


@pytest.fixture
def admin(store: Store) -> Account:
    """Somebody who also looks after the inbox."""
    return store.add_account("eve", "Eve Admin", Role.ADMIN, PASSWORD)
