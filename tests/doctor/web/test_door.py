"""Who gets in: the login, the first account, passwords; and that nothing is to be had without."""

import re

import pytest
from starlette.routing import Route

from doctor.web.app import make_app

OPEN = {
    "/login",
    "/setup/{secret}",
    "/offline",
    "/static/{version}/{name}",
    "/sw.js",
    "/manifest.webmanifest",
}
PASSWORD = "correct horse battery staple"  # noqa: S105 - known to everybody


def addresses(store) -> list[tuple[str, str]]:
    """Every address of the pages, and a method that it takes."""
    routes = [route for route in make_app(store, setup="x").routes if isinstance(route, Route)]
    return [
        (method, re.sub(r"{\w+:int}", "1", route.path))
        for route in routes
        for method in sorted(route.methods - {"HEAD"})
        if route.path not in OPEN
    ]


def test_nothing_is_to_be_had_without_a_session(pages, arrive):
    """Every address but the door's sends people to the login and scripts away."""
    arrive(1)
    with pages.client() as client:
        for method, address in addresses(pages.store):
            answer = client.request(method, address)
            assert answer.status_code in {303, 401}, address
            assert answer.headers.get("location", "/login") == "/login"


def test_nothing_changes_without_the_pages_own_token(pages, arrive, admin):
    """A form from elsewhere, or without the token of this session, does nothing."""
    arrive(1)
    posts = [address for method, address in addresses(pages.store) if method == "POST"]
    with pages.client(admin) as client:
        for address in posts:
            assert client.post(address, data={"choice": "agree", "revision": "0"}).status_code == 403, address
            foreign = client.post(address, headers={"sec-fetch-site": "cross-site"})
            assert foreign.status_code == 403, address

    assert len(posts) >= 7
    assert pages.store.item(1).review is None


def test_a_reader_is_no_admin(pages, reader):
    """What only admins may, a reader is refused, and not shown the way to."""
    with pages.client(reader) as client:
        assert client.get("/admin").status_code == 403
        assert "/admin" not in client.get("/").text


def test_every_page_forbids_scripts_of_its_own_and_frames(pages, reader, arrive):
    """The browser is told so, on pages, pictures and errors alike."""
    arrive(1)
    with pages.client(reader) as client:
        for address in ("/", "/report/1", "/report/1/preview", "/login", "/nowhere", "/report/99"):
            headers = client.get(address).headers
            policy = headers["content-security-policy"]
            assert "default-src 'self'" in policy, address
            assert "unsafe" not in policy
            assert "frame-ancestors 'none'" in policy
            assert headers["x-content-type-options"] == "nosniff"
        assert client.get("/").headers["cache-control"] == "no-store"


def test_pages_hold_no_style_or_script_of_their_own(pages, admin, arrive):
    """What the policy forbids is not there."""
    arrive(1)
    with pages.client(admin) as client:
        for address in ("/", "/report/1", "/admin", "/account", "/login", "/offline"):
            text = client.get(address).text
            assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]* src=)", text), address
            assert "Decision support for a doctor. Not a diagnosis." in text, address
            assert not re.search(r"(src|href)=\"(https?:)?//", text), address


def test_a_wrong_password_says_nothing_of_the_name(pages, reader):
    """Whether the name or the password was wrong is not told."""
    with pages.client() as client:
        wrong = client.post("/login", data={"name": reader.name, "password": "wrong"})
        unknown = client.post("/login", data={"name": "nobody", "password": "wrong"})

    said = [re.search(r'role="alert">(.*?)<', answer.text)[1] for answer in (wrong, unknown)]
    assert (wrong.status_code, unknown.status_code) == (403, 403)
    assert said[0] == said[1]


def test_the_session_is_kept_from_scripts_and_other_sites(pages, reader):
    """And, behind a proxy with TLS, from any other line."""
    with pages.client() as client:
        cookie = client.post("/login", data={"name": reader.name, "password": PASSWORD}).headers["set-cookie"]

    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie


def test_signing_out_ends_the_session(pages, reader):
    """The cookie is worthless afterwards, even where somebody kept it."""
    with pages.client(reader) as client:
        kept = client.cookies["session"]
        token = re.search(r'name="token" value="(\w+)"', client.get("/").text)[1]
        client.post("/logout", data={"token": token})
    with pages.client() as client:
        client.cookies.set("session", kept)
        assert client.get("/").status_code == 303


def test_the_first_account_is_made_once(pages):
    """By the address that the terminal shows, and by no other; it is an admin, and it is in at once."""
    first = {"name": "ada", "reader": "Dr. Ada Reader", "new": PASSWORD}
    with pages.client() as client:
        assert client.post("/setup/guess", data=first).status_code == 404
        assert client.post("/setup/first-account", data={**first, "new": "short"}).status_code == 422
        assert client.post("/setup/first-account", data=first).headers["location"] == "/"
        assert client.get("/admin").status_code == 200
        assert client.post("/setup/first-account", data={**first, "name": "eve"}).status_code == 404
    assert [account.name for account in pages.store.accounts()] == ["ada"]


def test_a_password_is_changed_by_who_knows_it(pages, reader):
    """The old one no longer opens, the new one does."""
    new = "another battery staple horse"
    with pages.client(reader) as client:
        token = re.search(r'name="token" value="(\w+)"', client.get("/account").text)[1]
        wrong = client.post("/account", data={"token": token, "password": "wrong", "new": new})
        right = client.post("/account", data={"token": token, "password": PASSWORD, "new": new})
    with pages.client() as client:
        old = client.post("/login", data={"name": reader.name, "password": PASSWORD})
        opened = client.post("/login", data={"name": reader.name, "password": new})

    assert (wrong.status_code, right.status_code) == (422, 200)
    assert (old.status_code, opened.status_code) == (403, 303)


@pytest.mark.parametrize("address", ["/report/99", "/report/0", "/report/99999999999999999999", "/nowhere"])
def test_what_is_not_there_is_said_to_be_missing(pages, reader, address: str):
    """In words, with the way back."""
    with pages.client(reader) as client:
        answer = client.get(address)

    assert answer.status_code == 404
    assert "<h1>" in answer.text


def test_odd_requests_are_refused_in_words(pages, reader):
    """A mark that no list gave, a form too large, an unknown view: none is an error of the server's."""
    with pages.client(reader) as client:
        assert client.get("/?after=x").status_code == 303
        assert client.get("/?view=%00&clinic=%00&finding='%22").status_code == 200
        assert client.post("/theme", data={"token": "x" * 20_000}).status_code == 413
