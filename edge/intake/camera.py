"""The camera over a light box: photograph, cut the film out, spool it.

Taken on request only: by a key on the box's terminal, by a push button on a pin, from the clinic's page or by an MQTT
request; all of them call `Camera.capture`. The seam is `Frames`: the Raspberry Pi's own camera library is imported only
when a camera is opened, because it comes with the system and is not on PyPI for other machines.
"""

import io
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock, Thread
from types import TracebackType
from typing import Any, Final, Protocol, Self

import numpy as np
import numpy.typing as npt
from PIL import Image

from edge.errors import ConfigError, EdgeXrayError, RetryError
from edge.intake.film import film_of
from edge.intake.spool import Spool
from edge.settings.intake import CameraConfig

BOUNCE_S: Final = 0.3
"""A button that is pressed once may close its contact several times."""

log = logging.getLogger(__name__)


class CameraError(RetryError):
    """The camera gave no picture; the same call may succeed later."""


class Frames(Protocol):
    """Something that takes photographs."""

    def take(self) -> npt.NDArray[np.uint8]:
        """One photograph, `(H, W, 3) uint8`.

        Raises:
            CameraError: There is none.
        """


class PiFrames:
    """The Raspberry Pi's camera, in its highest resolution.

    Raises:
        ConfigError: libcamera or picamera2 is missing, or no camera is connected.
    """

    def __init__(self) -> None:
        camera_class = _picamera2()
        try:
            self._camera: Any = camera_class()
            self._camera.configure(self._camera.create_still_configuration())
            self._camera.start()
        except (RuntimeError, IndexError) as error:
            raise ConfigError(
                "camera.enabled is set and no camera answers; mind the ribbon cable, and look at `rpicam-hello`"
            ) from error

    def __enter__(self) -> Self:
        """Return the running camera."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop it."""
        self._camera.close()

    def take(self) -> npt.NDArray[np.uint8]:
        """One photograph, `(H, W, 3) uint8`."""
        try:
            frame: npt.NDArray[np.uint8] = self._camera.capture_array("main")
        except RuntimeError as error:
            raise CameraError("the camera gave no picture; try again, and mind its cable") from error
        return frame[:, :, :3]


def connected_cameras() -> int:
    """How many cameras this machine has.

    Raises:
        ConfigError: libcamera or picamera2 is missing.
    """
    return len(_picamera2().global_camera_info())


def _picamera2() -> Any:
    try:
        from picamera2 import Picamera2  # noqa: PLC0415 - see the module's docstring
    except ImportError as error:
        raise ConfigError(
            f"camera.enabled is set and {error.name or 'picamera2'} is missing; on Raspberry Pi OS: "
            "sudo apt-get install python3-picamera2, and give the virtual environment --system-site-packages"
        ) from error
    return Picamera2


class Camera:
    """Photographs films into the spool; may be called from any thread.

    Args:
        frames: What takes the photographs.
        spool: Where the films go.
    """

    def __init__(self, frames: Frames, spool: Spool) -> None:
        self._frames = frames
        self._spool = spool
        self._lock = Lock()

    def capture(self) -> None:
        """Photograph the film on the box; when this returns, it is on the disk and waits for its turn.

        Raises:
            CameraError: The camera gave no picture.
            FilmNotFoundError: There is no film that can be cut out.
            SpoolFullError: The disk has no room.
        """
        with self._lock:
            film = film_of(self._frames.take())
            buffer = io.BytesIO()
            Image.fromarray(film).save(buffer, "PNG", compress_level=1)
            self._spool.put(buffer.getvalue(), ".png")
        log.info("photographed a film of %d x %d pixels", film.shape[1], film.shape[0])


@contextmanager
def camera_with_triggers(config: CameraConfig, spool: Spool) -> Iterator[Camera]:
    """A running camera with its key and its button, until the context ends.

    Raises:
        ConfigError: The camera or the button cannot be used.
    """
    with PiFrames() as frames:
        camera = Camera(frames, spool)

        def trigger() -> None:
            try:
                camera.capture()
            except EdgeXrayError as error:
                log.error("took no picture: %s", error)  # noqa: TRY400 - a trace would say no more

        if sys.stdin is not None and sys.stdin.isatty():
            Thread(target=press_enter, args=(sys.stdin, trigger), name="camera key", daemon=True).start()
            log.info("press Enter to photograph the film on the light box")
        with _button(config.gpio, trigger):
            yield camera


def press_enter(lines: Iterator[str], trigger: Callable[[], None]) -> None:
    """Take a picture at each line."""
    for _ in lines:
        trigger()


@contextmanager
def _button(pin: int | None, trigger: Callable[[], None]) -> Iterator[None]:
    if pin is None:
        yield
        return
    try:
        from gpiozero import Button  # noqa: PLC0415 - comes with the Raspberry Pi's system
    except ImportError as error:
        raise ConfigError(
            "camera.gpio is set and gpiozero is missing; on Raspberry Pi OS: sudo apt-get install python3-gpiozero"
        ) from error
    button = Button(pin, bounce_time=BOUNCE_S)
    button.when_pressed = trigger
    try:
        yield
    finally:
        button.close()
