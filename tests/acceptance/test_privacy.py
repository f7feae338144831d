"""Nothing that identifies a patient leaves the box: canaries wherever a name can stand, and a search for them."""

import json
import re
import sqlite3
import time
from contextlib import closing
from io import BytesIO
from pathlib import Path

import numpy as np
import paho.mqtt.client as mqtt
import pydicom
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from PIL import Image
from pydicom.datadict import dictionary_VR, keyword_dict
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from edge.phantom import phantom

CANARY = "CANARY7"
"""Seven characters: it fits the shortest text a tag may hold, and no hash spells it."""
TEXTS = frozenset({"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"})
OF_PIXELS = frozenset({"PhotometricInterpretation", "PixelPresentation", "PresentationLUTShape", "VOILUTFunction"})
STUDY_UID = "1.2.826.0.1.3680043.8.498.7654321"


def a_dicom_image(seed: int) -> bytes:
    """A radiograph with a canary in every attribute that holds text, in private and nested ones."""
    pixels = np.asarray(Image.open(BytesIO(phantom(seed).png())).convert("L"))
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.1.1"
    meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset = FileDataset(None, {}, file_meta=meta, preamble=CANARY.encode().ljust(128, b" "))
    for keyword, tag in keyword_dict.items():
        if tag >> 16 > 0x0008 - 1 and dictionary_VR(tag) in TEXTS and keyword not in OF_PIXELS and tag >> 16 < 0x7FE0:
            setattr(dataset, keyword, CANARY)
    for keyword in list(keyword_dict):
        if keyword.startswith(("Waveform", "Overlay", "Curve")) and keyword in dataset:
            delattr(dataset, keyword)
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID, dataset.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    dataset.StudyInstanceUID = STUDY_UID
    dataset.OtherPatientIDsSequence = [pydicom.Dataset()]
    dataset.OtherPatientIDsSequence[0].PatientID = CANARY
    dataset.private_block(0x0011, CANARY, create=True).add_new(1, "LO", CANARY)
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel, dataset.PixelRepresentation = 1, 0
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit = 7
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.PixelData = pixels.tobytes()
    buffer = BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


@pytest.fixture
def heard(mosquitto):
    """Everything that is said at the broker, topics and payloads."""
    said: list[bytes] = []
    client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
    client.on_message = lambda _c, _u, message: said.append(message.topic.encode() + b" " + message.payload)
    client.connect("127.0.0.1", mosquitto.port)
    client.subscribe("#", qos=1)
    client.loop_start()
    yield client, said
    client.disconnect()
    client.loop_stop()


def test_no_canary_leaves_the_box(agent, doctor, mosquitto, heard, demo_bundle, tmp_path: Path):
    """Not from tags, names, paths, comments or damaged files: not in topics, payloads, logs or the doctor's store."""
    client, said = heard
    watched = tmp_path / f"{CANARY}-clinic" / "in"
    watched.mkdir(parents=True)
    inbox = doctor(mosquitto.address)
    box = agent(
        "--broker", mosquitto.address, "--model", demo_bundle, "--watch", watched, "--device", "box-1",
        "--state", tmp_path / "state", "--patience-s", "0.5", "--settle-s", "0.1", "--log-level", "debug",
    )  # fmt: skip
    image = a_dicom_image(1)
    exif = Image.Exif()
    exif[0x010E] = CANARY
    with Image.open(BytesIO(phantom(2).png())) as picture:
        picture.save(watched / f"{CANARY}.jpg", exif=exif, comment=CANARY.encode())
    (watched / f"{CANARY}.dcm").write_bytes(image)
    (watched / f"{CANARY}-cut.dcm").write_bytes(image[: len(image) // 2])
    (watched / f"{CANARY}.txt").write_text(CANARY)
    inbox.wait_for(lambda process: len(process.out) == 2, timeout_s=90)
    box.wait_for(lambda process: sum("set aside image" in line for line in process.err) == 2, timeout_s=90)
    reports = {report["patient"] is not None: report for report in map(json.loads, inbox.out)}
    for command in ("image", "resend", "self-test"):
        request = {"transaction": "t", "id": reports[True]["id"], "schema": "xray.request/1"}
        client.publish(f"xray/v1/clinic/box-1/request/{command}", json.dumps(request), qos=1)
    deadline_s = time.monotonic() + 60
    while sum(b"/response/" in message for message in said) < 3:
        assert time.monotonic() < deadline_s, said
        time.sleep(0.1)
    box.end()
    inbox.end()

    everything = {
        "broker": b"\n".join(said),
        "the box's log": "\n".join(box.out + box.err).encode(),
        "the doctor's log and output": "\n".join(inbox.out + inbox.err).encode(),
        "the doctor's store": b"".join(path.read_bytes() for path in tmp_path.glob("inbox.sqlite3*")),
    }
    assert CANARY.encode() in image
    for place, content in everything.items():
        assert CANARY.encode() not in content, place
        assert STUDY_UID.encode() not in content, place
    assert any(b"/preview/" in message for message in said)
    assert re.fullmatch("p-[0-9a-f]{16}", reports[True]["patient"])
    assert re.fullmatch("s-[0-9a-f]{16}", reports[True]["study"])
    assert not reports[False]["study"]


def test_the_box_alone_can_undo_a_token(agent, doctor, mosquitto, demo_bundle, tmp_path: Path):
    """`edge-agent whois` prints what the tag holds; with `privacy.tokens` off no token is sent."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.dcm").write_bytes(a_dicom_image(1))
    inbox = doctor(mosquitto.address)
    box = agent(
        "--broker", mosquitto.address, "--model", demo_bundle, "--watch", tmp_path / "in", "--state", tmp_path / "state"
    )
    inbox.wait_for(lambda process: process.out, timeout_s=90)
    box.end()
    token = json.loads(inbox.out[0])["patient"]

    asked = agent("whois", token, "--state", tmp_path / "state")

    assert asked.code() == 0
    assert asked.out == [f"{token}  PatientID={CANARY}  IssuerOfPatientID={CANARY}"]
    with closing(sqlite3.connect(tmp_path / "state" / "outbox.sqlite3")) as outbox:
        assert CANARY.encode() not in b"".join(row[0] for row in outbox.execute("SELECT content FROM document"))
