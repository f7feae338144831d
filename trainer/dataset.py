"""DATA, a folder of labelled pictures -> Dataset: what there is, by content. No pixel is decoded here.

Layout: `DATA/<class>/*.{png,jpg,jpeg,webp,tif,tiff,dcm}`, optionally with `DATA/manifest.csv` (columns `file,label`,
and if known `patient,source,view`; further ones are clinical). Invariant: every item's key is the SHA-256 of its
bytes, and no key occurs twice, so the same image can never be trained on and held out.
"""

import csv
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from edge.decoding.decode import SUFFIXES
from edge.errors import DataError
from trainer.progress import progress

MANIFEST_NAME: Final = "manifest.csv"
_COLUMNS: Final = frozenset({"file", "label", "patient", "source", "view"})
_BEYOND: Final = "beyond the last column"
_NAMED_AT_MOST: Final = 10


@dataclass(frozen=True, slots=True)
class Item:
    """One labelled picture.

    Attributes:
        file: Path below the dataset's root, with forward slashes.
        label: Its class.
        sha256: Of the file's bytes, 64 hex digits.
        patient: Opaque patient id, None where unknown.
        source: Where the picture came from, None where unknown.
        clinical: What the manifest's further columns say of it, column to value; what is unknown is left out.
    """

    file: str
    label: str
    sha256: str
    patient: str | None = None
    source: str | None = None
    clinical: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Dataset:
    """The pictures of one folder, each content once.

    Attributes:
        root: The folder.
        items: In the order of their file names.
        labels: The classes in alphabetical order: the order of the model's outputs.
        duplicates: How many files were left out because their bytes repeat those of an earlier one.
    """

    root: Path
    items: tuple[Item, ...]
    labels: tuple[str, ...]
    duplicates: int

    @property
    def keys(self) -> list[str]:
        """The items' SHA-256, in order."""
        return [item.sha256 for item in self.items]

    def targets(self, labels: tuple[str, ...]) -> npt.NDArray[np.int64]:
        """Index of each item's label in `labels`, `(n,) int64`."""
        return np.array([labels.index(item.label) for item in self.items], np.int64)

    def only(self, keys: Iterable[str]) -> "Dataset":
        """The items with these keys, in the order of this dataset."""
        wanted = frozenset(keys)
        items = tuple(item for item in self.items if item.sha256 in wanted)
        return Dataset(self.root, items, self.labels, self.duplicates)

    def counts(self) -> dict[str, int]:
        """Label to number of items."""
        found = Counter(item.label for item in self.items)
        return {label: found[label] for label in self.labels}

    def sources(self) -> dict[str, dict[str, int]]:
        """Label to source to number of items, as far as the manifest names sources."""
        found = Counter((item.label, item.source) for item in self.items if item.source)
        return {
            label: {source: count for (of, source), count in sorted(found.items()) if of == label}
            for label in self.labels
        }

    def fingerprint(self) -> str:
        """SHA-256 over all keys and labels, independent of file names, 64 hex digits."""
        lines = sorted(f"{item.sha256} {item.label}\n" for item in self.items)
        return sha256("".join(lines).encode()).hexdigest()


def read_dataset(root: Path) -> Dataset:
    """Find and hash the pictures of a folder.

    Raises:
        DataError: No such folder, no or one class only, an empty class, a manifest that does not match the files, or
            the same picture under two labels.
    """
    if not root.is_dir():
        raise DataError(
            f"expected a folder with one folder of pictures per class at {root}, found none; check the path"
        )
    files = _files_by_class(root)
    rows = _manifest_rows(root / MANIFEST_NAME)
    if rows is not None:
        _check_manifest(rows, files)
    items = [
        _item(root, file, label if rows is None else rows[file]["label"], (rows or {}).get(file, {}))
        for file, label in progress(files.items(), total=len(files), what="reading", unit="file")
    ]
    unique = _unique(items)
    return Dataset(root, unique, tuple(sorted(set(files.values()))), len(items) - len(unique))


def named(names: Iterable[str]) -> str:
    """Up to ten names, and how many more there are."""
    listed = list(names)
    more = f" and {len(listed) - _NAMED_AT_MOST} more" if len(listed) > _NAMED_AT_MOST else ""
    return ", ".join(listed[:_NAMED_AT_MOST]) + more


def _files_by_class(root: Path) -> dict[str, str]:
    """File name below root -> its folder's name; hidden files and other suffixes are not pictures."""
    folders = sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    files = {
        f"{folder.name}/{path.name}": folder.name
        for folder in folders
        for path in sorted(folder.iterdir())
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
    }
    empty = [folder.name for folder in folders if folder.name not in set(files.values())]
    if empty:
        raise DataError(
            f"expected pictures in every class folder of {root}, found none in {named(empty)}; "
            f"add some ({', '.join(sorted(SUFFIXES))}) or remove the folder"
        )
    if len(folders) < 2:  # noqa: PLR2004 - a classifier needs two classes
        raise DataError(
            f"expected two or more class folders in {root}, found {named(f.name for f in folders) or 'none'}; "
            f"sort the pictures into one folder per class"
        )
    return files


def _manifest_rows(path: Path) -> dict[str, dict[str, str]] | None:
    if not path.exists():
        return None
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, restkey=_BEYOND, restval="")
            columns = reader.fieldnames or []
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"cannot read {path}: {error}; save it as CSV in UTF-8") from error
    if not {"file", "label"} <= set(columns):
        raise DataError(f"expected columns file,label[,patient,source] in {path}, got {','.join(columns)}; add them")
    long = [row["file"] for row in rows if _BEYOND in row]
    if long:
        raise DataError(f"{path} has more fields than columns for {named(long)}; put quotes round a field with commas")
    twice = [file for file, count in Counter(row["file"] for row in rows).items() if count > 1]
    if twice:
        raise DataError(f"{path} names {named(twice)} more than once; keep one row per file")
    return {row["file"]: row for row in rows}


def _check_manifest(rows: Mapping[str, Mapping[str, str]], files: Mapping[str, str]) -> None:
    lost = [file for file in rows if file not in files]
    if lost:
        raise DataError(f"{MANIFEST_NAME} has rows without a file: {named(lost)}; add the files or remove the rows")
    unlisted = [file for file in files if file not in rows]
    if unlisted:
        raise DataError(f"files without a row in {MANIFEST_NAME}: {named(unlisted)}; add rows or remove the files")
    classes = set(files.values())
    unknown = [f"{file} ({row['label']!r})" for file, row in rows.items() if row["label"] not in classes]
    if unknown:
        raise DataError(
            f"{MANIFEST_NAME} has labels that no class folder is named after: {named(unknown)}; "
            f"expected one of {', '.join(sorted(classes))}"
        )
    moved = [f"{file} ({row['label']!r})" for file, row in rows.items() if row["label"] != files[file]]
    if moved:
        raise DataError(f"{MANIFEST_NAME} and the class folders disagree on {named(moved)}; correct one of the two")


def _item(root: Path, file: str, label: str, row: Mapping[str, str]) -> Item:
    try:
        with (root / file).open("rb") as content:
            digest = file_digest(content, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"cannot read {root / file}: {error.strerror}; mind its owner and mode") from error
    return Item(
        file,
        label,
        digest,
        patient=row.get("patient") or None,
        source=row.get("source") or None,
        clinical={name: value for name, value in row.items() if name not in _COLUMNS and value},
    )


def _unique(items: Iterable[Item]) -> tuple[Item, ...]:
    first: dict[str, Item] = {}
    for item in items:
        known = first.setdefault(item.sha256, item)
        if known.label != item.label:
            raise DataError(
                f"{known.file} and {item.file} are the same picture under two labels; remove the one that is wrong"
            )
    return tuple(first.values())
