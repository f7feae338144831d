"""What each path of the page shows or does, against the real server."""

import errno
import io
import logging
import os
import re
import socket
import ssl
import subprocess
from datetime import timedelta
from pathlib import Path
from threading import Event

import httpx
import msgspec
import numpy as np
import pytest
import uvicorn
from PIL import Image
from prometheus_client.parser import text_string_to_metric_families

from edge.clinic import studies, uploads, views
from edge.clinic.pictures import heatmap_png
from edge.database import DatabaseError
from edge.errors import ConfigError, RetryError
from edge.intake.spool import SpoolFullError
from edge.notify import Pulse
from edge.outbox.entry import State
from edge.outbox.outbox import Outbox
from edge.phantom import phantom
from edge.pseudonym import Pseudonyms
from edge.settings.page import PageConfig
from edge.study import sha256_of
from edge.wire.messages import NOTICE, report_id

MAKE_CERTIFICATES = Path(__file__).resolve().parents[3] / "deploy" / "mosquitto" / "make-certificates.sh"
HTML = {"accept": "text/html"}
JSON = {"accept": "application/json"}


def test_a_program_reads_a_report_with_how_far_it_has_come(serve, put):
    """The wire's own report, the rung, and the doctor's review."""
    report = put(7, review={"verdict": "disagree", "label": "pneumonia"})

    answer = httpx.get(f"{serve()}/reports/{report}", headers=JSON).json()

    assert (answer["report"]["id"], answer["rung"], answer["review"]["label"]) == (report, "answered", "pneumonia")


def test_an_unknown_report_is_not_found_in_words(serve):
    """Neither a browser nor a program gets a trace."""
    url = serve()

    page, document = httpx.get(f"{url}/reports/{'0' * 32}", headers=HTML), httpx.get(f"{url}/reports/x", headers=JSON)

    assert (page.status_code, "The box knows no such picture." in page.text) == (404, True)
    assert (document.status_code, document.json()) == (404, {"error": "The box knows no such picture."})
    assert "There is no such page." in httpx.get(f"{url}/nowhere", headers=HTML).text


def test_the_picture_and_its_heatmap_are_pictures(serve, put):
    """A JPEG as sent to the doctor, and a transparent PNG to lie over it."""
    report, blank = put(7), put(8, decision="not-assessable", probabilities={}, heatmap=None, reason="blank")
    url = serve()

    film = Image.open(io.BytesIO(httpx.get(f"{url}/reports/{report}/preview.jpg").content))
    heat = Image.open(io.BytesIO(httpx.get(f"{url}/reports/{report}/heatmap.png").content))

    assert (film.format, film.mode, heat.format, heat.mode) == ("JPEG", "L", "PNG", "RGBA")
    assert httpx.get(f"{url}/reports/{blank}/heatmap.png").status_code == 404


def test_a_heatmap_is_clear_where_nothing_speaks_and_strongest_at_its_peak():
    """Rows run from the top, columns from the left."""
    rows = [[0.0] * 7 for _ in range(7)]
    rows[1][5] = 1.0

    opacity = np.asarray(Image.open(io.BytesIO(heatmap_png(rows))))[:, :, 3]

    row, column = np.unravel_index(opacity.argmax(), opacity.shape)
    assert (row // 32, column // 32) == (1, 5)
    assert opacity[-1, 0] == 0


def test_a_page_that_is_still_right_is_not_sent_again(serve, put, outbox):
    """The browser asks every two seconds; it costs next to nothing until something happens."""
    report = put(7, state=State.SENT)
    with httpx.Client(base_url=serve(), headers=HTML) as browser:
        first = browser.get("/")
        again = browser.get("/", headers={"if-none-match": first.headers["etag"]})
        outbox.mark_received(report)
        changed = browser.get("/", headers={"if-none-match": first.headers["etag"]})

    assert (first.status_code, again.status_code, changed.status_code) == (200, 304, 200)


def test_many_pictures_come_in_pages(serve, put, monkeypatch):
    """The newest first, and a way to the earlier ones."""
    monkeypatch.setattr(views, "PAGE_LENGTH", 3)
    for seed in range(5):
        put(seed, ago=timedelta(minutes=60 - seed))
    with httpx.Client(base_url=serve(), headers=HTML) as browser:
        first, second = browser.get("/").text, browser.get("/?before=3").text

    assert ("picture 5<" in first, "picture 3<" in first, "picture 2<" in first) == (True, True, False)
    assert 'href="/?before=3"' in first
    assert ("picture 2<" in second, "picture 1<" in second) == (True, True)


def test_a_sent_picture_lies_in_the_spool_and_its_report_is_named(serve, tmp_path: Path, box):
    """As raw bytes, as a program sends them: 202, and where its finding will be."""
    content = phantom(3).png()

    answer = httpx.post(f"{serve()}/studies", content=content, headers={"content-type": "image/png"})

    assert answer.status_code == 202
    link = f"/reports/{report_id(sha256_of(content), box.model.sha256)}"
    assert answer.json() == {"files": [{"name": "", "error": None, "report": link}]}
    [file] = (tmp_path / "spool" / "http").iterdir()
    assert (file.read_bytes(), file.suffix) == (content, ".png")


def test_each_of_several_files_gets_its_own_answer(serve, tmp_path: Path):
    """A bad one does not spoil the others."""
    files = [("file", ("a.png", phantom(3).png())), ("file", ("letter.pdf", b"%PDF-1.4")), ("file", ("empty.png", b""))]

    answer = httpx.post(f"{serve()}/studies", files=files)

    assert answer.status_code == 207
    good, letter, empty = answer.json()["files"]
    assert (good["error"], good["name"]) == (None, "a.png")
    assert "no picture the box can read" in letter["error"]
    assert "empty" in empty["error"]
    assert len(list((tmp_path / "spool" / "http").iterdir())) == 1


@pytest.mark.parametrize(
    ("content", "suffix"),
    [
        (b"\x89PNG\r\n\x1a\n", ".png"),
        (b"\xff\xd8\xff\xe0", ".jpg"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", ".webp"),
        (b"II*\x00", ".tif"),
        (b"MM\x00*", ".tif"),
        (bytes(128) + b"DICM", ".dcm"),
    ],
)
def test_a_picture_is_known_by_its_first_bytes(content: bytes, suffix: str):
    """Whatever its name."""
    assert uploads.kind_of(content) == suffix


def test_what_is_too_large_is_refused_in_words(serve, monkeypatch):
    """By its declared size, and by what really comes."""
    monkeypatch.setattr(studies, "MAX_REQUEST_BYTES", 2000)
    url = serve()

    def pieces():
        for _ in range(30):
            yield bytes(100)

    declared = httpx.post(f"{url}/studies", content=bytes(3000))
    streamed = httpx.post(f"{url}/studies", content=pieces())

    assert [answer.status_code for answer in (declared, streamed)] == [413, 413]
    assert "more than 0 MB at once" in declared.json()["files"][0]["error"]


@pytest.mark.parametrize("error", [SpoolFullError("the disk has no room"), OSError(5, "Input/output error", "/a/b")])
def test_a_disk_that_does_not_take_it_is_told(serve, error, caplog):
    """The sender learns that the picture was not kept, and the log says why, once and without the file's name."""

    def keep(_content: bytes, _suffix: str) -> None:
        raise error

    files = {"picture": ("DOE^JANE.png", phantom(1).png())}
    answer = httpx.post(f"{serve(keep=keep)}/studies", files=files)

    assert answer.status_code == (503 if isinstance(error, RetryError) else 500)
    assert answer.json()["files"][0]["report"] is None
    warnings = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    why = "the disk has no room" if isinstance(error, RetryError) else "Input/output error"
    assert warnings == [f"could not keep a picture sent to the page: {why}"]


def test_a_sender_that_stalls_does_not_hold_up_the_others_for_ever(serve, monkeypatch):
    """Its request ends after a while, and a whole one that has waited behind it is taken."""
    monkeypatch.setattr(studies, "AT_ONCE", 1)
    monkeypatch.setattr(studies, "LONGEST_S", 1.0)
    address = serve().removeprefix("http://")
    host, port = address.split(":")
    with socket.create_connection((host, int(port))) as stalled:
        stalled.sendall(f"POST /studies HTTP/1.1\r\nHost: {address}\r\nContent-Length: 1000\r\n\r\nabc".encode())
        stalled.settimeout(20)
        answer = stalled.recv(1000)
    assert answer.startswith(b"HTTP/1.1 408")

    assert httpx.post(f"http://{address}/studies", content=phantom(1).png()).status_code == 202


def test_without_script_the_form_still_works(serve):
    """A browser without JavaScript gets a page that says what became of each file."""
    url = serve()
    answer = httpx.post(f"{url}/studies", files={"file": ("a.png", phantom(3).png())}, headers=HTML)
    nothing = httpx.post(f"{url}/studies", files={"other": ("", b"")}, headers=HTML)

    assert (answer.status_code, "a.png</b>: is on the box" in answer.text) == (202, True)
    assert (nothing.status_code, "No file was chosen." in nothing.text) == (400, True)


def test_what_was_done_is_called_out_no_more(serve, put):
    """Until the doctor answers anew."""
    report = put(7, review={"verdict": "agree", "call_back": True})
    with httpx.Client(base_url=serve(), headers=HTML) as browser:
        before = browser.get("/").text
        stale = browser.post(f"/reports/{report}/done", data={"ask": "call", "revision": "1", "next": "/"})
        everywhere = [browser.get(path).text for path in ("/health", "/quarantine", f"/reports/{report}")]
        done = browser.post(f"/reports/{report}/done", data={"ask": "call", "revision": "2", "next": "/"})
        after = browser.get("/").text
        put(7, review={"verdict": "agree", "call_back": True, "revision": 3})
        anew = browser.get("/").text

    assert [("Call the doctor now" in text) for text in (before, after, anew)] == [True, False, True]
    assert all("Call the doctor now" in text for text in everywhere)
    assert (stale.status_code, done.status_code) == (409, 303)


def test_a_file_set_aside_is_tried_again_at_a_click_on_the_page_alone(serve, tmp_path: Path):
    """Another web site's click is refused; a second click finds nothing more to do."""
    aside = tmp_path / "in" / "quarantine"
    aside.mkdir()
    (aside / "film.png").write_bytes(b"x")
    (aside / "film.png.reason.txt").write_text("the box stopped 3 times while it worked on this picture\n")
    with httpx.Client(base_url=serve(), headers=HTML) as browser:
        path = re.search(r'action="(/quarantine/[0-9a-f]{16}/again)"', browser.get("/quarantine").text)[1]
        foreign = browser.post(path, headers={"origin": "http://elsewhere.example"})
        stayed = (aside / "film.png").exists()
        first, second = browser.post(path), browser.post(path)
        told = browser.get(first.headers["location"]).text

    assert (foreign.status_code, stayed) == (403, True)
    assert (first.status_code, second.status_code) == (303, 404)
    assert (tmp_path / "in" / "film.png").read_bytes() == b"x"
    assert "No file is set aside." in told
    assert "The box tries the file again." in told


def test_a_file_that_cannot_be_moved_back_stays_set_aside(serve):
    """The page says why."""

    def fails(_: str) -> bool:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    answer = httpx.post(f"{serve(try_again=fails)}/quarantine/{0:016x}/again", headers=HTML)

    assert answer.status_code == 503
    assert "The file cannot be moved (Read-only file system). It is still set aside." in answer.text


def test_the_camera_has_a_button_only_where_there_is_one(serve):
    """And it takes one picture."""
    taken = []
    without = serve()

    assert "Take a picture" not in httpx.get(without, headers=HTML).text
    assert httpx.post(f"{without}/capture").status_code == 404
    with_camera = serve(page=PageConfig(listen=free()), capture=lambda: taken.append(1))
    assert "Take a picture" in httpx.get(with_camera, headers=HTML).text
    assert httpx.post(f"{with_camera}/capture").status_code == 303
    assert taken == [1]


def free() -> str:
    """A free address."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return f"127.0.0.1:{probe.getsockname()[1]}"


def test_prometheus_reads_the_numbers(serve, put):
    """In its text format, with a registry of our own: nothing of the Python process is in it."""
    put(1, state=State.QUEUED, ago=timedelta(hours=3))
    put(2)

    text = httpx.get(f"{serve()}/metrics").text

    numbers = {
        sample.name: sample.value for family in text_string_to_metric_families(text) for sample in family.samples
    }
    assert (numbers["edge_agent_reports_owed"], numbers["edge_agent_reports_unanswered"]) == (1, 1)
    assert (numbers["edge_agent_reports_total"], numbers["edge_agent_connected"]) == (2, 1)
    assert numbers["edge_agent_progress"] == 1
    assert all(name.startswith("edge_agent_") for name in numbers)


def test_a_loop_that_hangs_makes_the_box_neither_alive_nor_ready(serve, monkeypatch):
    """A supervisor sees which one."""
    monkeypatch.setattr("edge.clinic.app.HANGING_S", 0.0)
    url = serve(pulses={"pipeline": Pulse(Event())})

    alive, ready = httpx.get(f"{url}/healthz"), httpx.get(f"{url}/readyz")

    assert (alive.status_code, alive.json()) == (503, {"alive": False, "hanging": "pipeline"})
    assert (ready.status_code, ready.json()["why"]) == (503, "hanging: pipeline")


def test_patients_numbers_and_file_names_can_be_kept_off_the_page(serve, put, tmp_path: Path):
    """For a page that hangs where visitors pass."""
    with Pseudonyms(tmp_path) as pseudonyms:
        token = pseudonyms.token("p", "4711", "hill")
    report = put(7, patient=token)
    shown = httpx.get(f"{serve()}/reports/{report}", headers=HTML).text
    address = free()
    hidden = httpx.get(
        f"{serve(page=PageConfig(listen=address, show_patient=False))}/reports/{report}", headers=HTML
    ).text

    assert [("4711" in text, "film-7.png" in text) for text in (shown, hidden)] == [(True, True), (False, False)]


def test_a_page_that_fails_is_served_anew_and_nothing_else_ends(serve, monkeypatch, caplog, put):
    """What goes wrong with the page is in the log; the pipeline would not have noticed."""
    put(1)
    monkeypatch.setattr("edge.clinic.serve.AGAIN_S", 0.1)
    real, failures = uvicorn.Server.run, [RuntimeError("broken"), SystemExit(3)]

    def run(server: uvicorn.Server, **options: object) -> None:
        if failures:
            raise failures.pop()
        real(server, **options)

    monkeypatch.setattr(uvicorn.Server, "run", run)

    assert httpx.get(serve(), headers=HTML).status_code == 200
    assert caplog.text.count("the clinic's page has failed; it is served anew") == 2


def test_a_page_that_cannot_open_its_outbox_says_so_in_one_sentence(serve, outbox, monkeypatch, caplog):
    """No trace: whoever reads the log can do something about a full disk, and nothing about a line of code."""
    monkeypatch.setattr("edge.clinic.serve.AGAIN_S", 0.1)
    failures = [DatabaseError("the outbox cannot be used (disk I/O error)")]

    def open_outbox() -> Outbox:
        if failures:
            raise failures.pop()
        return Outbox(outbox._path)

    assert httpx.get(serve(open_outbox=open_outbox), headers=HTML).status_code == 200
    [told] = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert told.getMessage() == (
        "the clinic's page cannot be served: the outbox cannot be used (disk I/O error); trying again in 0.1 s"
    )
    assert told.exc_info is None


def test_an_outbox_that_cannot_be_read_is_told_and_the_page_lives_on(serve, monkeypatch):
    """A sentence instead of a trace, with the notice that stands on every page."""
    url = serve()
    with monkeypatch.context() as broken:
        broken.setattr(Outbox, "recent", lambda *_, **__: (_ for _ in ()).throw(DatabaseError("the disk is gone")))
        failed = httpx.get(url, headers=HTML)

    assert (failed.status_code, "the disk is gone" in failed.text, NOTICE in failed.text) == (500, True, True)
    assert httpx.get(url, headers=HTML).status_code == 200


def test_the_page_is_served_by_https_with_a_certificate(serve, box, tmp_path: Path):
    """Then the session's cookie never crosses the network in the clear."""
    (tmp_path / "password").write_text("correct horse battery\n")
    files = tmp_path / "certificates"
    for arguments in (("ca",), ("server", "127.0.0.1")):
        subprocess.run([MAKE_CERTIFICATES, arguments[0], files, *arguments[1:]], check=True, capture_output=True)
    page = PageConfig(
        listen=box.page.listen, password_file=str(tmp_path / "password"),
        cert_file=str(files / "server.crt"), key_file=str(files / "server.key"),
    )  # fmt: skip

    url = serve(page=page).replace("http:", "https:")
    context = ssl.create_default_context(cafile=files / "ca.crt")
    answer = httpx.post(f"{url}/login", data={"password": "correct horse battery"}, verify=context)

    assert "Secure" in answer.headers["set-cookie"].split("; ")
    with pytest.raises(ConfigError, match=r"page\.cert_file .* cannot be used"):
        serve(page=msgspec.structs.replace(page, cert_file=str(tmp_path / "password")))
