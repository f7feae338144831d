"""The admin's page in a real browser."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from doctor import rejected
from doctor.rejected import Fault

SCRIPT = "<script>document.title = 'run'</script>"


@pytest.fixture
def page(pages, open_page: Callable[..., Page], admin) -> Page:
    """A window in which an admin sees the page."""
    page = open_page(f"{pages.address}/login")
    pages.enter(page, admin)
    page.goto(f"{pages.address}/admin")
    return page


def test_messages_set_aside_are_counted_and_shown_as_text(page, store):
    """Whatever they hold, nothing of it runs."""
    with store.database.writing() as writing:
        for _ in range(3):
            rejected.reject(
                writing, topic=SCRIPT, fault=Fault.NOT_JSON, reason=SCRIPT, payload=SCRIPT.encode() + b"\xff\0"
            )

    page.reload()

    expect(page.get_by_role("region", name="The last of them")).to_contain_text(SCRIPT)
    expect(page.locator(".tag")).to_contain_text(["3"])
    assert page.title() == "Admin · edge-xray"
    assert page.locator("main script").count() == 0


def test_an_account_is_added_and_can_sign_in(page, pages):
    """A reader by default; a name that is taken is refused in words."""
    for _ in range(2):
        page.get_by_text("Add an account").click()
        page.get_by_label("Name to sign in with").fill("ben")
        page.get_by_label("How the clinics see them").fill("Dr. Ben Other")
        page.get_by_label("First password").fill("correct horse battery staple")
        page.get_by_role("button", name="Add").click()
        page.wait_for_selector(".flash")

    expect(page.get_by_role("alert")).to_be_visible()
    (ben,) = [account for account in pages.store.accounts() if account.name == "ben"]
    with pages.client(ben) as client:
        assert client.get("/").status_code == 200
        assert client.get("/admin").status_code == 403


def test_the_log_is_verified_on_request(page):
    """And says so."""
    page.get_by_role("button", name="Verify the whole log").click()

    expect(page.locator(".flash.good")).to_contain_text("entries fit")


@pytest.mark.parametrize(("width", "height"), [(360, 640), (1440, 900)])
def test_the_page_fits_and_can_be_read_by_everybody(
    page, store, accessibility_faults, sideways_scroll, width: int, height: int
):
    """On a phone and on a desk."""
    with store.database.writing() as writing:
        rejected.reject(writing, topic="x" * 200, fault=Fault.TOPIC, reason="y" * 300, payload=b"z" * 4000)
    page.set_viewport_size({"width": width, "height": height})
    page.reload()

    assert accessibility_faults(page) == []
    assert sideways_scroll(page) == 0
