"""The worklist in a real browser: what stands first, what appears by itself, and working with keys alone."""

import time
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from doctor.accounts import Account
from edge.wire.messages import Status

WINDOWS = [(360, 640, "dark"), (1440, 900, "light")]
FIRST_LOAD_BYTES = 200_000


@pytest.fixture
def desk(pages, open_page: Callable[..., Page], reader: Account) -> Callable[..., Page]:
    """A window in which somebody is signed in and sees the worklist."""

    def one(**options: object) -> Page:
        page = open_page(f"{pages.address}/login", **options)
        pages.enter(page, reader)
        return page

    return one


def test_what_needs_reading_first_stands_first(desk, arrive):
    """Sought finding, then unsure, then not assessable, then the rest; and what is answered is not there."""
    for seed, changes in enumerate(
        [
            {"probability": 0.1},
            {"decision": "not-assessable", "probabilities": {}, "heatmap": None, "reason": "it is empty"},
            {"decision": "inconclusive", "probability": 0.5},
            {"probability": 0.9},
        ]
    ):
        arrive(seed, **changes)

    page = desk()

    assert page.locator("a.row .what > span:first-child").all_inner_texts() == [
        "Opacity", "Inconclusive", "Not assessable", "Clear",
    ]  # fmt: skip
    assert page.title().startswith("(1) ")


def test_a_report_appears_without_a_reload(desk, arrive):
    """Within two seconds of being stored, marked as new, and the head counts it."""
    arrive(1)
    page = desk()
    page.evaluate("window.same = true")
    began_s = time.monotonic()

    number = arrive(2)
    page.wait_for_selector(f"a.row.fresh[data-number='{number}']")

    assert time.monotonic() - began_s < 2
    assert page.evaluate("window.same")
    expect(page.locator("#tabs a[aria-current]")).to_contain_text("2")


def test_images_of_one_study_stand_together(desk, arrive):
    """The study is where its most urgent image is."""
    arrive(1, probability=0.1, study="s-1")
    arrive(2, probability=0.9)
    arrive(3, probability=0.9, study="s-1")

    page = desk()

    expect(page.locator(".study h2")).to_have_text("One study, 2 images")
    assert [row.get_attribute("data-number") for row in page.locator("a.row").all()] == ["2", "3", "1"]


def test_filters_leave_what_is_wanted(desk, arrive):
    """By clinic, by finding, and by how far reports have come."""
    arrive(1, site="north")
    arrive(2, site="south", probability=0.1)
    page = desk()

    page.get_by_label("Clinic").first.select_option("south")
    page.wait_for_url("**clinic=south**")
    expect(page.locator("a.row .of")).to_contain_text(["south"])
    page.get_by_role("link", name="Urgent").click()
    expect(page.locator(".empty")).to_be_visible()
    page.get_by_label("Clinic").first.select_option("north")

    expect(page.locator("a.row")).to_have_count(1)


def test_the_list_is_worked_through_with_keys(desk, arrive):
    """With j and k along it, Enter opens, ? tells the keys, / goes to the filter; the place is kept when news comes."""
    first, second = arrive(1), arrive(2)
    page = desk()
    focused = "document.activeElement.dataset.number"

    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.name") == "clinic"
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    page.keyboard.press("j")
    assert page.evaluate(focused) == str(second)
    page.wait_for_selector(f"a.row[data-number='{arrive(3)}']")
    assert page.evaluate(focused) == str(second)
    page.keyboard.press("k")
    assert page.evaluate(focused) == str(first)
    page.keyboard.press("Enter")

    page.wait_for_url(f"**/report/{first}")


def test_urgent_findings_sound_once_where_it_was_asked_for(desk, arrive):
    """Only urgent ones, only after the button, and not again when the same report changes."""
    page = desk()
    arrive(1)
    page.wait_for_selector("a.row")
    assert page.evaluate("document.body.dataset.alarms") is None

    page.get_by_role("button", name="Tell me of urgent findings").click()
    arrive(2, probability=0.1)
    page.wait_for_selector("a.row >> nth=1")
    number = arrive(3)
    expect(page.locator("body")).to_have_attribute("data-alarms", "1")
    page.wait_for_selector(f"a.row[data-number='{number}']")

    assert page.evaluate("document.body.dataset.alarms") == "1"


def test_the_clinics_are_there_or_not(desk, mark_status):
    """A box that goes away is told without a reload."""
    mark_status("north", "box-1", "online")
    page = desk()
    expect(page.locator("#clinics")).to_contain_text("online for <1 min")

    mark_status("north", "box-1", "offline")

    expect(page.locator("#clinics")).to_contain_text("offline for <1 min", timeout=2000)


@pytest.fixture
def mark_status(store) -> Callable[[str, str, str], None]:
    """Let a box say whether it is there."""
    from doctor import clinics  # noqa: PLC0415

    def mark(site: str, device: str, state: str) -> None:
        with store.database.writing() as writing:
            clinics.set_status(writing, site, device, Status(state=state, at=None, model="m@1"))

    return mark


def test_a_long_list_goes_on(desk, arrive):
    """Fifty at a time, and each report on exactly one part."""
    for seed in range(60):
        arrive(seed, preview=False)
    page = desk()
    numbers = "rows => rows.map(row => Number(row.dataset.number))"

    first = page.locator("a.row").evaluate_all(numbers)
    page.get_by_role("link", name="Further down").click()
    page.wait_for_url("**after=**")
    second = page.locator("a.row").evaluate_all(numbers)

    assert len(first) == 50
    assert sorted(first + second) == list(range(1, 61))


@pytest.mark.parametrize(("width", "height", "theme"), WINDOWS)
def test_the_list_fits_and_can_be_read_by_everybody(
    desk, arrive, accessibility_faults, sideways_scroll, width: int, height: int, theme: str
):
    """On a phone and on a desk, dark and light."""
    arrive(1)
    arrive(2, probability=0.1, study="s-1")
    arrive(3, decision="inconclusive", study="s-1")
    page = desk(width=width, height=height)
    page.context.add_cookies([{"name": "theme", "value": theme, "url": page.url}])
    page.reload()
    page.wait_for_selector(".lamp.on")

    assert page.evaluate("document.documentElement.dataset.theme") == theme
    assert accessibility_faults(page) == []
    assert sideways_scroll(page) == 0


def test_the_first_load_is_small(pages, open_page, reader, arrive):
    """From nothing to a full worklist, with all that the installed app keeps: less than 200 KB over the line."""
    for seed in range(50):
        arrive(seed, preview=False)
    page = open_page("about:blank")

    pages.enter(page, reader)
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")

    assert page.locator("a.row").count() == 50
    assert 20_000 < pages.line.sent_bytes < FIRST_LOAD_BYTES


def test_a_journey_without_a_line(desk, pages, arrive, store):
    """What was kept opens without a line, and counts as opened by nobody; signing out leaves nothing of it behind."""
    number = arrive(1)
    page = desk()
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    page.reload()
    page.get_by_role("button", name="Keep for offline").click()
    expect(page.locator("#along")).to_have_text("1 kept on this device")
    page.context.set_offline(True)

    page.goto(f"{pages.address}/")
    expect(page.locator("[data-offline]")).to_be_visible()
    page.locator("a.row").click()
    page.wait_for_selector(".film:not([hidden])")
    assert page.locator(".film img").evaluate("img => img.naturalWidth") > 0
    page.context.set_offline(False)
    assert store.item(number).unread
    page.goto(f"{pages.address}/")
    page.wait_for_selector(".lamp.on")
    page.locator(".bar summary").click()
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/login")

    assert [name for name in page.evaluate("caches.keys()") if name.startswith("kept")] == []


def test_the_list_can_be_read_without_scripts(pages, open_page, reader, arrive):
    """A browser that runs none still shows what there is, and opens it."""
    arrive(1)
    page = open_page(f"{pages.address}/login", java_script_enabled=False)
    page.get_by_label("Name").fill(reader.name)
    page.get_by_label("Password").fill("correct horse battery staple")
    page.get_by_role("button", name="Sign in").click()

    page.locator("a.row").click()

    expect(page.locator("h1")).to_contain_text("Opacity")
