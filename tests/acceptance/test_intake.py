"""Images come in by folder and by DICOM's network, and none of them can stop the agent."""

import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid

from edge.phantom import phantom

CANARY = "KANARIENVOGEL"
STORESCU = shutil.which("storescu", path="/usr/bin:" + os.environ["PATH"])


@pytest.fixture
def watched(tmp_path: Path) -> Path:
    """A watched folder."""
    folder = tmp_path / "in"
    folder.mkdir()
    return folder


@pytest.fixture
def dicom_port() -> int:
    """A port that nobody uses."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def dicom_film(seed: int, study_uid: str, path: Path) -> None:
    """A phantom as a modality would send it, with a canary in every tag that names somebody or something."""
    pixels = np.asarray(phantom(seed).pixels).astype(np.uint16)
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset = FileDataset(None, {}, file_meta=meta, preamble=CANARY.ljust(128).encode())
    dataset.SOPClassUID, dataset.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    for keyword in ("PatientName", "PatientID", "IssuerOfPatientID", "AccessionNumber", "InstitutionName",
                    "ReferringPhysicianName", "StudyDescription", "PatientComments", "OperatorsName"):  # fmt: skip
        setattr(dataset, keyword, CANARY)
    dataset.StudyInstanceUID, dataset.StudyID = study_uid, CANARY
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 0
    dataset.PixelData = pixels.tobytes()
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, dataset, enforce_file_format=True)
    path.write_bytes(buffer.getvalue())


def test_a_study_sent_by_a_modality_arrives_grouped_and_without_a_name(
    agent, doctor, mosquitto, demo_bundle, dicom_port: int, tmp_path: Path
):
    """Two images of one study and one of another: tokens tell who belongs together, nothing tells who it is."""
    inbox = doctor(mosquitto.address)
    state = tmp_path / "state"
    box = agent(
        "--broker", mosquitto.address, "--model", demo_bundle, "--state", state, "--dicom-port", dicom_port,
        "--log-level", "debug",
    )  # fmt: skip
    box.wait_for_line("receiving DICOM images")
    for seed, study_uid in ((1, "1.2.3"), (2, "1.2.3"), (3, "1.2.4")):
        dicom_film(seed, study_uid, tmp_path / f"{seed}.dcm")
        subprocess.run([STORESCU, "127.0.0.1", str(dicom_port), tmp_path / f"{seed}.dcm"], check=True, timeout=30)

    inbox.wait_for(lambda process: len(process.out) == 3)
    box.wait_for(lambda process: sum("received id=" in line for line in process.err) == 3)
    assert box.end() == 0
    inbox.end()

    reports = sorted((json.loads(line) for line in inbox.out), key=lambda report: report["seq"])
    assert {report["origin"] for report in reports} == {"dicom"}
    assert len({report["patient"] for report in reports}) == 1
    assert reports[0]["study"] == reports[1]["study"] != reports[2]["study"]
    assert CANARY not in "".join(box.out + box.err + inbox.out + inbox.err)
    assert CANARY.encode() not in b"".join(path.read_bytes() for path in tmp_path.glob("inbox.sqlite3*"))
    assert len(list((state / "spool" / "dicom" / "archive").iterdir())) == 3


def test_a_file_that_is_in_hand_at_three_deaths_of_the_agent_is_set_aside(
    agent, doctor, mosquitto, demo_bundle, phantoms, watched: Path
):
    """A pipe that nobody writes to holds the agent at its file, until it is killed: three times, and no fourth."""
    inbox = doctor(mosquitto.address)
    os.mkfifo(watched / "hangs.png")
    os.utime(watched / "hangs.png", (0, 0))
    command = ("--broker", mosquitto.address, "--model", demo_bundle, "--watch", watched)
    mark = watched / ".edge-agent" / "in-hand"
    for _ in range(3):
        box = agent(*command)
        box.wait_for_line("connected to the broker")
        deadline_s = time.monotonic() + 20
        while not mark.read_bytes().strip():
            assert time.monotonic() < deadline_s
            time.sleep(0.05)
        box.end(signal.SIGKILL)
    phantoms(watched, 1)

    box = agent(*command)

    inbox.wait_for(lambda process: len(process.out) == 1)
    box.wait_for_line("set aside")
    assert box.end() == 0
    reason = (watched / "quarantine" / "hangs.png.reason.txt").read_text()
    assert "the box stopped 3 times while it worked on this picture" in reason


def test_a_finding_does_not_wait_for_the_next_file(agent, doctor, mosquitto, demo_bundle, phantoms, watched: Path):
    """The next one hangs for a minute, three times twenty seconds; the report is at the doctor's end long before."""
    inbox = doctor(mosquitto.address)
    inbox.wait_for_line("connected to the broker")  # a report sent before is sent again, but only after a while
    phantoms(watched, 1)
    for path in watched.iterdir():
        os.utime(path, (0, 0))
    os.mkfifo(watched / "hangs.png")
    os.utime(watched / "hangs.png", (1, 1))

    box = agent("--broker", mosquitto.address, "--model", demo_bundle, "--watch", watched)

    box.wait_for_line("finding id=", timeout_s=15)
    inbox.wait_for(lambda process: len(process.out) == 1, timeout_s=5)
    box.end(signal.SIGKILL)


@pytest.mark.shared
def test_a_sample_of_all_real_images_arrives_once(shared: Path, demo_bundle: Path):
    """X-rays, raw files and DICOM through the real commands; the whole of them by the same command without --sample."""
    script = Path(__file__).with_name("every_real_image.py")

    done = subprocess.run(
        [sys.executable, script, shared, "--model", demo_bundle, "--allow-unsigned", "--sample", "6"],
        capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["dropped"], result["sent by storescu"], result["reports"]) == (18, 6, 24)
    assert (result["missing"], result["double"], result["originals archived"]) == (0, 0, 24)
