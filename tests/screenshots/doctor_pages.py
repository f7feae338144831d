"""The pictures of docs/doctor.md: the doctor's pages on a busy night, with phantoms for patients.

python tests/screenshots/doctor_pages.py docs/images

The demo's model judges the phantoms in this process; a real store, the real pages and Chromium do the rest. Everything
shown is synthetic.
"""

import io
import shutil
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from threading import Event

import msgspec
from PIL import Image
from playwright.sync_api import Page, ViewportSize, sync_playwright

from doctor import clinics, rejected
from doctor.accounts import Account, Role
from doctor.rejected import Fault
from doctor.reviews import Answer
from doctor.schema import report as reports
from doctor.store import Store
from doctor.web import server
from doctor.web.app import make_app
from edge.agent import report_of
from edge.assess import Assessor
from edge.bundle.bundle import read_bundle
from edge.decoding.decode import decode
from edge.decoding.decoder import Decoded
from edge.phantom import phantom
from edge.preprocess import prepare
from edge.preview import preview
from edge.pseudonym import Tokens
from edge.settings.config import AgentConfig
from edge.study import Arrival, Capture, sha256_of
from edge.wire.messages import Health, Status

SITES = ("st-anna", "lake-district", "st-anna", "hill-clinic")
SEEDS = range(12_000_000, 12_000_016)
FIRST_WAITS = timedelta(minutes=52)
PASSWORD = "correct horse battery staple"  # noqa: S105 - of an inbox that lives for seconds
MAX_BYTES = 150_000
COLOURS = 256
SHOWN_PX = 1080
"""A page of a desk is shown so wide: a text file's readers see no more of it."""
DESK: ViewportSize = {"width": 1440, "height": 900}
PHONE: ViewportSize = {"width": 360, "height": 640}


def main(folder: Path) -> None:
    """Make the pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place, Store.open(Path(place) / "inbox.sqlite3") as store:
        amy = store.add_account("amy", "Dr. A. Reader", Role.ADMIN, PASSWORD)
        ben = store.add_account("ben", "Dr. B. Okafor", Role.READER, PASSWORD)
        fill(store, ben)
        stop = Event()
        app = make_app(store, setup="none", stop=stop)
        with server.listening("127.0.0.1", 0) as taken, server.served(app, taken, stop=stop):
            shoot(server.address_of(taken), amy, folder, answer_all=lambda: answer_all(store, ben))


def fill(store: Store, ben: Account) -> None:
    """A night's work: reports of three clinics, some of them read by somebody else, one box away."""
    assessor = Assessor(read_bundle(Path(str(files("edge") / "demo-model.bundle"))))
    now = datetime.now(UTC)
    for place, seed in enumerate(SEEDS):
        number = _arrive(store, assessor, seed, place)
        stored_at = now - FIRST_WAITS * (1 - place / len(SEEDS))
        with store.database.writing() as writing:
            writing.connection.execute(reports.update().where(reports.c.number == number).values(stored_at=stored_at))
    for number, answer in ((1, None), (2, Answer(verdict="agree", label="opacity", call_back=True)), (4, None)):
        revision = store.open_report(number, ben).revision
        if answer is not None:
            store.answer(number, answer, ben, revision)
    with store.database.writing() as writing:
        topic = "xray/v1/lake-district/box-1/report/0f"
        cut, reason = b'{"id": "0f", "site": "lake-dis', "expected a Report of schema 1: Input data was truncated"
        rejected.reject(writing, topic=topic, fault=Fault.NOT_JSON, reason=reason, payload=cut)
    online, offline = Status(state="online", at=now, model="m"), Status(state="offline", at=now, model="m")
    for site, status, owed, quarantined in (
        ("st-anna", online, 0, 0),
        ("hill-clinic", online, 0, 0),
        ("lake-district", offline, 3, 1),
    ):
        health = Health(
            owed=owed, quarantined=quarantined,
            at=now, clock_synced=True, unanswered=0, disk_free_bytes=2**35, uptime_s=86400, version="1", model="m",
        )  # fmt: skip
        with store.database.writing() as writing:
            clinics.set_status(writing, site, "box-1", status)
            clinics.set_health(writing, site, "box-1", health)


def _arrive(store: Store, assessor: Assessor, seed: int, place: int) -> int:
    content = phantom(seed).png()
    radiograph = decode(content)
    picture = preview(radiograph, max_bytes=60_000)
    arrival = Arrival(path=Path("-"), received_at=datetime.now(UTC), origin="dicom", key="-")
    capture = Capture(arrival=arrival, sha256=sha256_of(content), identity=None)
    config = AgentConfig(site=SITES[place % len(SITES)], device="box-1")
    report = report_of(
        capture,
        Decoded(capture, prepare(radiograph), preview=picture, timings_ms={"decode": 20.0}),
        assessor.assess(radiograph),
        assessor,
        config,
        tokens=Tokens(patient=f"p-{place % 4:016x}", study=f"s-{min(place, 14):016x}"),
    )
    number = store.add(msgspec.structs.replace(report, seq=40 + place, clock_synced=True)).number
    if picture is not None:
        store.add_preview(report.site, report.device, report.id, picture)
    return number


def answer_all(store: Store, reader: Account) -> None:
    """Every report is read and answered, by what was drawn."""
    for number, seed in enumerate(SEEDS, start=1):
        revision, label = store.open_report(number, reader).revision, phantom(seed).label
        agrees = label == store.item(number).report.decision
        answer = Answer(verdict="agree", label=label) if agrees else Answer(verdict="disagree", label=label)
        store.answer(number, answer, reader, revision)


def shoot(address: str, account: Account, folder: Path, *, answer_all: Callable[[], None]) -> None:
    """Look at the pages, as large as they are seen."""
    with sync_playwright() as playwright:
        chromium = shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport=DESK)
        page.goto(f"{address}/login")
        page.get_by_label("Name").fill(account.name)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_selector(".lamp.on")
        keep(page, folder / "doctor-worklist.png")
        page.set_viewport_size(PHONE)
        keep(page, folder / "doctor-worklist-phone.png")
        page.set_viewport_size(DESK)
        page.locator("a.row.urgent.unread").first.click()
        page.wait_for_selector(".film:not([hidden])")
        page.wait_for_selector(".lamp.on")
        page.keyboard.press("h")
        keep(page, folder / "doctor-reading.png")
        page.set_viewport_size(PHONE)
        page.keyboard.press("h")
        keep(page, folder / "doctor-reading-phone.png")
        page.set_viewport_size(DESK)
        page.keyboard.press("b")
        keep(page, folder / "doctor-beside.png")
        page.goto(f"{address}/admin")
        keep(page, folder / "doctor-admin.png")
        answer_all()
        page.goto(f"{address}/statistics")
        keep(page, folder / "doctor-statistics.png")
        browser.close()


def keep(page: Page, file: Path) -> None:
    """Write what a page shows as a small PNG."""
    page.mouse.move(0, 0)
    page.wait_for_timeout(300)
    shown = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    if (width_px := page.viewport_size["width"]) > SHOWN_PX:
        shown = shown.resize((SHOWN_PX, shown.height * SHOWN_PX // width_px), Image.Resampling.LANCZOS)
    shown.quantize(COLOURS, Image.Quantize.MAXCOVERAGE).save(file, optimize=True)
    if file.stat().st_size > MAX_BYTES:
        sys.exit(f"{file} has {file.stat().st_size} bytes, at most {MAX_BYTES} are wanted")
    print(f"{file}: {file.stat().st_size / 1000:.0f} KB")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
