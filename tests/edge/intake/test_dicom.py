"""DICOM's network side against DCMTK's own `storescu` and `echoscu`."""

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless

from edge.decoding.decode import decode, read
from edge.errors import ConfigError, UnreadableImageError
from edge.intake import dicom as receiver_module
from edge.intake.dicom import dicom_receiver, transfer_syntaxes
from edge.intake.spool import Spool, SpoolFullError
from edge.settings.intake import DicomConfig

PROPOSE = {
    "1.2.840.10008.1.2.4.50": "-xy",
    "1.2.840.10008.1.2.4.51": "-xx",
    "1.2.840.10008.1.2.4.70": "-xs",
    "1.2.840.10008.1.2.4.90": "-xv",
    "1.2.840.10008.1.2.4.91": "-xw",
}
"""Transfer syntax to what `storescu` must be told to offer it."""
RAMP = np.linspace(0, 4095, 120 * 100).reshape(120, 100).astype(np.uint16)


def dcmtk(tool: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run one of DCMTK's tools: the ones of that name beside this Python are pynetdicom's."""
    own = Path(os.sys.executable).parent
    path = os.pathsep.join(folder for folder in os.environ["PATH"].split(os.pathsep) if Path(folder) != own)
    program = shutil.which(tool, path=path + os.pathsep + "/usr/bin")
    if program is None:
        pytest.fail(f"needs DCMTK's {tool}; on Debian: sudo apt-get install dcmtk")
    return subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    """Where images go."""
    return Spool(tmp_path, "dicom")


@pytest.fixture
def port(spool: Spool):
    """The port of a running receiver that takes everybody's images."""
    with dicom_receiver(DicomConfig(port=0), spool, refuses=lambda: None) as port:
        yield port


def received(spool: Spool) -> list[bytes]:
    """What lies in the spool."""
    return [path.read_bytes() for path in sorted(spool.folder.iterdir())]


def test_an_echo_is_answered(port: int):
    """`echoscu` ends with success."""
    assert dcmtk("echoscu", "127.0.0.1", port).returncode == 0


def test_a_stored_image_is_in_the_spool_when_the_sender_has_success(make_dicom, port: int, spool: Spool, tmp_path):
    """Pixels and identity as sent, the preamble zeroed, whatever the sender had hidden in it."""
    content = (
        b"MZ\x90\x00 a program".ljust(128, b"!") + make_dicom(RAMP, PatientID="P-1", StudyInstanceUID="1.2.3")[128:]
    )
    (tmp_path / "a.dcm").write_bytes(content)

    done = dcmtk("storescu", "-v", "127.0.0.1", port, tmp_path / "a.dcm")

    [kept] = received(spool)
    assert done.returncode == 0, done.stderr
    assert kept[:132] == bytes(128) + b"DICM"
    radiograph, identity = read(kept)
    assert np.array_equal(radiograph.pixels, decode(content).pixels)
    assert (identity.patient_id, identity.study_uid) == ("P-1", "1.2.3")


@pytest.mark.parametrize(
    ("encode", "propose"),
    [
        (("dcmconv", "+ti"), "-xi"),
        (("dcmconv", "+tb"), "-xb"),
        (("dcmconv", "+td"), "-xd"),
        (("dcmcrle",), "-xr"),
        (("dcmcjpeg", "+e1"), "-xs"),
        (("dcmcjpls",), "-xt"),
        (None, "-xv"),
    ],
)
def test_every_transfer_syntax_arrives_and_is_decoded(
    make_dicom, port: int, spool: Spool, tmp_path: Path, encode: tuple[str, ...] | None, propose: str
):
    """Implicit, big endian, deflated, RLE, JPEG lossless, JPEG-LS, JPEG 2000: as the sender encodes them, 12 bits."""
    plain, coded = tmp_path / "plain.dcm", tmp_path / "coded.dcm"
    plain.write_bytes(make_dicom(RAMP, BitsStored=12, HighBit=11))
    if encode is not None:
        assert dcmtk(*encode, plain, coded).returncode == 0
    else:
        jpeg2000(plain, coded)

    done = dcmtk("storescu", propose, "127.0.0.1", port, coded)

    [kept] = received(spool)
    assert done.returncode == 0, done.stderr
    assert pydicom.dcmread(spool.folder / next(spool.folder.iterdir()).name).file_meta.TransferSyntaxUID == (
        pydicom.dcmread(coded).file_meta.TransferSyntaxUID
    )
    assert np.abs(decode(kept).pixels.astype(int) - decode(plain.read_bytes()).pixels).max() <= 1


def jpeg2000(source: Path, target: Path) -> None:
    """Encode losslessly; DCMTK's free tools cannot."""
    dataset = pydicom.dcmread(source)
    Image.fromarray(RAMP).save(target, "JPEG2000", no_jp2=True, irreversible=False)
    dataset.PixelData = encapsulate([target.read_bytes()])
    dataset["PixelData"].VR = "OB"
    dataset.BitsStored, dataset.HighBit = 16, 15
    dataset.file_meta.TransferSyntaxUID = JPEG2000Lossless
    dataset.save_as(target)


@pytest.mark.parametrize(("process", "propose"), [("+eb", "-xy"), ("+ee", "-xx")])
def test_lossy_jpeg_of_eight_bits_arrives(make_dicom, port, spool: Spool, tmp_path: Path, process: str, propose: str):
    """Baseline and extended; no decoder that is installed knows the extended one's 12 bits."""
    (tmp_path / "plain.dcm").write_bytes(make_dicom((RAMP >> 4).astype(np.uint8)))
    assert dcmtk("dcmcjpeg", process, "+q", "95", tmp_path / "plain.dcm", tmp_path / "a.dcm").returncode == 0

    assert dcmtk("storescu", propose, "127.0.0.1", port, tmp_path / "a.dcm").returncode == 0

    assert decode(received(spool)[0]).pixels.shape == RAMP.shape


def test_all_that_is_installed_is_offered():
    """At least the eleven that every installation decodes."""
    assert len(transfer_syntaxes()) >= 11


def test_only_listed_senders_are_let_in(make_dicom, spool: Spool, tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """Another AE title is turned away at the door, and the log does not repeat it."""
    (tmp_path / "a.dcm").write_bytes(make_dicom(RAMP))
    with dicom_receiver(DicomConfig(port=0, allowed=("XRAY1",)), spool, refuses=lambda: None) as port:
        stranger = dcmtk("storescu", "-aet", "CANARY", "127.0.0.1", port, tmp_path / "a.dcm")
        known = dcmtk("storescu", "-aet", "XRAY1", "127.0.0.1", port, tmp_path / "a.dcm")

    assert (stranger.returncode != 0, known.returncode, len(received(spool))) == (True, 0, 1)
    assert "turned a DICOM sender away" in caplog.text
    assert "CANARY" not in caplog.text


@pytest.mark.parametrize("reason", ["full", "refusing", "broken"])
def test_without_room_the_sender_keeps_its_image(
    make_dicom, spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reason: str
):
    """A full disk, a full outbox, a failing disk: 0xA700, out of resources, and nothing is kept."""

    def fail(*_: object) -> None:
        raise SpoolFullError("no room") if reason == "full" else OSError(5, "Input/output error")

    if reason != "refusing":
        monkeypatch.setattr(spool, "put", fail)
    (tmp_path / "a.dcm").write_bytes(make_dicom(RAMP))
    refuses = (lambda: "the outbox is full") if reason == "refusing" else (lambda: None)
    with dicom_receiver(DicomConfig(port=0), spool, refuses=refuses) as port:
        done = dcmtk("storescu", "-v", "127.0.0.1", port, tmp_path / "a.dcm")

    assert "Refused: OutOfResources" in done.stderr  # what DCMTK calls 0xA700
    assert done.returncode != 0
    assert received(spool) == []


def test_an_image_beyond_all_bounds_is_broken_off(make_dicom, port, spool, tmp_path, monkeypatch):
    """It is collected in memory, so it must not grow for ever."""
    monkeypatch.setattr(receiver_module, "MAX_SIZE_BYTES", 100_000)
    (tmp_path / "big.dcm").write_bytes(make_dicom(np.zeros((3000, 1000), np.uint16)))

    assert dcmtk("storescu", "127.0.0.1", port, tmp_path / "big.dcm").returncode != 0

    assert received(spool) == []
    assert dcmtk("echoscu", "127.0.0.1", port).returncode == 0


def test_a_port_that_is_taken_is_a_configuration_error(port: int, tmp_path: Path):
    """The message names the keys."""
    with (
        pytest.raises(ConfigError, match=r"dicom\.port"),
        dicom_receiver(DicomConfig(port=port), Spool(tmp_path, "dicom"), refuses=lambda: None),
    ):
        pass


def test_several_frames_are_refused_with_the_reason_once_decoded(make_dicom, port: int, spool: Spool, tmp_path: Path):
    """The image is safe on the disk; what is wrong with it stands in quarantine."""
    (tmp_path / "a.dcm").write_bytes(make_dicom(np.zeros((3, 64, 64), np.uint8), NumberOfFrames=3))

    assert dcmtk("storescu", "127.0.0.1", port, tmp_path / "a.dcm").returncode == 0

    with pytest.raises(UnreadableImageError, match="got 3 frames"):
        decode(received(spool)[0])


@pytest.mark.shared
def test_the_shared_dicom_files_arrive_as_they_are(shared: Path, port: int, spool: Spool):
    """Whatever their transfer syntax and class."""
    files = sorted((shared / "data/dicom").iterdir())

    for file in files:
        syntax = pydicom.dcmread(file, stop_before_pixels=True).file_meta.TransferSyntaxUID
        done = dcmtk("storescu", PROPOSE.get(syntax, "-xe"), "127.0.0.1", port, file)
        assert done.returncode == 0, (file.name, done.stderr)

    kept = {np.asarray(decode(content).pixels).tobytes() for content in received(spool)}
    assert kept == {np.asarray(decode(file.read_bytes()).pixels).tobytes() for file in files}
