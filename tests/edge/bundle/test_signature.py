"""A signed bundle is what its signer made, bit for bit, or no interpreter ever sees it."""

import os
import random
import re
import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest

from converter.keys import SigningKey, make_key, read_key
from edge.assess import Assessor
from edge.bundle.bundle import (
    CARD_NAME,
    MODEL_NAME,
    SIGNATURE_NAME,
    Bundle,
    Card,
    pack,
    read_bundle,
    signed_entries,
    unpack,
    write_bundle,
)
from edge.bundle.canonical_zip import pack_entries
from edge.bundle.signature import PublicKey, Signature, Trust, message
from edge.classify import RUNTIMES
from edge.errors import BundleError, ConfigError

ADR = Path(__file__).resolve().parents[3] / "docs" / "adr" / "0006-signed-bundles.md"
MODEL = random.Random(0).randbytes(3000)
FLIPS_AND_CUTS = 10_000


def a_card(**changes: object) -> Card:
    """A card for MODEL."""
    facts = {
        "name": "toy",
        "created_at": datetime(2026, 1, 2, tzinfo=UTC),
        "model_sha256": sha256(MODEL).hexdigest(),
        "labels": ("covid", "normal"),
        "positive": "covid",
        "backbone": "MobileNet",
        "head": "gap",
        "features": (7, 7, 1024),
        "recipe": {},
        "metrics": {},
        "validated_on": "nothing",
        "not_validated_on": "anything",
        "version": 1,
    }
    return Card(**facts | changes)


def a_bundle(**changes: object) -> Bundle:
    """An unsigned bundle of a synthetic model."""
    return Bundle(a_card(**changes), MODEL)


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> SigningKey:
    """A private key."""
    return read_key(make_key(tmp_path_factory.mktemp("keys")).private)


@pytest.fixture(scope="module")
def trust(key: SigningKey) -> Trust:
    """A box that trusts that key and nobody else."""
    return Trust(keys=(key.public,))


@pytest.fixture(scope="module")
def content(key: SigningKey) -> bytes:
    """A signed bundle's bytes."""
    return pack(key.sign(a_bundle()))


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The models that reached the constructor of an interpreter, in either runtime."""
    reached: list[bytes] = []

    class Interpreter:
        def __init__(self, *, model_content: bytes, **_: object) -> None:
            reached.append(model_content)
            raise RuntimeError("the interpreter was reached")

    for module in RUNTIMES.values():
        monkeypatch.setattr(f"{module}.Interpreter", Interpreter)
    return reached


def start_with(content: bytes, trust: Trust) -> None:
    """What the agent does with a bundle's bytes, up to the interpreter."""
    Assessor(unpack(content, trust))


def test_a_signed_bundle_names_its_signer_and_reaches_the_interpreter(
    content: bytes, key: SigningKey, trust: Trust, loaded: list[bytes]
):
    """The way that the refusals below are measured against."""
    with pytest.raises(BundleError, match="the interpreter was reached"):
        start_with(content, trust)

    assert loaded == [MODEL]
    assert unpack(content, trust).signer == key.public.fingerprint
    assert unpack(content).signer is None


def test_every_flipped_bit_of_the_card_is_refused(content: bytes, trust: Trust, loaded: list[bytes]):
    """In the file as it lies there, and by a forger who writes a sound zip around the changed card."""
    entries = signed_entries(a_bundle())
    signature = unpack(content).signature.to_json()
    start = content.index(entries[CARD_NAME])

    for bit in range(len(entries[CARD_NAME]) * 8):
        damaged = bytearray(content)
        damaged[start + bit // 8] ^= 1 << bit % 8
        card = bytes(damaged[start : start + len(entries[CARD_NAME])])
        forged = pack_entries({CARD_NAME: card, MODEL_NAME: MODEL, SIGNATURE_NAME: signature})

        with pytest.raises(BundleError, match="damaged"):
            start_with(bytes(damaged), trust)
        with pytest.raises(BundleError, match="does not fit"):
            start_with(forged, trust)

    assert loaded == []


def test_flips_and_cuts_anywhere_are_refused(content: bytes, trust: Trust, loaded: list[bytes]):
    """10,000 sampled single-bit flips, truncations and paddings of the whole file; unsigned ones allowed or not."""
    luck = random.Random(1)
    lenient = Trust(keys=trust.keys, allow_unsigned=True)

    for number in range(FLIPS_AND_CUTS):
        if number % 4:
            damaged = bytearray(content)
            damaged[luck.randrange(len(content))] ^= 1 << luck.randrange(8)
        else:
            damaged = content[: luck.randrange(len(content))] or b"PK"
        with pytest.raises(BundleError):
            start_with(bytes(damaged), lenient if number % 2 else trust)
    for added in (b"\0", b"PK\x05\x06" + bytes(18), content):
        with pytest.raises(BundleError, match="added behind"):
            start_with(content + added, lenient)

    assert loaded == []


def test_flips_and_cuts_of_the_model_are_refused(content: bytes, trust: Trust, loaded: list[bytes]):
    """10,000 sampled single-bit flips and truncations of the model, each in the file and in a sound zip around it."""
    luck = random.Random(4)
    entries, start = signed_entries(a_bundle()), content.index(MODEL)
    signature = unpack(content).signature.to_json()

    for number in range(FLIPS_AND_CUTS):
        model = bytearray(MODEL)
        if number % 2:
            model[luck.randrange(len(MODEL))] ^= 1 << luck.randrange(8)
        else:
            del model[luck.randrange(len(MODEL)) :]
        in_place = content[:start] + bytes(model) + content[start + len(MODEL) :]
        forged = pack_entries({**entries, MODEL_NAME: bytes(model), SIGNATURE_NAME: signature})

        with pytest.raises(BundleError, match=r"damaged|cut off|expected the entries|no bundle"):
            start_with(in_place, trust)
        with pytest.raises(BundleError, match="does not fit"):
            start_with(forged, trust)

    assert loaded == []


def test_a_changed_model_in_a_sound_zip_is_refused(content: bytes, trust: Trust, loaded: list[bytes]):
    """A forger changes the model, the hash in the card and the zip around them, but has no key."""
    luck = random.Random(2)
    signature = unpack(content).signature

    for _ in range(500):
        model = bytearray(MODEL)
        model[luck.randrange(len(MODEL))] ^= 1 << luck.randrange(8)
        card = a_card(model_sha256=sha256(model).hexdigest())

        with pytest.raises(BundleError, match="does not fit"):
            start_with(pack(Bundle(card, bytes(model), signature)), trust)

    assert loaded == []


@pytest.mark.parametrize("changes", [{"golden": None}, {"guard": None}, {"golden": b"{}"}, {"guard": b"{} "}])
def test_golden_vectors_and_the_guard_s_parameters_are_signed(
    changes: dict[str, bytes | None], key: SigningKey, trust: Trust, loaded: list[bytes]
):
    """Neither can be exchanged, nor left out, which would switch its check off."""
    signed = key.sign(replace(a_bundle(), golden=b"{} ", guard=b"[1]"))

    with pytest.raises(BundleError, match="does not fit"):
        start_with(pack(replace(signed, **changes)), trust)

    assert unpack(pack(signed), trust) == signed
    assert loaded == []


def test_every_flipped_bit_of_the_signature_is_refused(content: bytes, trust: Trust, loaded: list[bytes]):
    """In a sound zip: it does not fit, is another key's, or is no signature at all."""
    signature = unpack(content).signature.to_json()

    for bit in range(len(signature) * 8):
        damaged = bytearray(signature)
        damaged[bit // 8] ^= 1 << bit % 8

        with pytest.raises(BundleError, match=r"does not fit|signed by key|not one this version reads|is damaged"):
            start_with(pack_entries(signed_entries(a_bundle()) | {SIGNATURE_NAME: bytes(damaged)}), trust)

    assert loaded == []


def test_flips_of_the_demo_s_bundle_are_refused(demo_bundle: Path, key: SigningKey, trust: Trust, loaded: list[bytes]):
    """A model of real size: 200 flips over the committed bundle, unsigned and allowed, and over a signed copy."""
    luck = random.Random(3)
    unsigned = demo_bundle.read_bytes()
    allowing = Trust(allow_unsigned=True)

    for content, asked in ((unsigned, allowing), (pack(key.sign(unpack(unsigned))), trust)):
        for _ in range(100):
            damaged = bytearray(content)
            damaged[luck.randrange(len(content))] ^= 1 << luck.randrange(8)
            with pytest.raises(BundleError):
                start_with(bytes(damaged), asked)

    assert loaded == []


def test_a_signature_of_a_trusted_key_must_fit_also_where_unsigned_is_allowed(key: SigningKey, trust: Trust):
    """The permission is for bundles that nobody signed, not for forged ones."""
    signature = key.sign(a_bundle()).signature
    forged = pack(Bundle(a_card(threshold=0.9, band=(0.9, 0.9)), MODEL, signature))

    with pytest.raises(BundleError, match="does not fit"):
        unpack(forged, Trust(keys=trust.keys, allow_unsigned=True))


def test_who_is_refused_learns_why(content: bytes, key: SigningKey, trust: Trust, tmp_path: Path):
    """No signature, another key's, or no key to trust: each has its sentence."""
    unsigned = pack(a_bundle())
    other = make_key(tmp_path / "other.key").key
    (tmp_path / "toy.bundle").write_bytes(content)

    with pytest.raises(BundleError, match=f"it is not signed, and this box trusts {key.public.fingerprint} only"):
        unpack(unsigned, trust)
    with pytest.raises(
        BundleError, match=f"signed by key {key.public.fingerprint}, and this box trusts {other.fingerprint} only"
    ):
        unpack(content, Trust(keys=(other,)))
    with pytest.raises(
        ConfigError, match=r"toy\.bundle: it is signed by key .*told of no key.*--trust.*--allow-unsigned"
    ):
        read_bundle(tmp_path / "toy.bundle", Trust())


def test_an_untrusted_bundle_that_is_allowed_has_no_signer(content: bytes):
    """Neither without a signature nor with one of a stranger."""
    allowing = Trust(allow_unsigned=True)

    assert unpack(pack(a_bundle()), allowing).signer is None
    assert unpack(content, allowing).signer is None


@pytest.mark.skipif(shutil.which("unzip") is None, reason="needs unzip; on Debian: sudo apt-get install unzip")
def test_standard_tools_can_check_a_signature(tmp_path: Path):
    """The commands of docs/adr/0006 say yes to a signed bundle and no to one whose signature was made for another."""
    [commands] = re.findall(r"^```sh\n(.*?)^```$", ADR.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    made = make_key(tmp_path)
    good = read_key(made.private).sign(replace(a_bundle(), golden=b"{}"))
    bad = replace(good, card=a_card(threshold=0.9, band=(0.9, 0.9)))

    said = {}
    for name, bundle in (("good", good), ("bad", bad)):
        write_bundle(bundle, tmp_path / f"{name}.bundle")
        (tmp_path / name).mkdir()
        said[name] = subprocess.run(
            ["bash", "-c", commands],
            cwd=tmp_path / name,
            env={**os.environ, "BUNDLE": str(tmp_path / f"{name}.bundle"), "KEY": str(made.public)},
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )

    assert (said["good"].returncode, said["bad"].returncode) == (0, 1), said
    assert said["good"].stdout == "Signature Verified Successfully\n"


def test_what_is_signed_is_written_down():
    """The message's bytes are a contract: every bundle out there was signed over them."""
    assert message({CARD_NAME: b"{}", MODEL_NAME: b"m"}) == (
        b"edge-xray bundle 1\n"
        b"44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a  card.json\n"
        b"62c66a7a5dd70c3146618063c344e531e6d4b59e379808443ce962b3abd63c5a  model.tflite\n"
    )


def test_a_key_is_never_overwritten_and_shows_no_private_part(tmp_path: Path):
    """A second keygen on the same name, also on the public half's, leaves what is there."""
    made = make_key(tmp_path)
    before = made.private.read_bytes()

    with pytest.raises(ConfigError, match="never overwritten"):
        make_key(tmp_path)
    (tmp_path / "x.pub").write_text("precious")
    with pytest.raises(ConfigError, match=r"x\.pub exists"):
        make_key(tmp_path / "x")

    assert (made.private.name, made.public.name) == ("bundle.key", "bundle.key.pub")
    assert made.private.read_bytes() == before
    assert not (tmp_path / "x").exists()
    assert repr(read_key(made.private)) == f"SigningKey({made.key.fingerprint})"


def test_a_passphrase_is_asked_for(tmp_path: Path):
    """The key opens with its passphrase, and without it or with another the error says which it is."""
    made = make_key(tmp_path, passphrase=b"open")

    assert read_key(made.private, passphrase=b"open").public == made.key
    with pytest.raises(ConfigError, match="is encrypted: give --passphrase-file"):
        read_key(made.private)
    with pytest.raises(ConfigError, match="passphrase is wrong"):
        read_key(made.private, passphrase=b"shut")


def test_a_public_key_is_a_line_or_its_file(tmp_path: Path):
    """`--trust` takes either."""
    made = make_key(tmp_path)

    assert PublicKey.find(str(made.key)) == PublicKey.find(str(made.public)) == made.key
    assert str(made.key) == "ed25519-" + made.key.raw.hex()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("ed25519-12", "and 64 hex digits, got 'ed25519-12'"),
        ("ed25519-" + "G" * 64, "hex digits"),
        ("nowhere.pub", r"cannot read the trusted key nowhere\.pub"),
        ("{private}", "is a private key and must not lie on a box"),
        ("{text}", "expected a public key"),
    ],
)
def test_what_is_no_public_key_is_refused(text: str, complaint: str, tmp_path: Path):
    """Exit 78; the error says what a key looks like and where it comes from."""
    (tmp_path / "text").write_text("a text\n")
    source = text.format(private=make_key(tmp_path).private, text=tmp_path / "text")

    with pytest.raises(ConfigError, match=complaint) as caught:
        Trust.of([source], allow_unsigned=False)

    assert caught.value.exit_code == 78


@pytest.mark.parametrize("field", ["key", "signature"])
def test_a_signature_has_one_spelling(field: str, key: SigningKey):
    """Capitals, spaces and further fields are refused: one bundle has one byte sequence."""
    good = key.sign(a_bundle()).signature.to_json()
    value = getattr(Signature.from_json(good), field).encode()

    for bad in (good.replace(value, value.upper()), good + b"\n", good.replace(b"{", b'{"more": 1,', 1)):
        with pytest.raises(BundleError, match="signature"):
            Signature.from_json(bad)
