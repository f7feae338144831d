"""The page in a real Chromium, as a nurse uses it: looks, live changes, sending, keyboard, phone."""

from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import expect

from edge.clinic.serve import serving
from edge.decoding.decoder import refuse_suspect
from edge.errors import PoisonError
from edge.mqtt.reconnect import LineState
from edge.outbox.entry import State
from edge.phantom import phantom
from edge.settings.page import PageConfig


@pytest.fixture
def busy(serve, put, tmp_path: Path) -> str:
    """The address of a box on a day on which everything happens at once."""
    quarantine = tmp_path / "in" / "quarantine"
    quarantine.mkdir()
    (quarantine / "letter.pdf").write_text("x")
    (quarantine / "letter.pdf.reason.txt").write_text(
        "expected one picture, got 1 byte that is none; export it again\n"
    )
    put(2, ago=timedelta(days=1), review={"verdict": "agree", "label": "clear"})
    put(5, ago=timedelta(hours=2))
    put(4, ago=timedelta(minutes=50), review={"verdict": "cannot-judge", "new_image": True, "text": "Cut off."})
    put(7, ago=timedelta(minutes=40), review={"verdict": "disagree", "label": "pneumonia", "call_back": True})
    put(9, ago=timedelta(minutes=20), decision="inconclusive", review={"state": "opened"})
    put(8, ago=timedelta(minutes=10), state=State.SENT)
    put(10, state=State.REFUSED)
    put(11, state=State.QUEUED, decision="not-assessable", probabilities={}, heatmap=None, reason="nearly blank")
    return serve()


@pytest.mark.parametrize(
    ("width", "height", "scheme", "path"),
    [
        (360, 640, "light", "/"),
        (360, 640, "dark", f"/reports/{7:032x}"),
        (360, 640, "light", "/quarantine"),
        (360, 640, "dark", "/health"),
        (1440, 900, "dark", "/"),
        (1440, 900, "light", f"/reports/{7:032x}"),
        (1440, 900, "light", "/nowhere"),
    ],
)
def test_no_page_has_a_serious_fault_or_scrolls_sideways(
    busy: str, open_page, accessibility_faults, sideways_scroll, width: int, height: int, scheme: str, path: str
):
    """By axe-core, on a small phone and on a desk's screen, in light and in dark."""
    page = open_page(busy + path, width=width, height=height, color_scheme=scheme)

    assert accessibility_faults(page) == []
    assert sideways_scroll(page) == 0
    expect(page.get_by_text("Decision support for a doctor. Not a diagnosis.")).to_be_visible()


def test_what_has_to_be_done_stands_first_and_large(busy: str, open_page):
    """A call-back, a new picture and an answer that does not come, each in words, before any other picture."""
    page = open_page(busy)

    loud = page.locator("#alarms .now")

    expect(loud).to_have_count(3)
    expect(page).to_have_title("(3) Chest X-rays · hill")
    expect(loud.nth(0)).to_contain_text("Call the doctor now")
    expect(loud.nth(1)).to_contain_text("Take the picture again")
    expect(loud.nth(2)).to_contain_text("1 picture has had no answer for more than 1 hour. Call the doctor.")
    expect(loud.nth(2).get_by_role("link", name="Picture 2")).to_be_visible()
    assert loud.nth(0).bounding_box()["y"] < page.locator("article").first.bounding_box()["y"]
    size = loud.nth(0).locator("strong").evaluate("e => parseFloat(getComputedStyle(e).fontSize)")
    assert size > 1.3 * page.locator(".sentence").first.evaluate("e => parseFloat(getComputedStyle(e).fontSize)")


def test_the_heatmap_lies_exactly_over_the_picture_and_can_be_hidden(busy: str, open_page):
    """Hidden for all pictures with one button, and the browser remembers."""
    page = open_page(busy)
    film = page.locator("article").filter(has_text="Signs of opacity").first.locator(".film")

    assert film.locator(".heat").bounding_box() == film.locator(".ray").bounding_box()
    page.get_by_role("button", name="Hide where the box looked").click()
    expect(film.locator(".heat")).to_be_hidden()
    page.reload()
    expect(film.locator(".heat")).to_be_hidden()
    page.get_by_role("button", name="Show where the box looked").click()
    expect(film.locator(".heat")).to_be_visible()


def test_on_a_phone_the_ladder_is_even_and_says_where_the_report_stands(busy: str, open_page):
    """Five dots in equal steps; the words of the current one alone, whole and inside the card."""
    page = open_page(busy, width=360, height=640)

    for card in page.locator("article").all():
        rungs, box = card.locator(".ladder li"), card.bounding_box()
        assert len({round(rung.bounding_box()["width"]) for rung in rungs.all()}) == 1
        words = card.locator("[aria-current=step] span").bounding_box()
        assert box["x"] <= words["x"]
        assert words["x"] + words["width"] <= box["x"] + box["width"]


def test_a_new_picture_and_its_answer_appear_without_reloading(serve, put, outbox, open_page):
    """Up the ladder, rung by rung, while the nurse looks."""
    page = open_page(serve())
    page.evaluate("window.here = true")
    expect(page.get_by_text("No pictures yet")).to_be_visible()

    report = put(7, state=State.QUEUED)
    current = page.locator("article [aria-current=step]")
    expect(current).to_contain_text("On this box")
    outbox.mark_received(report)
    expect(current).to_contain_text("Doctor has it")
    put(7, review={"verdict": "agree", "call_back": True, "text": "Please call me."})

    expect(current).to_contain_text("Doctor answered")
    expect(page.locator("#alarms")).to_contain_text("Please call me.")
    assert page.evaluate("window.here") is True


def test_a_page_that_has_lost_the_box_says_so(box, put, open_page):
    """Nobody trusts an old state by mistake; when the box is back the page goes on by itself."""
    put(7)
    with serving(box):
        page = open_page(f"http://{box.page.listen}")
        expect(page.locator("#lost")).to_be_hidden()
    expect(page.get_by_text("This page has lost the box")).to_be_visible()

    with serving(box):
        expect(page.locator("#lost")).to_be_hidden()


def test_a_broken_line_is_told_after_a_while(serve, put, open_page):
    """With how much waits; it is no alarm for the nurse."""
    put(1, state=State.QUEUED)
    line = LineState(is_up=False)
    line.since -= timedelta(minutes=5)

    page = open_page(serve(line=line))

    expect(page.locator(".alarm.soon")).to_contain_text(
        "No connection to the doctor's side for 5 minutes. 1 report waits"
    )


def test_files_are_sent_by_the_form_and_by_dropping_them(serve, open_page, tmp_path: Path):
    """Each with its own answer; what the box cannot read is refused at once, in words."""
    page = open_page(serve())
    page.get_by_label("Send pictures").set_input_files(
        [{"name": "a.png", "mimeType": "image/png", "buffer": phantom(1).png()}]
    )
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.get_by_text("a.png: is on the box.")).to_be_visible()

    dropped = page.evaluate_handle(
        "() => { const d = new DataTransfer(); d.items.add(new File(['%PDF'], 'letter.pdf')); return d; }"
    )
    page.dispatch_event("body", "dragover", {"dataTransfer": dropped})
    page.dispatch_event("body", "drop", {"dataTransfer": dropped})

    expect(page.get_by_text("letter.pdf: This is no picture the box can read.")).to_be_visible()
    assert len(list((tmp_path / "spool" / "http").iterdir())) == 1


def test_a_file_set_aside_is_tried_again_on_a_phone(serve, tmp_path: Path, open_page):
    """The reason says that the picture may be innocent; a large enough button, and what happens next in words."""
    aside = tmp_path / "in" / "quarantine"
    aside.mkdir()
    for name in ("thorax-0815.png", "thorax-0816.png"):
        (aside / name).write_bytes(phantom(1).png())
        with pytest.raises(PoisonError) as refused:
            refuse_suspect(3)
        (aside / f"{name}.reason.txt").write_text(f"{refused.value}\n")
    page = open_page(f"{serve()}/quarantine", width=360, height=640)
    expect(page.get_by_text("the box stopped 3 times while it worked on this picture").first).to_be_visible()
    button = page.get_by_role("button", name="Try again (thorax-0815.png)")
    assert button.bounding_box()["height"] >= 40

    button.click()

    expect(page.get_by_role("status")).to_contain_text("The box tries the file again.")
    expect(page.get_by_role("heading", name="thorax-0815.png")).to_have_count(0)
    expect(page.get_by_role("heading", name="thorax-0816.png")).to_be_visible()
    assert (tmp_path / "in" / "thorax-0815.png").exists()


def test_the_doctor_s_wish_is_done_with_the_keyboard_alone(busy: str, open_page):
    """Tab leads to the skip link first and to the button in the end; Enter presses it; focus can be seen."""
    page = open_page(busy)
    page.keyboard.press("Tab")
    expect(page.get_by_text("To the pictures")).to_be_focused()

    button = page.get_by_role("button", name="We have called")
    for _ in range(12):
        page.keyboard.press("Tab")
        if button.evaluate("e => e === document.activeElement"):
            break
    expect(button).to_be_focused()
    assert button.evaluate("e => getComputedStyle(e).outlineStyle") != "none"
    page.keyboard.press("Enter")

    expect(page.get_by_text("Call the doctor now")).to_have_count(0)


def test_refreshing_leaves_focus_and_opened_details_alone(serve, put, open_page):
    """Whoever reads is not disturbed by what changes elsewhere."""
    report = put(7, state=State.SENT)
    page = open_page(f"{serve()}/reports/{report}")
    page.get_by_text("For the technician").click()
    page.get_by_text("For the technician").focus()

    put(7, review={"verdict": "agree"})

    expect(page.get_by_text("Dr. Weber agrees")).to_be_visible()
    expect(page.get_by_text("98% right on 700 phantoms")).to_be_visible()
    expect(page.locator("summary")).to_be_focused()


def test_without_script_everything_can_be_read_and_sent(busy: str, open_page):
    """The page needs no script; with none it is reloaded by hand."""
    page = open_page(busy, java_script_enabled=False)
    expect(page.get_by_role("heading", name="Today")).to_be_visible()
    expect(page.get_by_role("button", name="Hide where the box looked")).to_be_hidden()

    page.get_by_label("Send pictures").set_input_files(
        [{"name": "a.png", "mimeType": "image/png", "buffer": phantom(1).png()}]
    )
    page.get_by_role("button", name="Send", exact=True).click()

    expect(page.get_by_text("is on the box. Its finding appears")).to_be_visible()


def test_the_password_is_asked_once(serve, put, box, tmp_path: Path, open_page, accessibility_faults):
    """A wrong one is told; the right one leads to where one wanted to go."""
    report = put(7)
    (tmp_path / "password").write_text("correct horse battery\n")
    url = serve(page=PageConfig(listen=box.page.listen, password_file=str(tmp_path / "password")))
    page = open_page(f"{url}/reports/{report}", width=360, height=640)
    assert accessibility_faults(page) == []

    page.get_by_label("The page's password").fill("guess")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert").filter(has_text="This is not the password.")).to_be_visible()
    page.get_by_label("The page's password").fill("correct horse battery")
    page.get_by_role("button", name="Log in").click()

    expect(page.get_by_role("heading", name="Signs of opacity")).to_be_visible()
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()
