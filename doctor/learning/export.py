"""Answered reports -> files: a dataset to train on, DICOM, FHIR, JSON or CSV.

Every export goes to a folder of its own that did not exist: nothing is overwritten, and an export that was interrupted
is seen by the `.part` in its name.
"""

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import msgspec

from doctor.learning.answered import CAVEAT, Answered
from doctor.learning.fhir import fhir_bundle
from edge.errors import ConfigError
from edge.wire.messages import NOTICE

_COLUMNS: Final = (
    "id", "site", "device", "patient", "study", "stored_at", "model", "decision", "positive", "probability_positive",
    "verdict", "seen", "reader", "answered_at", "new_image", "call_back", "text",
)  # fmt: skip


class Format(StrEnum):
    """What an export is for."""

    DATASET = "dataset"
    """Pictures in class folders with a `manifest.csv`, as `edge-trainer` takes them."""
    DICOM = "dicom"
    """A Secondary Capture and a Structured Report each."""
    FHIR = "fhir"
    """An R4 bundle each."""
    JSON = "json"
    """Report and review as they went over the wire, one document a line."""
    CSV = "csv"
    """One row each."""


@dataclass(frozen=True, slots=True)
class Exhibit:
    """An answered report with the best picture of it that the inbox has.

    Attributes:
        answered: The report and its answer.
        picture: JPEG or PNG: in full where it was fetched, else the preview; None where neither came.
    """

    answered: Answered
    picture: bytes | None


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export did.

    Attributes:
        written: Reports exported.
        left_out: Reason to number of reports.
    """

    written: int
    left_out: dict[str, int]


def export(exhibits: Iterable[Exhibit], kind: Format, out: Path) -> Exported:
    """Write answered reports to a new folder.

    Raises:
        ConfigError: The folder exists, or cannot be written.
    """
    write = {
        Format.DATASET: _write_dataset,
        Format.DICOM: _write_dicom,
        Format.FHIR: _write_fhir,
        Format.JSON: _write_json,
        Format.CSV: _write_csv,
    }[kind]
    with _new_folder(out) as folder:
        tally = _Tally()
        write(exhibits, folder, tally)
        (folder / "README.txt").write_text(f"{NOTICE}\n\n{CAVEAT}\n", encoding="utf-8")
    return Exported(tally.written, tally.left_out)


class _Tally:
    def __init__(self) -> None:
        self.written = 0
        self.left_out: dict[str, int] = {}

    def leave_out(self, reason: str) -> None:
        self.left_out[reason] = self.left_out.get(reason, 0) + 1


def _write_dataset(exhibits: Iterable[Exhibit], folder: Path, tally: _Tally) -> None:
    """Class folders and a manifest; a patient's token keeps their images together, the clinic is the source."""
    rows: dict[str, tuple[str, str, str, str] | None] = {}  # image -> its row, None where readers contradict each other
    for exhibit in exhibits:
        report, seen = exhibit.answered.report, exhibit.answered.seen
        if exhibit.picture is None or seen is None or not _is_name(seen):
            tally.leave_out(_why_not(exhibit))
            continue
        image = report.picture.sha256 if report.picture and report.picture.sha256 else report.id
        file = f"{seen.lower()}/{image[:32]}{_suffix(exhibit.picture)}"
        row = (file, seen.lower(), _patient(report.site, report.device, report.patient), report.site)
        known = rows.setdefault(image, row)
        if known is row:
            _write(folder / file, exhibit.picture)
        elif known is not None and known[1] != row[1]:
            (folder / known[0]).unlink()
            rows[image] = None
            tally.leave_out("readers contradict each other")
    kept = [row for row in rows.values() if row is not None]
    tally.written = len(kept)
    with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as manifest:
        csv.writer(manifest).writerows([("file", "label", "patient", "source"), *kept])


def _why_not(exhibit: Exhibit) -> str:
    if exhibit.answered.seen is None:
        return "the reader named no class"
    return "its picture has not arrived" if exhibit.picture is None else "the reader's word for it cannot name a folder"


def _write_dicom(exhibits: Iterable[Exhibit], folder: Path, tally: _Tally) -> None:
    structured_report = _structured_report()
    for exhibit in exhibits:
        if exhibit.picture is None:
            tally.leave_out("its picture has not arrived")
            continue
        pair = structured_report(exhibit.answered, exhibit.picture)
        name = _file_name(exhibit)
        for suffix, dataset in (("picture", pair.picture), ("report", pair.report)):
            dataset.save_as(folder / f"{name}-{suffix}.dcm", enforce_file_format=True)
        tally.written += 1


def _write_fhir(exhibits: Iterable[Exhibit], folder: Path, tally: _Tally) -> None:
    for exhibit in exhibits:
        document = json.dumps(fhir_bundle(exhibit.answered), indent=2, ensure_ascii=False)
        _write(folder / f"{_file_name(exhibit)}.json", document.encode())
        tally.written += 1


def _write_json(exhibits: Iterable[Exhibit], folder: Path, tally: _Tally) -> None:
    with (folder / "reports.jsonl").open("wb") as file:
        for exhibit in exhibits:
            answered = exhibit.answered
            document = {"report": answered.report, "review": answered.review, "stored_at": answered.stored_at}
            file.write(msgspec.json.encode(document) + b"\n")
            tally.written += 1


def _write_csv(exhibits: Iterable[Exhibit], folder: Path, tally: _Tally) -> None:
    with (folder / "reports.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(_COLUMNS)
        for exhibit in exhibits:
            rows.writerow([_plain(value) for value in _row(exhibit.answered)])
            tally.written += 1


def _row(answered: Answered) -> tuple[Any, ...]:
    report, review = answered.report, answered.review
    return (
        report.id, report.site, report.device, report.patient, report.study, answered.stored_at.isoformat(),
        report.model.id, report.decision, report.positive, report.probabilities.get(report.positive),
        review.verdict, answered.seen, review.reader, review.at.isoformat(), review.new_image, review.call_back,
        review.text,
    )  # fmt: skip


def _plain(value: Any) -> Any:
    """A cell that a spreadsheet takes as text: one that begins like a formula would be run by it."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value


def _structured_report() -> Callable[..., Any]:
    try:
        from doctor.learning.structured_report import structured_report  # noqa: PLC0415 - needs the extra `standards`
    except ImportError as error:
        raise ConfigError(
            f"DICOM export needs highdicom, which is not installed ({error}); run: pip install 'edge-xray[standards]'"
        ) from error
    return structured_report


def _file_name(exhibit: Exhibit) -> str:
    report = exhibit.answered.report
    return f"{report.site}-{report.device}-{report.id}"


def _patient(site: str, device: str, token: str | None) -> str:
    """A token is one box's own: the same one of another box is another patient."""
    return f"{site}-{device}-{token}" if token else ""


def _is_name(label: str) -> bool:
    return label[:1].isalnum() and all(sign.isalnum() or sign in " ._-" for sign in label)


def _suffix(picture: bytes) -> str:
    return ".png" if picture.startswith(b"\x89PNG") else ".jpg"


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)


@contextmanager
def _new_folder(out: Path) -> Iterator[Path]:
    """A folder that has its name only when all is in it."""
    if out.exists():
        raise ConfigError(f"{out} exists and is never overwritten; name another folder or remove it")
    partial = out.with_name(f".{out.name}.part")
    try:
        partial.mkdir(parents=True)
        yield partial
        partial.rename(out)
    except OSError as error:
        raise ConfigError(
            f"cannot write {partial}: {error.strerror}; free some space, remove what an earlier run left, or name "
            "another folder"
        ) from error
