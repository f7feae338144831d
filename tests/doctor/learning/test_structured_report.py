"""An answered report in DICOM is read by DCMTK as it was meant."""

import io
import shutil
import subprocess
from pathlib import Path

import msgspec
import numpy as np
import pytest
from PIL import Image

from doctor.learning.answered import Answered
from doctor.learning.structured_report import structured_report
from edge.phantom import phantom
from edge.wire.messages import NOTICE
from tests.doctor.learning.answers import AT, answered


@pytest.fixture(scope="module")
def jpeg() -> bytes:
    """A preview."""
    file = io.BytesIO()
    Image.open(io.BytesIO(phantom(3).png())).convert("L").save(file, "JPEG", quality=90)
    return file.getvalue()


def with_answer(one: Answered, **changes) -> Answered:
    """Another answer to the same report."""
    return Answered(one.report, msgspec.structs.replace(one.review, **changes), AT)


def dump(path: Path, *tool: str) -> str:
    """What DCMTK reads in a file; its complaints fail the test."""
    tool = tool or ("dsrdump", "+Pl")
    if shutil.which(tool[0]) is None:
        pytest.fail(f"needs {tool[0]}; on Debian: sudo apt-get install dcmtk")
    done = subprocess.run([*tool, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    own_limit = "W: The VR checker does not support this Specific Character Set: ISO_IR 192"
    complaints = [line for line in done.stderr.splitlines() if line.startswith(("E:", "W:")) and line != own_limit]
    assert not complaints, done.stderr
    return done.stdout


def test_dcmtk_reads_device_algorithm_finding_probability_and_reader(tmp_path, jpeg):
    """Everything a later reader needs stands in the document."""
    one = with_answer(
        answered(1, "covid", "normal"), text="No consolidation.", call_back=True, reader="Dr. Ä. Müller^X"
    )

    structured_report(one, jpeg).report.save_as(tmp_path / "sr.dcm", enforce_file_format=True)
    text = dump(tmp_path / "sr.dcm")

    for expected in (
        "Imaging Measurement Report",
        "COMPLETE",
        "VERIFIED",
        one.report.device,
        one.report.model.sha256,
        "840539006",
        "0.971",
        "Müller",
        "disagree",
        "No consolidation.",
        "The clinic should call the reader at once.",
        NOTICE,
    ):
        assert expected in text


def test_the_picture_is_the_one_that_the_report_speaks_of(tmp_path, jpeg):
    """Same study, and the report's evidence names the picture; its pixels are those of the preview."""
    pair = structured_report(answered(1, "covid", "covid"), jpeg)

    evidence = pair.report.CurrentRequestedProcedureEvidenceSequence[0]
    pair.picture.save_as(tmp_path / "sc.dcm", enforce_file_format=True)

    assert evidence.StudyInstanceUID == pair.picture.StudyInstanceUID == pair.report.StudyInstanceUID
    named = evidence.ReferencedSeriesSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID
    assert named == pair.picture.SOPInstanceUID
    assert np.array_equal(pair.picture.pixel_array, np.asarray(Image.open(io.BytesIO(jpeg))))
    assert "MONOCHROME2" in dump(tmp_path / "sc.dcm", "dcmdump")


def test_images_of_one_study_share_it_and_a_second_answer_is_a_second_document(jpeg):
    """So a viewer shows them together, and never overwrites an earlier answer."""
    first = answered(1, "covid", "covid", study="s-0123456789abcdef")
    other = answered(2, "covid", "covid", study="s-0123456789abcdef")
    second = with_answer(first, revision=2)

    pairs = [structured_report(one, jpeg) for one in (first, other, second)]

    assert len({pair.report.StudyInstanceUID for pair in pairs}) == 1
    assert len({pair.report.SOPInstanceUID for pair in pairs}) == 3
    assert pairs[0].picture.SOPInstanceUID == pairs[2].picture.SOPInstanceUID


@pytest.mark.parametrize("decision", ["not-assessable", "inconclusive", "normal"])
def test_what_cannot_be_judged_can_still_be_said(tmp_path, jpeg, decision):
    """No class is invented for it."""
    one = answered(1, decision, None)

    structured_report(one, jpeg).report.save_as(tmp_path / "sr.dcm", enforce_file_format=True)

    assert "cannot-judge" in dump(tmp_path / "sr.dcm")


def test_patients_are_tokens_and_nothing_claims_more(jpeg):
    """No name, and no word that identity was removed: burned-in text may be left in any picture."""
    pair = structured_report(answered(1, "covid", "covid", patient="p-0123456789abcdef"), jpeg)

    for dataset in (pair.picture, pair.report):
        assert dataset.PatientID == "p-0123456789abcdef"
        assert not dataset.PatientName
        assert "PatientIdentityRemoved" not in dataset
