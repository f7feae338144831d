"""Answered reports leave the inbox as files that others can read."""

import csv
import io
import json

import msgspec
import numpy as np
import pytest
from PIL import Image

from doctor.learning.answered import Answered
from doctor.learning.export import Exhibit, Format, export
from edge.errors import ConfigError
from edge.wire.messages import NOTICE
from tests.doctor.learning.answers import AT, answered


def picture(number: int) -> bytes:
    """A preview like no other."""
    file = io.BytesIO()
    pixels = np.random.default_rng(number).integers(0, 255, (64, 64)).astype(np.uint8)
    Image.fromarray(pixels).save(file, "JPEG", quality=95)
    return file.getvalue()


def exhibit(number: int, decision: str, seen: str | None, **changes) -> Exhibit:
    """An answered report with its preview."""
    return Exhibit(answered(number, decision, seen, **changes), picture(number))


def test_the_trainer_takes_the_dataset_as_it_is(tmp_path):
    """Classes are what readers saw, a patient is one box's own, and the clinic is the source."""
    dataset = pytest.importorskip("trainer.dataset")
    exhibits = [
        exhibit(1, "covid", "covid", patient="p-1"),
        exhibit(2, "covid", "normal", patient="p-1"),
        exhibit(3, "normal", "normal", patient="p-1", site="other"),
        exhibit(4, "normal", "normal", patient=None),
        exhibit(5, "covid", None),
        Exhibit(answered(6, "covid", "covid"), None),
        exhibit(7, "covid", "../../escape"),
    ]

    done = export(exhibits, Format.DATASET, tmp_path / "data")
    read = dataset.read_dataset(tmp_path / "data")

    assert done.written == 4
    assert done.left_out == {
        "the reader named no class": 1,
        "its picture has not arrived": 1,
        "the reader's word for it cannot name a folder": 1,
    }
    assert read.labels == ("covid", "normal")
    assert {(item.label, item.patient, item.source) for item in read.items} == {
        ("covid", "clinic-box-1-p-1", "clinic"),
        ("normal", "clinic-box-1-p-1", "clinic"),
        ("normal", "other-box-1-p-1", "other"),
        ("normal", None, "clinic"),
    }


def test_readers_who_contradict_each_other_teach_nothing(tmp_path):
    """The same image, seen by two models and read twice, leaves the dataset."""
    exhibits = [exhibit(1, "covid", "covid", model="old"), exhibit(1, "covid", "normal", model="new")]

    done = export(exhibits, Format.DATASET, tmp_path / "data")

    assert done.written == 0
    assert done.left_out == {"readers contradict each other": 1}
    assert list((tmp_path / "data").rglob("*.jpg")) == []


def test_each_report_is_two_dicom_files(tmp_path):
    """One picture and one report that speaks of it."""
    pydicom = pytest.importorskip("pydicom")

    without = Exhibit(answered(2, "covid", "covid"), None)

    done = export([exhibit(1, "covid", "covid"), without], Format.DICOM, tmp_path / "d")

    modalities = sorted(pydicom.dcmread(path).Modality for path in (tmp_path / "d").glob("*.dcm"))
    assert modalities == ["OT", "SR"]
    assert done.left_out == {"its picture has not arrived": 1}


def test_json_is_what_went_over_the_wire(tmp_path):
    """One document a line, with report and review whole."""
    one = exhibit(1, "covid", "normal")

    export([one], Format.JSON, tmp_path / "out")

    (line,) = (tmp_path / "out" / "reports.jsonl").read_text().splitlines()
    assert json.loads(line)["report"] == json.loads(msgspec.json.encode(one.answered.report))
    assert json.loads(line)["review"]["verdict"] == "disagree"


def test_fhir_is_one_bundle_each(tmp_path):
    """Named after clinic, box and report."""
    one = exhibit(1, "covid", "normal")

    export([one], Format.FHIR, tmp_path / "out")

    (path,) = (tmp_path / "out").glob("*.json")
    assert path.name == f"clinic-box-1-{one.answered.report.id}.json"
    assert json.loads(path.read_text())["resourceType"] == "Bundle"


def test_a_spreadsheet_runs_nothing_that_a_reader_wrote(tmp_path):
    """A text that begins like a formula stays a text."""
    one = answered(1, "covid", "normal")
    one = Answered(one.report, msgspec.structs.replace(one.review, text="=HYPERLINK(1)"), AT)

    export([Exhibit(one, None)], Format.CSV, tmp_path / "out")

    (row,) = csv.DictReader((tmp_path / "out" / "reports.csv").read_text().splitlines())
    assert row["text"] == "'=HYPERLINK(1)"
    assert (row["decision"], row["seen"], row["verdict"]) == ("covid", "normal", "disagree")


@pytest.mark.parametrize("kind", list(Format))
def test_every_export_says_what_it_is_worth(tmp_path, kind):
    """The notice and the caveat lie beside the files."""
    export([exhibit(1, "covid", "covid")], kind, tmp_path / "out")

    assert NOTICE in (tmp_path / "out" / "README.txt").read_text()


def test_an_existing_folder_is_left_alone(tmp_path):
    """The error names it and the way out."""
    with pytest.raises(ConfigError, match="never overwritten; name another folder"):
        export([], Format.CSV, tmp_path)


def test_an_interrupted_export_never_has_the_final_name(tmp_path):
    """Whatever ends it, half of it cannot be taken for the whole."""

    def broken():
        yield exhibit(1, "covid", "covid")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export(broken(), Format.JSON, tmp_path / "out")

    assert not (tmp_path / "out").exists()
