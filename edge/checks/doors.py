"""Can images come in by DICOM's network and by the camera, where the configuration opens these doors?"""

import errno
import socket
from collections.abc import Iterator
from typing import Final

from edge.checks.check import Check
from edge.errors import ConfigError
from edge.intake.camera import connected_cameras
from edge.intake.dicom import echo
from edge.settings.config import AgentConfig

DICOM: Final = "DICOM port"
CAMERA: Final = "camera"
CONNECT_TIMEOUT_S: Final = 3.0


def dicom_check(config: AgentConfig) -> Iterator[Check]:
    """Whether the agent's receiver answers a C-ECHO, or else could open its port."""
    port, bind = config.dicom.port, config.dicom.bind
    if port is None:
        yield Check.skipped(DICOM, "not configured: dicom.port is not set")
        return
    host = "127.0.0.1" if bind in {"", "0.0.0.0"} else bind  # noqa: S104 - asked about, not bound
    try:
        socket.create_connection((host, port), timeout=CONNECT_TIMEOUT_S).close()
    except OSError:
        yield _could_open(bind, port)
        return
    try:
        answered = echo(host, port, calling=(*config.dicom.allowed, config.dicom.ae_title)[0])
    except ConfigError as error:
        yield Check.failed_with(DICOM, error)
        return
    if answered:
        yield Check.ok(DICOM, f"port {port} answers C-ECHO")
    else:
        yield Check.fail(
            DICOM, f"something that does not speak DICOM holds port {port}", cure="give dicom.port another number"
        )


def _could_open(bind: str, port: int) -> Check:
    try:
        socket.create_server((bind, port)).close()
    except OSError as error:
        cure = {
            errno.EACCES: "ports below 1024 need a privilege: take one above, such as 11112",
            errno.EADDRNOTAVAIL: "dicom.bind must be an address of this machine, or 0.0.0.0",
        }.get(error.errno or 0, "mind dicom.port and dicom.bind")
        return Check.fail(DICOM, f"port {port} cannot be opened: {error.strerror}", cure=cure)
    return Check.ok(DICOM, f"port {port} is free for the agent, which does not run now")


def camera_check(config: AgentConfig) -> Iterator[Check]:
    """Whether a camera is connected; no picture is taken, because the agent may be using it."""
    if not config.camera.enabled:
        yield Check.skipped(CAMERA, "not configured: camera.enabled is not set")
        return
    try:
        count = connected_cameras()
    except ConfigError as error:
        yield Check.failed_with(CAMERA, error)
        return
    if count:
        yield Check.ok(CAMERA, f"{count} connected")
    else:
        yield Check.fail(
            CAMERA, "none is connected", cure="mind the ribbon cable and its side, and look at `rpicam-hello`"
        )
