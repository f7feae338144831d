"""A folder becomes a dataset by content, and whatever does not fit is named."""

import re
import shutil
from pathlib import Path

import pytest

from edge.errors import DataError
from trainer.dataset import read_dataset


def write_manifest(root: Path, *rows: str, header: str = "file,label,patient,source") -> None:
    """Write a manifest of these rows."""
    (root / "manifest.csv").write_text("\n".join([header, *rows]) + "\n")


def rows_of(root: Path) -> list[str]:
    """A right row for each picture; every two neighbours share a patient."""
    files = sorted(root.glob("*/*.png"))
    return [f"{f.parent.name}/{f.name},{f.parent.name},p{n // 2},here" for n, f in enumerate(files)]


def test_pictures_are_found_by_class_and_keyed_by_content(dataset_root: Path):
    """Labels come in alphabetical order; hidden files and other suffixes are no pictures."""
    (dataset_root / "covid" / "notes.txt").write_text("not a picture")
    (dataset_root / "covid" / ".hidden.png").write_bytes(b"")

    dataset = read_dataset(dataset_root)

    assert dataset.labels == ("covid", "normal")
    assert dataset.counts() == {"covid": 10, "normal": 10}
    assert len(set(dataset.keys)) == 20
    assert dataset.targets(("normal", "covid")).tolist() == [1] * 10 + [0] * 10


def test_a_picture_counts_once_however_often_it_lies_there(dataset_root: Path):
    """A copy under another name is a duplicate, not a second picture."""
    shutil.copy(dataset_root / "covid" / "000.png", dataset_root / "covid" / "zzz.png")

    dataset = read_dataset(dataset_root)

    assert (len(dataset.items), dataset.duplicates) == (20, 1)


def test_the_fingerprint_speaks_of_content_and_not_of_names(dataset_root: Path):
    """Renaming a file changes nothing; moving it to the other class does."""
    before = read_dataset(dataset_root).fingerprint()
    (dataset_root / "covid" / "000.png").rename(dataset_root / "covid" / "other.png")
    renamed = read_dataset(dataset_root).fingerprint()
    (dataset_root / "covid" / "other.png").rename(dataset_root / "normal" / "other.png")
    moved = read_dataset(dataset_root).fingerprint()

    assert before == renamed
    assert before != moved


def test_a_manifest_adds_patients_and_sources(dataset_root: Path):
    """Empty fields mean unknown."""
    rows = rows_of(dataset_root)
    rows[0] = rows[0].rsplit(",", 2)[0] + ",,"
    write_manifest(dataset_root, *rows)

    dataset = read_dataset(dataset_root)

    assert (dataset.items[0].patient, dataset.items[1].patient) == (None, "p0")
    assert dataset.sources() == {"covid": {"here": 9}, "normal": {"here": 10}}


def test_further_columns_are_clinical(dataset_root: Path):
    """Whatever is no column of ours is kept under its own name; what is unknown is left out."""
    rows = [f"{row},PA,{'F' if n else ''},64" for n, row in enumerate(rows_of(dataset_root))]
    write_manifest(dataset_root, *rows, header="file,label,patient,source,view,sex,age")

    dataset = read_dataset(dataset_root)

    assert [dict(item.clinical) for item in dataset.items[:2]] == [{"age": "64"}, {"sex": "F", "age": "64"}]


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda rows: [*rows, "covid/999.png,covid,,"], "rows without a file: covid/999.png"),
        (lambda rows: rows[1:], "files without a row in manifest.csv: covid/000.png"),
        (lambda rows: ["covid/000.png,flu,,", *rows[1:]], "no class folder is named after: covid/000.png ('flu')"),
        (lambda rows: ["covid/000.png,normal,,", *rows[1:]], "disagree on covid/000.png ('normal')"),
        (lambda rows: [*rows, rows[0]], "names covid/000.png more than once"),
        (lambda rows: [rows[0] + ",more", *rows[1:]], "more fields than columns for covid/000.png; put quotes"),
        (lambda rows: ["covid/000.png", *rows[1:]], "no class folder is named after: covid/000.png ('')"),
    ],
)
def test_a_manifest_that_does_not_match_is_refused(dataset_root: Path, spoil, sentence: str):
    """The message names the file and the way out."""
    write_manifest(dataset_root, *spoil(rows_of(dataset_root)))

    with pytest.raises(DataError, match=re.escape(sentence)):
        read_dataset(dataset_root)


def test_a_manifest_without_its_columns_is_refused(dataset_root: Path):
    """The message says which columns are expected and which came."""
    write_manifest(dataset_root, "covid/000.png,covid", header="name,class")

    with pytest.raises(DataError, match=r"expected columns file,label.*got name,class"):
        read_dataset(dataset_root)


def test_an_empty_class_is_refused(dataset_root: Path):
    """The message names the class."""
    (dataset_root / "pneumonia").mkdir()

    with pytest.raises(DataError, match="found none in pneumonia"):
        read_dataset(dataset_root)


def test_one_class_only_is_refused(dataset_root: Path):
    """The message names the one class that is there."""
    shutil.rmtree(dataset_root / "normal")

    with pytest.raises(DataError, match=r"two or more class folders.*found covid"):
        read_dataset(dataset_root)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path):
    """The message says what a dataset looks like."""
    with pytest.raises(DataError, match="one folder of pictures per class"):
        read_dataset(tmp_path / "nowhere")


def test_one_picture_under_two_labels_is_refused(dataset_root: Path):
    """Both files are named, since only a person knows which label is wrong."""
    shutil.copy(dataset_root / "covid" / "000.png", dataset_root / "normal" / "zzz.png")

    with pytest.raises(DataError, match=r"covid/000\.png and normal/zzz\.png are the same picture under two labels"):
        read_dataset(dataset_root)
