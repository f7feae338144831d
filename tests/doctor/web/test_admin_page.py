"""The admin's page in a real browser."""

import re
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from playwright.sync_api import Page, expect

from doctor import clinics, rejected, requests
from doctor.rejected import Fault
from edge.wire.messages import Response, Status

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


def test_a_box_is_asked_to_examine_itself(page, store):
    """The request is owed to the box; its answer, and what is wrong, appears in the list."""
    with store.database.writing() as writing:
        clinics.set_status(writing, "north", "box-1", Status(state="online", at=None, model="m@1"))
    page.reload()

    page.get_by_role("button", name="Self-test north box-1").click()
    expect(page.get_by_role("region", name="All boxes")).to_contain_text("asked, no answer yet")
    (owed,) = store.requests_owed()
    said = Response(
        transaction=owed.request.transaction, at=datetime.now(UTC), result={"disk": "ok", "clock": "warn: not set"}
    )
    with store.database.writing() as writing:
        requests.answer(writing, owed.site, owed.device, owed.command, said)
    page.goto(page.url.removesuffix("/box"))

    assert (owed.site, owed.device, owed.command) == ("north", "box-1", "self-test")
    expect(page.get_by_role("region", name="All boxes")).to_contain_text("Self-test: clock: warn: not set")


def test_only_boxes_that_are_there_are_asked_what_they_can(pages, admin, store):
    """Anything else is refused in words, and nothing is owed."""
    with store.database.writing() as writing:
        clinics.set_status(writing, "north", "box-1", Status(state="online", at=None, model="m@1"))
    with pages.client(admin) as client:
        token = re.search(r'name="token" value="(\w+)"', client.get("/admin").text)[1]
        for site, command in (("south", "restart"), ("north", "capture"), ("north", "")):
            form = {"token": token, "site": site, "device": "box-1", "command": command}
            assert client.post("/admin/box", data=form).status_code == 422

    assert store.requests_owed() == []


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


def test_a_disabled_account_is_out_at_once(page, pages, reader):
    """Its open session, too; one's own account is not offered."""
    with pages.client(reader) as client:
        page.reload()

        page.get_by_role("button", name="Disable ada").click()

        expect(page.locator(".flash.good")).to_contain_text("ada can sign in no more")
        assert client.get("/").status_code == 303
    assert page.get_by_role("button", name="Disable").count() == 0


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
