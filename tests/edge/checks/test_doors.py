"""The check says whether images can come in by DICOM and camera, and what to do where they cannot."""

import socket
from pathlib import Path

import pytest

from edge.checks.check import Check, State
from edge.checks.doors import camera_check, dicom_check
from edge.intake import camera
from edge.intake.dicom import dicom_receiver
from edge.intake.spool import Spool
from edge.settings.config import AgentConfig
from edge.settings.intake import CameraConfig, DicomConfig


def dicom(config: DicomConfig) -> Check:
    """What the check of the DICOM port says."""
    [check] = dicom_check(AgentConfig(dicom=config))
    return check


@pytest.fixture
def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def test_doors_that_are_not_configured_are_skipped():
    """Neither is a fault."""
    [camera_said] = camera_check(AgentConfig())

    assert [dicom(DicomConfig()).state, camera_said.state] == [State.SKIPPED, State.SKIPPED]


def test_a_free_port_will_do(free_port: int):
    """The agent does not run; it could."""
    assert dicom(DicomConfig(port=free_port)) == Check.ok(
        "DICOM port", f"port {free_port} is free for the agent, which does not run now"
    )


@pytest.mark.parametrize("allowed", [(), ("XRAY1",)])
def test_a_running_receiver_answers(tmp_path: Path, allowed: tuple[str, ...]):
    """By C-ECHO, also where only certain senders are let in."""
    with dicom_receiver(DicomConfig(port=0, allowed=allowed), Spool(tmp_path, "dicom"), refuses=lambda: None) as port:
        assert dicom(DicomConfig(port=port, allowed=allowed)) == Check.ok("DICOM port", f"port {port} answers C-ECHO")


def test_another_program_on_the_port_is_told():
    """It takes the connection and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        check = dicom(DicomConfig(port=other.getsockname()[1]))

    assert (check.state, check.cure) == (State.FAIL, "give dicom.port another number")


def test_an_address_that_is_not_ours_is_told(free_port: int):
    """TEST-NET-1 is nobody's."""
    check = dicom(DicomConfig(port=free_port, bind="192.0.2.1"))

    assert (check.state, check.cure) == (State.FAIL, "dicom.bind must be an address of this machine, or 0.0.0.0")


def test_a_camera_without_its_library_is_told_with_the_cure():
    """As on this machine."""
    [check] = camera_check(AgentConfig(camera=CameraConfig(enabled=True)))

    assert check.state is State.FAIL
    assert "apt-get install python3-picamera2" in check.cure


@pytest.mark.parametrize(("count", "state"), [(0, State.FAIL), (1, State.OK)])
def test_cameras_are_counted(monkeypatch: pytest.MonkeyPatch, count: int, state: State):
    """The library is imitated: no camera was there."""

    class Library:
        """What picamera2 is asked."""

        @staticmethod
        def global_camera_info() -> list[dict[str, object]]:
            """The cameras."""
            return [{}] * count

    monkeypatch.setattr(camera, "_picamera2", lambda: Library)

    [check] = camera_check(AgentConfig(camera=CameraConfig(enabled=True)))

    assert check.state is state
