"""Every way in that the configuration opens: folders, DICOM, camera, and the spools in which these leave images."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from edge.errors import ConfigError
from edge.intake.camera import camera_with_triggers
from edge.intake.folder import Watched
from edge.intake.spool import ORIGINS, Spool
from edge.settings.config import AgentConfig


def watched_folders(config: AgentConfig) -> list[Watched]:
    """The configured folders, and those in which the other ways in leave their images."""
    spools = [Spool(config.state_dir, origin) for origin in ORIGINS]
    return [
        *(
            Watched(Path(folder), settle_s=config.settle_s, patience_s=config.patience_s, shared=True)
            for folder in config.watch
        ),
        *(Watched(spool.folder, origin=spool.origin) for spool in spools),
    ]


@contextmanager
def open_doors(config: AgentConfig, *, refuses: Callable[[], str | None]) -> Iterator[Callable[[], None] | None]:
    """Receive DICOM images and open the camera, each where it is configured, until the context ends.

    Args:
        config: Says what is to be opened.
        refuses: Says why no new image may be taken just now, or None.

    Yields:
        What a page or a request calls to have a picture taken; None where there is no camera.

    Raises:
        ConfigError: One of them cannot be opened.
    """
    with ExitStack() as stack:
        if config.dicom.port is not None:
            from edge.intake.dicom import dicom_receiver  # noqa: PLC0415 - needs the extra `dicom`

            stack.enter_context(dicom_receiver(config.dicom, Spool(config.state_dir, "dicom"), refuses=refuses))
        if config.camera.gpio is not None and not config.camera.enabled:
            raise ConfigError("camera.gpio names a button for a camera that is not enabled; set camera.enabled = true")
        if not config.camera.enabled:
            yield None
            return
        spool = Spool(config.state_dir, "camera")
        yield stack.enter_context(camera_with_triggers(config.camera, spool)).capture
