"""A photograph on request becomes a film in the spool. No camera was there: the frames are made up."""

import io
import os
import pty
import sys
from pathlib import Path
from threading import Event

import numpy as np
import pytest
from PIL import Image, ImageDraw

from edge.doors import open_doors
from edge.errors import ConfigError
from edge.intake import camera as camera_module
from edge.intake.camera import Camera, CameraError, PiFrames, camera_with_triggers, press_enter
from edge.intake.film import FilmNotFoundError
from edge.intake.spool import Spool
from edge.settings.config import AgentConfig
from edge.settings.intake import CameraConfig


class RecordedFrames:
    """Plays photographs back, one at each request."""

    def __init__(self, *frames: np.ndarray | CameraError) -> None:
        self._frames = list(frames)

    def __enter__(self):
        """Ready at once."""
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to stop."""

    def take(self) -> np.ndarray:
        """The next one."""
        frame = self._frames.pop(0)
        if isinstance(frame, CameraError):
            raise frame
        return frame


def on_the_box(level: int | None) -> np.ndarray:
    """A lit box, with an even film of a gray level on it or bare."""
    picture = Image.new("RGB", (800, 600), (10, 10, 10))
    draw = ImageDraw.Draw(picture)
    draw.rectangle((100, 50, 700, 550), fill=(250, 250, 250))
    if level is not None:
        draw.rectangle((250, 120, 550, 480), fill=(level,) * 3)
        draw.rectangle((300, 200, 400, 400), fill=(level // 2,) * 3)
    return np.asarray(picture)


def films(spool: Spool) -> list[Image.Image]:
    """What lies in the spool."""
    return [Image.open(io.BytesIO(path.read_bytes())) for path in sorted(spool.folder.iterdir())]


def test_a_capture_leaves_the_film_alone_in_the_spool(tmp_path: Path):
    """Cut out, as a grayscale PNG."""
    spool = Spool(tmp_path, "camera")

    Camera(RecordedFrames(on_the_box(120)), spool).capture()

    [film] = films(spool)
    assert (film.format, film.mode) == ("PNG", "L")
    assert film.width == pytest.approx(300, abs=12)
    assert film.height == pytest.approx(360, abs=12)


def test_what_goes_wrong_is_raised_and_leaves_nothing(tmp_path: Path):
    """An empty box and a camera that does not answer: whoever asked is told."""
    spool = Spool(tmp_path, "camera")
    camera = Camera(RecordedFrames(on_the_box(None), CameraError("the camera gave no picture")), spool)

    with pytest.raises(FilmNotFoundError):
        camera.capture()
    with pytest.raises(CameraError):
        camera.capture()

    assert films(spool) == []


def test_each_line_on_the_terminal_takes_a_picture():
    """The key is Enter."""
    taken = []

    press_enter(iter(["\n", "\n"]), lambda: taken.append(1))

    assert taken == [1, 1]


def test_enter_on_a_real_terminal_photographs_and_a_failure_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    """The first press finds no film and says so, the second one does."""
    caplog.set_level("INFO")
    spool = Spool(tmp_path, "camera")
    monkeypatch.setattr(camera_module, "PiFrames", lambda: RecordedFrames(on_the_box(None), on_the_box(90)))
    keyboard, terminal = pty.openpty()
    monkeypatch.setattr(sys, "stdin", os.fdopen(terminal))

    with camera_with_triggers(CameraConfig(enabled=True), spool):
        os.write(keyboard, b"\n\n")
        while not films(spool):
            Event().wait(0.05)
        while "photographed" not in caplog.text:
            Event().wait(0.05)

    assert [record.message.partition(";")[0].partition(",")[0] for record in caplog.records] == [
        "press Enter to photograph the film on the light box",
        "took no picture: expected a film on a light box",
        f"photographed a film of {films(spool)[0].width} x {films(spool)[0].height} pixels",
    ]


def test_without_the_pi_s_library_the_message_says_what_to_install():
    """This machine has none, like most."""
    with pytest.raises(ConfigError, match=r"apt-get install python3-picamera2"):
        PiFrames()


def test_a_button_needs_its_library_and_a_camera(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Both are told by name before anything runs."""
    monkeypatch.setattr(camera_module, "PiFrames", RecordedFrames)
    monkeypatch.setattr(sys, "stdin", None)
    camera = camera_with_triggers(CameraConfig(enabled=True, gpio=17), Spool(tmp_path, "camera"))

    with pytest.raises(ConfigError, match=r"apt-get install python3-gpiozero"), camera:
        pass
    doors = open_doors(AgentConfig(state=str(tmp_path), camera=CameraConfig(gpio=17)), refuses=lambda: None)
    with pytest.raises(ConfigError, match=r"set camera\.enabled = true"), doors:
        pass
