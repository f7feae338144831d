"""Who may come in, and what a foreign web site may not do: against the real server."""

from pathlib import Path

import httpx
import pytest

from edge.clinic.access import MAX_WRONG, WRONG_S, Door, local_path
from edge.settings.page import PageConfig

PASSWORD = "correct horse battery"  # noqa: S105 - of the tests alone


@pytest.fixture
def locked(serve, box, tmp_path: Path) -> str:
    """The address of a page with a password."""
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    return serve(page=PageConfig(listen=box.page.listen, password_file=str(tmp_path / "password")))


def test_the_password_opens_a_session_and_logging_out_ends_it(locked: str):
    """A browser is led to the login and back to where it wanted to go; no script and no other site gets the cookie."""
    with httpx.Client(base_url=locked, headers={"accept": "text/html"}) as browser:
        away = browser.get("/health")
        wrong = browser.post("/login", data={"password": "guess", "next": "/health"})
        right = browser.post("/login", data={"password": PASSWORD, "next": "/health"})
        inside = browser.get("/health")
        browser.post("/logout")
        after = browser.get("/health")

    assert (away.status_code, away.headers["location"]) == (303, "/login?next=%2Fhealth")
    assert (wrong.status_code, "This is not the password." in wrong.text) == (401, True)
    assert (right.status_code, right.headers["location"]) == (303, "/health")
    assert {"HttpOnly", "SameSite=strict"} <= set(right.headers["set-cookie"].split("; "))
    assert (inside.status_code, after.status_code) == (200, 303)


@pytest.mark.parametrize("path", ["/", "/reports/x", "/reports/x/preview.jpg", "/quarantine", "/metrics"])
def test_nothing_of_a_patient_is_shown_without_the_password(locked: str, path: str):
    """Neither to a browser nor to a program."""
    program = httpx.get(locked + path)
    browser = httpx.get(locked + path, headers={"accept": "text/html"})

    assert (program.status_code, browser.status_code) == (401, 303)
    assert program.headers["www-authenticate"].startswith("Basic")


def test_a_program_may_send_the_password_with_each_request(locked: str):
    """As `curl --user` does; a wrong one, or rubbish, does not pass."""
    assert httpx.get(f"{locked}/metrics", auth=("any", PASSWORD)).status_code == 200
    assert httpx.get(f"{locked}/metrics", auth=("any", "guess")).status_code == 401
    assert httpx.get(f"{locked}/metrics", headers={"authorization": "Basic %%%"}).status_code == 401


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_a_supervisor_needs_no_password(locked: str, path: str):
    """It learns whether the box works and nothing else."""
    assert httpx.get(locked + path).status_code == 200


def test_a_foreign_site_cannot_make_a_browser_send_anything(serve):
    """Whatever the cookie, the browser says where the request comes from; a program says nothing and may."""
    url = serve()
    host = url.removeprefix("http://")

    def sent(**headers: str) -> int:
        return httpx.post(f"{url}/studies", content=b"", headers=headers).status_code

    assert sent(origin="https://evil.example") == 403
    assert sent(origin="null") == 403
    assert sent(origin="http://[") == 403
    assert sent(origin=f"http://{host}.evil.example") == 403
    assert sent(**{"sec-fetch-site": "cross-site"}) == 403
    assert sent(origin=f"http://{host}") == 400  # an empty file: it came in
    assert sent() == 400


def test_without_a_password_no_foreign_name_leads_to_the_page(serve):
    """A name that somebody points at 127.0.0.1 does not open it."""
    url = serve()

    assert httpx.get(url, headers={"host": "evil.example"}).status_code == 421
    assert httpx.get(url, headers={"host": "127.0.0.1.evil.example"}).status_code == 421
    assert httpx.get(url, headers={"host": "[::1"}).status_code == 421
    assert httpx.get(url, headers={"host": "localhost:1"}).status_code == 200


def test_every_answer_forbids_what_the_page_does_not_need(serve):
    """No inline script, no frame around it, no guessing of types, and nothing kept in a browser's memory."""
    headers = httpx.get(serve()).headers

    assert headers["content-security-policy"].startswith("default-src 'self';")
    assert "unsafe" not in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert (headers["x-content-type-options"], headers["cache-control"]) == ("nosniff", "no-cache")


def test_guessing_has_to_wait():
    """After five wrong passwords within a minute an address waits; others do not, and time heals it."""
    now = [0.0]
    door = Door(password=PASSWORD, session_s=100, clock_s=lambda: now[0])

    for _ in range(MAX_WRONG):
        assert door.enter("guess", "10.0.0.9") is None

    assert door.enter(PASSWORD, "10.0.0.9") is None
    assert door.wait_s("10.0.0.9") == WRONG_S
    assert door.enter(PASSWORD, "10.0.0.8") is not None
    now[0] = WRONG_S + 1
    assert door.enter(PASSWORD, "10.0.0.9") is not None


def test_a_session_ends_with_its_time():
    """Whoever walks away is logged out in the end."""
    now = [0.0]
    door = Door(password=PASSWORD, session_s=100, clock_s=lambda: now[0])
    token = door.enter(PASSWORD, "a")

    assert door.is_inside(token)
    now[0] = 101
    assert not door.is_inside(token)
    assert not door.is_inside(None)
    assert not door.is_inside("")


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("/health", "/health"),
        ("/reports/a?b=c", "/reports/a"),
        ("//evil.example/", "/"),
        ("https://evil.example/", "/"),
        ("/\\evil.example", "/"),
        ("//[", "/"),
        ("/\t/evil.example", "/"),
        ("", "/"),
    ],
)
def test_a_login_leads_nowhere_else(text: str, path: str):
    """Only a path of this page is a place to go to."""
    assert local_path(text) == path
