"""The reading page in a real browser: looking at the picture, and answering."""

import io
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from doctor import requests
from doctor.accounts import Account
from doctor.reviews import Answer
from doctor.schema import session
from edge.wire.messages import Chunk, ModelIdentity, Response

WINDOWS = [(360, 640, "dark"), (1440, 900, "light")]
SCRIPT = "<script>document.title = 'run'</script><img src=x onerror=\"document.title = 'run'\">"


@pytest.fixture
def read(pages, open_page: Callable[..., Page], reader: Account) -> Callable[..., Page]:
    """A window in which somebody reads a report."""

    def one(number: int, **options: object) -> Page:
        page = open_page(f"{pages.address}/login", **options)
        pages.enter(page, reader)
        page.goto(f"{pages.address}/report/{number}")
        page.wait_for_selector(".lamp.on")
        return page

    return one


def drawn(page: Page) -> tuple[str, str, str]:
    """How the picture is drawn: its place, its light and its size."""
    return (
        page.locator(".film").evaluate("film => film.style.transform"),
        page.locator(".film img").evaluate("img => img.style.filter"),
        page.inner_text(".scale"),
    )


def scale(page: Page) -> int:
    """How large it is drawn, in per cent."""
    return int(page.inner_text(".scale").removesuffix(" %"))


def test_the_picture_is_zoomed_moved_and_lit(read, arrive):
    """By mouse: wheel, drag, drag for light, double click; and one button brings it back as it came."""
    page = read(arrive(1))
    box = page.locator(".stage").bounding_box()
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    as_it_came = drawn(page)

    page.mouse.move(*middle)
    page.mouse.wheel(0, -400)
    expect(page.locator(".scale")).not_to_have_text(as_it_came[2])
    zoomed = drawn(page)
    page.mouse.down()
    page.mouse.move(middle[0] + 50, middle[1] + 20)
    page.mouse.up()
    moved = drawn(page)
    page.get_by_role("button", name="Light").click()
    page.mouse.move(*middle)
    page.mouse.down()
    page.mouse.move(middle[0] + 50, middle[1] - 50)
    page.mouse.up()
    lit = drawn(page)
    page.get_by_role("button", name="Invert").click()
    inverted = drawn(page)
    page.get_by_role("button", name="Reset").click()

    assert len({as_it_came[0], zoomed[0], moved[0]}) == 3
    assert lit == (moved[0], "brightness(1.2) contrast(1.2)", moved[2])
    assert inverted == (moved[0], "invert(1) brightness(1.2) contrast(1.2)", moved[2])
    assert drawn(page) == as_it_came


def test_the_heatmap_lies_where_the_network_looked(read, arrive):
    """Off at first; laid over the picture it is hot in the middle and clear in the corner; a slider weakens it."""
    page = read(arrive(1))
    canvas = page.locator(".film canvas")
    expect(canvas).to_be_hidden()

    page.keyboard.press("h")
    page.get_by_label("Heatmap, how strong").fill("80")

    expect(canvas).to_be_visible()
    assert canvas.evaluate("canvas => canvas.style.opacity") == "0.8"
    assert canvas.evaluate("canvas => [...canvas.getContext('2d').getImageData(70, 70, 1, 1).data][3]") == 255
    assert canvas.evaluate("canvas => [...canvas.getContext('2d').getImageData(2, 2, 1, 1).data][3]") == 0


def test_two_clicks_answer(read, arrive, store):
    """Choose, send; the answer stands, and the next report is one click away."""
    number, following = arrive(1), arrive(2)
    page = read(number)

    page.locator(".verdict", has_text="Agree").click()
    page.get_by_role("button", name="Send the answer").click()

    expect(page.locator(".given")).to_contain_text("agrees: Opacity")
    review = store.item(number).review
    assert (review.state, review.verdict, review.label) == ("answered", "agree", "opacity")
    page.get_by_role("link", name="Next report").click()
    page.wait_for_url(f"**/report/{following}")


def test_opening_is_told_to_the_clinic(read, arrive, store, reader):
    """Whoever sees the page has opened the report; what is kept for a journey is not opened."""
    number, other = arrive(1), arrive(2)

    page = read(number)
    page.evaluate(f"fetch('/report/{other}', {{ headers: {{ 'x-keep': '1' }} }}).then((reply) => reply.text())")

    assert store.item(number).review.state == "opened"
    assert store.item(number).review.reader == reader.reader
    assert store.item(other).unread


def test_everything_can_be_said(read, arrive, store):
    """Another word, the image again, a call at once, free text."""
    number = arrive(1)
    page = read(number)

    page.locator(".verdict", has_text="Other").click()
    page.get_by_label("Instead I see").fill("Pneumothorax")
    page.get_by_label("Take the image again").check()
    page.get_by_label("Urgent: call me at once").check()
    page.get_by_label("In your words").fill("Left apex.")
    page.get_by_role("button", name="Send the answer").click()

    page.wait_for_selector(".given")
    review = store.item(number).review
    assert (review.verdict, review.label, review.text) == ("disagree", "Pneumothorax", "Left apex.")
    assert (review.new_image, review.call_back) == (True, True)


def test_a_report_is_read_and_answered_with_keys_alone(pages, open_page, reader, arrive, store):
    """From the login to the answer and on to the next report, no mouse."""
    numbers = [arrive(1), arrive(2)]
    page = open_page(f"{pages.address}/login")

    page.keyboard.type(reader.name)
    page.keyboard.press("Tab")
    page.keyboard.type("correct horse battery staple")
    page.keyboard.press("Enter")
    page.wait_for_selector(".lamp.on")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_selector(".film:not([hidden])")
    before = scale(page)
    page.keyboard.press("+")
    assert scale(page) > before
    page.keyboard.press("1")
    page.keyboard.press("Enter")
    page.wait_for_selector(".given")
    page.keyboard.press("n")
    page.wait_for_url(f"**/report/{numbers[1]}")

    assert store.item(numbers[0]).review.label == "clear"


def test_an_answer_meanwhile_is_seen_and_nothing_is_lost(read, arrive, store, other):
    """Both answers stand on the page, mine is not sent, and I can send it again."""
    number = arrive(1)
    page = read(number)
    page.locator(".verdict", has_text="Agree").click()
    page.get_by_label("In your words").fill("Right base.")
    store.answer(number, Answer(verdict="disagree", label="clear", text="An artefact."), other, 1)
    expect(page.locator("#standing")).to_contain_text(f"{other.reader}")

    page.get_by_role("button", name="Send the answer").click()

    expect(page.get_by_role("alert")).to_contain_text(f"{other.reader} answered meanwhile")
    expect(page.locator(".given")).to_contain_text("An artefact.")
    assert page.get_by_label("In your words").input_value() == "Right base."
    assert store.item(number).review.reader == other.reader
    page.get_by_role("button", name="Send the answer").click()
    expect(page.locator(".given")).to_contain_text("Right base.")
    assert store.item(number).review.revision == 3


def test_an_answer_without_a_line_is_kept_and_sent_later(read, arrive, store):
    """The page says so, survives a reload without a line, and sends it when the line is back."""
    number = arrive(1)
    page = read(number)
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    page.reload()
    page.wait_for_selector(".lamp.on")
    page.context.set_offline(True)

    page.keyboard.press("1")
    page.keyboard.press("Enter")
    expect(page.locator("[data-pending]")).to_contain_text("is kept on this device")
    page.reload()
    page.wait_for_selector(".film:not([hidden])")
    expect(page.locator("[data-offline]")).to_be_visible()
    assert store.item(number).review.state == "opened"
    page.context.set_offline(False)

    expect(page.locator(".given")).to_contain_text("sees Clear")
    assert store.item(number).review.label == "clear"


def test_an_answer_of_somebody_signed_out_is_sent_when_they_are_back(read, pages, arrive, store, reader, other_reader):
    """It is kept through the login, and never sent in the name of somebody else who signs in before."""
    number = arrive(1)
    page = read(number)
    with store.database.writing() as writing:
        writing.connection.execute(session.delete())

    page.keyboard.press("1")
    page.keyboard.press("Enter")
    page.wait_for_url("**/login")
    pages.enter(page, other_reader)
    expect(page.locator("[data-pending]")).to_contain_text("an answer of ada is kept")
    assert store.item(number).review.state == "opened"
    page.context.clear_cookies()
    pages.enter(page, reader)
    expect(page.locator("[data-pending]")).to_be_hidden()

    assert (store.item(number).review.reader, store.item(number).review.label) == (reader.reader, "clear")


def test_no_text_from_outside_is_ever_run(read, arrive, store, other, sideways_scroll):
    """Scripts in every field of a report and of an answer are shown as what they are."""
    model = dict.fromkeys(("id", "sha256", "runtime", "validated_on", "not_validated_on", "allowed"), SCRIPT)
    fields = {"decision": SCRIPT[:80], "reason": SCRIPT, "origin": SCRIPT, "patient": SCRIPT[:60]}
    arrive(1, patient=SCRIPT[:60], probabilities={SCRIPT: 0.9, "clear": 0.1}, positive=SCRIPT)
    number = arrive(
        2, **fields, probabilities={SCRIPT: 0.9}, guard={SCRIPT: 1.0}, model=ModelIdentity(signed=False, **model)
    )
    store.open_report(number, other)
    store.answer(number, Answer(verdict="disagree", label=SCRIPT[:80], text=SCRIPT), other, 1)

    page = read(number)

    assert page.title() != "run"
    assert page.locator("main script, main img[onerror]").count() == 0
    expect(page.locator(".given q")).to_contain_text("<script>")
    assert sideways_scroll(page) == 0


def test_the_picture_in_full_comes_piece_by_piece(read, arrive, answer_request):
    """Asked once, its progress is seen, and then it is the picture on the page."""
    number = arrive(1)
    content = io.BytesIO()
    Image.fromarray(np.random.default_rng(1).integers(0, 255, (400, 300), np.uint8)).save(content, "PNG")
    whole = content.getvalue()
    page = read(number)

    page.get_by_role("button", name="Fetch the picture in full").click()
    expect(page.locator("#full")).to_contain_text("as soon as the box is online")
    answer_request(whole, 0, 50_000)
    expect(page.locator("#full")).to_contain_text("are here")
    expect(page.locator("#full progress")).to_be_visible()
    answer_request(whole, 50_000, len(whole))

    expect(page.locator("#full")).to_contain_text("The picture in full is here")
    expect(page.locator(".film img")).to_have_js_property("naturalWidth", 300)
    assert page.get_by_role("button", name="Fetch the picture in full").is_hidden()


@pytest.fixture
def answer_request(store) -> Callable[[bytes, int, int], None]:
    """Answer the one open request as the box does, with a piece of the whole."""

    def answer(whole: bytes, start: int, end: int) -> None:
        (owed,) = store.requests_owed()
        piece = Chunk(
            media_type="image/png",
            total_bytes=len(whole),
            sha256=sha256(whole).hexdigest(),
            offset_bytes=start,
            content=whole[start:end],
        )
        response = Response(transaction=owed.request.transaction, at=datetime.now(UTC), chunk=piece)
        with store.database.writing() as writing:
            assert requests.answer(writing, owed.site, owed.device, owed.command, response)

    return answer


def test_a_picture_that_comes_late_appears_by_itself(read, arrive, store):
    """The report is there before its preview."""
    number = arrive(1, preview=False)
    page = read(number)
    expect(page.locator(".nopicture")).to_be_visible()

    arrive(1)

    page.wait_for_selector(".film:not([hidden]) img")
    assert store.item(number).has_preview


def test_what_could_not_be_assessed_says_why(read, arrive):
    """No class, no number, no heatmap: the reason."""
    reason = "this is no chest radiograph"
    page = read(arrive(1, decision="not-assessable", probabilities={}, heatmap=None, reason=reason))

    expect(page.locator("h1")).to_have_text("Not assessable")
    expect(page.locator(".finding")).to_contain_text(reason)
    assert page.locator(".gauge").count() == 0


def test_what_is_known_of_the_model_is_said(read, arrive, make_report):
    """Unsigned, let pass and why, measured on what and on what not; and that it is no diagnosis."""
    model = make_report().model
    changed = type(model)(
        **{name: getattr(model, name) for name in model.__struct_fields__} | {"signed": False, "allowed": "a trial"}
    )

    page = read(arrive(1, model=changed))

    text = page.locator(".aside").inner_text()
    for said in ("unsigned", "a trial", model.validated_on, model.not_validated_on, "Not a diagnosis."):
        assert said in text


def test_earlier_images_of_the_patient_lead_to_them(read, arrive):
    """With their finding and a thumbnail."""
    earlier = arrive(1, patient="p-1")
    page = read(arrive(2, patient="p-1"))

    page.locator(".earlier a").click()

    page.wait_for_url(f"**/report/{earlier}")


def test_an_earlier_picture_is_laid_beside_this_one(read, arrive):
    """By its button or a key, with its date and finding and in the same light; the one that is read stays in view."""
    earlier = arrive(1, patient="p-1")
    page = read(arrive(2, patient="p-1"))
    alone = page.locator(".stage").bounding_box()
    shown = page.locator(".beside img")
    expect(shown).to_be_hidden()

    page.get_by_role("button", name="Beside").click()
    page.get_by_role("button", name="Invert").click()
    expect(shown).to_be_visible()
    loaded = shown.evaluate(
        "async img => { await img.decode(); return [new URL(img.src).pathname, img.naturalWidth]; }"
    )
    light = shown.evaluate("img => getComputedStyle(img).filter")
    both = page.locator(".stage").bounding_box(), page.locator(".beside").bounding_box()
    page.keyboard.press("b")

    assert loaded[0] == f"/report/{earlier}/preview"
    assert loaded[1] > 0
    assert light == "invert(1) brightness(1) contrast(1)"
    assert both[0]["width"] == pytest.approx(alone["width"] / 2, abs=1)
    assert both[1]["width"] == pytest.approx(alone["width"] / 2, abs=1)
    expect(page.locator(".beside figcaption")).to_be_hidden()
    assert page.locator(".stage").bounding_box() == alone


def test_a_report_without_earlier_pictures_offers_none(read, arrive):
    """No button, and the key does nothing."""
    page = read(arrive(1))

    page.keyboard.press("b")

    expect(page.locator(".beside")).to_be_hidden()
    assert page.get_by_role("button", name="Beside").count() == 0


@pytest.mark.parametrize(("width", "height", "theme"), WINDOWS)
def test_the_page_fits_and_can_be_read_by_everybody(
    read, arrive, accessibility_faults, sideways_scroll, width: int, height: int, theme: str
):
    """On a phone and on a desk, dark and light, before the answer and while choosing; the finding is seen at once."""
    arrive(1, patient="p-1")
    page = read(arrive(2, patient="p-1"), width=width, height=height)
    page.context.add_cookies([{"name": "theme", "value": theme, "url": page.url}])
    page.reload()
    page.wait_for_selector(".film:not([hidden])")

    assert page.locator("h1").bounding_box()["y"] < height - 100
    assert accessibility_faults(page) == []
    page.keyboard.press("o")
    assert accessibility_faults(page) == []
    expect(page.get_by_role("button", name="Send the answer")).to_be_in_viewport()
    assert sideways_scroll(page) == 0
