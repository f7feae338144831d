"""A bundle is byte for byte what was written, or it is refused."""

import io
import resource
import zipfile
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.bundle.bundle import Bundle, Card, pack, read_bundle, unpack, write_bundle, write_new
from edge.bundle.canonical_zip import pack_entries
from edge.errors import BundleError, ConfigError

MODEL = bytes(range(256)) * 8


def a_card(**changes: object) -> Card:
    """A card for MODEL."""
    card = Card(
        name="toy",
        created_at=datetime(2026, 1, 2, tzinfo=UTC),
        model_sha256=sha256(MODEL).hexdigest(),
        labels=("covid", "normal"),
        positive="covid",
        backbone="MobileNet",
        head="gap",
        features=(7, 7, 1024),
        recipe={"epochs": 50},
        metrics={"accuracy": 0.5},
        validated_on="nothing",
        not_validated_on="anything",
    )
    return msgspec.structs.replace(card, **changes)


CONTENT = pack(Bundle(a_card(), MODEL))


def test_what_is_written_is_read(tmp_path: Path):
    """Card and model come back as they were."""
    bundle = Bundle(a_card(), MODEL)

    write_bundle(bundle, tmp_path / "toy.bundle")

    assert read_bundle(tmp_path / "toy.bundle") == bundle
    assert list(tmp_path.iterdir()) == [tmp_path / "toy.bundle"]


@pytest.mark.parametrize("golden", [None, b"{}"])
@pytest.mark.parametrize("guard", [None, b"", b"[1]"])
def test_golden_vectors_and_the_guard_s_parameters_come_back_where_they_are(golden: bytes | None, guard: bytes | None):
    """Either may be missing, as in older bundles, and a missing one is not an empty one."""
    bundle = Bundle(a_card(), MODEL, golden=golden, guard=guard)

    read = unpack(pack(bundle))

    assert read == bundle
    assert (read.golden, read.guard) == (golden, guard)


def test_standard_tools_read_the_card():
    """The bundle is a zip whose card is plain JSON."""
    with zipfile.ZipFile(io.BytesIO(CONTENT)) as archive:
        card = msgspec.json.decode(archive.read("card.json"))

    assert card["labels"] == ["covid", "normal"]
    assert card["not_validated_on"] == "anything"


def test_every_flipped_byte_is_refused():
    """Whichever byte is damaged, card, model or the zip around them, the bundle is refused with a BundleError."""
    for position in range(len(CONTENT)):
        damaged = bytearray(CONTENT)
        damaged[position] ^= 0x55

        with pytest.raises(BundleError):
            unpack(bytes(damaged))


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(CONTENT) * 8 - 1))
def test_every_flipped_bit_is_refused(bit: int):
    """One bit is enough."""
    damaged = bytearray(CONTENT)
    damaged[bit // 8] ^= 1 << (bit % 8)

    with pytest.raises(BundleError):
        unpack(bytes(damaged))


@settings(max_examples=200, deadline=None)
@given(st.integers(0, len(CONTENT) - 1), st.binary(min_size=1, max_size=64))
def test_cut_off_and_padded_bundles_are_refused(length: int, padding: bytes):
    """A bundle copied in part, or with something behind or before it, is refused."""
    for content in (CONTENT[:length], CONTENT + padding, padding + CONTENT):
        with pytest.raises(BundleError):
            unpack(content)


@pytest.mark.parametrize(
    "names",
    [
        ["model.tflite", "card.json"],
        ["card.json"],
        ["card.json", "../model.tflite"],
        ["card.json", "model.tflite", "model.tflite"],
        ["card.json", "model.tflite", "more"],
        ["card.json", "model.tflite", "signature.json", "more"],
        ["card.json", "signature.json", "model.tflite"],
        ["card.json", "model.tflite", "guard.json", "golden.json"],
        ["card.json", "model.tflite", "signature.json", "golden.json"],
        ["card.json", "golden.json", "guard.json"],
        ["/etc/passwd", "model.tflite"],
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
def test_other_zips_are_refused(names: list[str]):
    """Entries missing, doubled, in another order or with a path are refused."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, b"{}")

    with pytest.raises(BundleError, match=r"copy it again|holds 'model.tflite' twice"):
        unpack(buffer.getvalue())


def test_a_zip_bomb_is_refused_before_it_unfolds():
    """A compressed entry is not what the converter writes, and nothing unfolds it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("card.json", b"{}")
        archive.writestr("model.tflite", bytes(50_000_000))

    with pytest.raises(BundleError, match="not byte for byte"):
        unpack(buffer.getvalue())


def test_ten_thousand_entries_are_refused_at_the_sixth():
    """What a zip says of itself costs no time and no memory: nothing reads its directory."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number in range(10_000):
            archive.writestr(f"{number}", b"")

    with pytest.raises(BundleError, match=r"got \['0', '1', '2', '3', '4', '5'\]"):
        unpack(buffer.getvalue())


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "this is no bundle"),
        (CONTENT[:10], "cut off in the middle of a header"),
        (CONTENT[:500], "cut off, or damaged: 'card.json'"),
        (CONTENT[: len(CONTENT) // 2], "cut off, or damaged: 'model.tflite'"),
        (CONTENT[:-5], "cut off, 5 bytes are missing"),
        (CONTENT + b"12", "2 bytes were added behind"),
        (b"12" + CONTENT, "this is no bundle"),
    ],
)
def test_the_reason_of_a_refusal_is_told(content: bytes, complaint: str):
    """A renamed picture, a copy that stopped halfway and one with something behind it have different remedies."""
    with pytest.raises(BundleError, match=complaint):
        unpack(content)


@pytest.mark.parametrize("card", [b"", b"{}", b'{"\xeb": 1}', b'{"recipe": ' + b"[" * 100_000])
def test_what_is_no_card_is_refused(card: bytes):
    """No bytes in the card's place bring down the reader, be they broken text or nested without end."""
    with pytest.raises(BundleError, match="is not a card this version reads"):
        unpack(pack_entries({"card.json": card, "model.tflite": MODEL}))


def test_a_card_of_an_old_converter_is_read():
    """A card without the fields that came later means what it meant."""
    card = msgspec.to_builtins(a_card())
    del card["version"]

    bundle = unpack(pack_entries({"card.json": msgspec.json.encode(card), "model.tflite": MODEL}))

    assert bundle.card == a_card()
    assert bundle.card.version == 0


def test_a_model_of_another_card_is_refused():
    """The card's hash ties it to its model."""
    with pytest.raises(BundleError, match="the card speaks of model"):
        Bundle(a_card(), b"another")


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"labels": ["covid"]}, "two or more"),
        ({"positive": "flu"}, "positive must be one of"),
        ({"threshold": 1.0}, "between 0 and 1"),
        ({"reference": {"contrast": [1.0, 2.0]}}, "11 rising values"),
        ({"temperature": 0.0}, "temperature must be above 0"),
        ({"band": [0.6, 0.7]}, "around the threshold"),
        ({"band": [0.4, 1.1]}, "around the threshold"),
        ({"schema": "xray.card/2"}, "this version cannot read it"),
        ({"created_at": "yesterday"}, "created_at"),
        ({"version": -1}, "version"),
    ],
)
def test_a_card_that_contradicts_itself_is_refused(changes: dict[str, object], complaint: str):
    """The reader says which field is wrong."""
    card = {**msgspec.to_builtins(a_card()), **changes}
    content = pack_entries({"card.json": msgspec.json.encode(card), "model.tflite": MODEL})

    with pytest.raises(BundleError, match=complaint):
        unpack(content)


def test_a_missing_bundle_names_the_place_and_the_remedy(tmp_path: Path):
    """The error names the path and the command that makes a bundle."""
    with pytest.raises(ConfigError, match=r"nowhere\.bundle.*edge-converter convert") as caught:
        read_bundle(tmp_path / "nowhere.bundle")

    assert caught.value.exit_code == 78


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path):
    """Neither the final name nor a piece under another; the message says what to do."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))  # the kernel refuses to write on, as on a full disk
    try:
        with pytest.raises(BundleError, match=r"cannot write .*x\.bundle: File too large; free some space"):
            write_new(bytes(5000), tmp_path / "x.bundle")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_is_never_overwritten(tmp_path: Path):
    """Writing refuses a name that is taken, and leaves what is there."""
    path = tmp_path / "toy.bundle"
    path.write_text("precious")

    with pytest.raises(BundleError, match="never overwritten"):
        write_bundle(Bundle(a_card(), MODEL), path)

    assert path.read_text() == "precious"
    assert list(tmp_path.iterdir()) == [path]
