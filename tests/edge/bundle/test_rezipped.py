"""Whatever another program makes of a bundle is refused with its reason, and nothing of it is written or unfolded."""

import io
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from converter.keys import SigningKey, make_key, read_key
from edge.bundle.bundle import CARD_NAME, MODEL_NAME, SIGNATURE_NAME, Bundle, pack, read_bundle, signed_entries, unpack
from edge.bundle.signature import Trust
from edge.errors import BundleError
from edge.phantom import phantom


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> SigningKey:
    """A private key."""
    return read_key(make_key(tmp_path_factory.mktemp("keys")).private)


@pytest.fixture(scope="module")
def bundle(demo_bundle: Path, key: SigningKey) -> Bundle:
    """The demo's bundle, signed."""
    return key.sign(read_bundle(demo_bundle))


def entries_of(bundle: Bundle) -> dict[str, bytes]:
    """All of them, in order."""
    return {**signed_entries(bundle), SIGNATURE_NAME: bundle.signature.to_json()}


def zipped(entries: list[tuple[str | zipfile.ZipInfo, bytes]], **options: int) -> bytes:
    """A zip as Python's library makes one."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", **options) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return buffer.getvalue()


def with_entry(name: str, content: bytes = b"x") -> Callable[[Bundle], bytes]:
    """All entries and one more."""
    return lambda bundle: zipped([*entries_of(bundle).items(), (name, content)])


def renamed(old: str, new: str) -> Callable[[Bundle], bytes]:
    """The entries, one of them under another name."""
    return lambda bundle: zipped(
        [(new if name == old else name, content) for name, content in entries_of(bundle).items()]
    )


def link(bundle: Bundle) -> bytes:
    """The model is a symbolic link to a file of the box."""
    info = zipfile.ZipInfo(MODEL_NAME)
    info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    entries = entries_of(bundle)
    return zipped([(CARD_NAME, entries[CARD_NAME]), (info, b"/etc/passwd"), (SIGNATURE_NAME, entries[SIGNATURE_NAME])])


def bomb(bundle: Bundle) -> bytes:
    """The model unfolds to a quarter of a gigabyte of zeros."""
    entries = entries_of(bundle)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr(CARD_NAME, entries[CARD_NAME])
        with archive.open(MODEL_NAME, "w", force_zip64=True) as file:
            for _ in range(256):
                file.write(bytes(1 << 20))
        archive.writestr(SIGNATURE_NAME, entries[SIGNATURE_NAME])
    return buffer.getvalue()


def commented(bundle: Bundle) -> bytes:
    """The very bundle, with a comment at the archive's end."""
    buffer = io.BytesIO(pack(bundle))
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.comment = b"approved"
    return buffer.getvalue()


REZIPPED: dict[str, tuple[Callable[[Bundle], bytes], str]] = {
    "zipped anew, stored": (lambda bundle: zipped([*entries_of(bundle).items()]), "not byte for byte"),
    "zipped anew, compressed": (
        lambda bundle: zipped([*entries_of(bundle).items()], compression=zipfile.ZIP_DEFLATED),
        "not byte for byte|cut off",
    ),
    "a zip bomb": (bomb, "not byte for byte|damaged|expected the entries"),
    "an entry above the folder": (with_entry("../../etc/cron.d/x"), "expected the entries"),
    "an entry at the root": (with_entry("/etc/cron.d/x"), "expected the entries"),
    "an entry with a drive": (with_entry("C:\\x"), "expected the entries"),
    "a second model": (with_entry(MODEL_NAME), "holds 'model.tflite' twice"),
    "a second card": (with_entry(CARD_NAME, b"{}"), "holds 'card.json' twice"),
    "a link": (link, "damaged|expected the entries"),
    "the model under another name": (renamed(MODEL_NAME, "other.tflite"), "expected the entries"),
    "the model in a folder": (renamed(MODEL_NAME, "x/model.tflite"), "expected the entries"),
    "the card in capitals": (renamed(CARD_NAME, "CARD.JSON"), "expected the entries"),
    "card and model exchanged": (
        lambda bundle: zipped([(MODEL_NAME, bundle.model), (CARD_NAME, b"{}")]), "expected the entries",
    ),
    "a comment": (commented, "damaged|were added behind"),
    "bytes before it": (lambda bundle: b"#!/bin/sh\n" + pack(bundle), "this is no bundle"),
    "bytes behind it": (lambda bundle: pack(bundle) + b"\0" * 512, "512 bytes were added behind"),
    "a bundle in a bundle": (lambda bundle: zipped([("demo.bundle", pack(bundle))]), "expected the entries"),
}  # fmt: skip


@pytest.mark.parametrize("how", REZIPPED)
@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
def test_what_another_program_made_of_it_is_refused(how: str, bundle: Bundle, key: SigningKey, tmp_path: Path):
    """Whether nobody's word is needed or a key's, and with the reason."""
    make, reason = REZIPPED[how]
    path = tmp_path / "demo.bundle"
    path.write_bytes(make(bundle))

    for trust in (None, Trust(keys=(key.public,)), Trust(keys=(key.public,), allow_unsigned=True)):
        with pytest.raises(BundleError, match=reason):
            read_bundle(path, trust)

    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("picture", "this is no bundle"),
        ("model", "this is no bundle"),
        ("card", "this is no bundle"),
        ("empty", "a file of 1 to"),
        ("folder", "a file of 1 to"),
        ("keras", "expected the entries"),
    ],
)
def test_another_file_under_a_bundle_s_name_is_refused(what: str, reason: str, bundle: Bundle, tmp_path: Path):
    """A picture, a bare model, a card, nothing, a folder, the trainer's own file."""
    path = tmp_path / "demo.bundle"
    contents = {
        "picture": phantom(0).png(),
        "model": bundle.model,
        "card": signed_entries(bundle)[CARD_NAME],
        "empty": b"",
        "keras": zipped([("metadata.json", b"{}"), ("config.json", b"{}"), ("model.weights.h5", b"x")]),
    }
    if what == "folder":
        path.mkdir()
    else:
        path.write_bytes(contents[what])

    with pytest.raises(BundleError, match=reason):
        read_bundle(path)


def test_a_bundle_s_own_name_is_no_matter(bundle: Bundle, key: SigningKey, tmp_path: Path):
    """It is known by its content: under any name it is the same bundle, signed by the same key."""
    path = tmp_path / "a scanned form.pdf"
    path.write_bytes(pack(bundle))

    assert read_bundle(path, Trust(keys=(key.public,))) == unpack(pack(bundle), Trust(keys=(key.public,)))
