"""A bundle is a program: the real commands run one only on the word of a key they were told to trust."""

import json
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from converter.keys import KeyFiles, make_key, read_key
from edge.bundle.bundle import Bundle, read_bundle, write_bundle

CLOSED = ("--broker", "127.0.0.1:1", "--first-contact-s", "0")


@pytest.fixture
def keys(tmp_path: Path) -> KeyFiles:
    """The key of whoever answers for the models."""
    return make_key(tmp_path / "ours.key")


@pytest.fixture
def signed(demo_bundle: Path, keys: KeyFiles, tmp_path: Path) -> Callable[[int], Path]:
    """The demo's bundle, signed, in a version."""

    def make(version: int) -> Path:
        bundle = read_bundle(demo_bundle)
        bundle = Bundle(msgspec.structs.replace(bundle.card, version=version), bundle.model)
        path = tmp_path / f"{version}.bundle"
        write_bundle(read_key(keys.private).sign(bundle), path)
        return path

    return make


@pytest.fixture
def watched(tmp_path: Path) -> Path:
    """A watched folder."""
    folder = tmp_path / "in"
    folder.mkdir()
    return folder


@pytest.fixture
def box(start, watched: Path):
    """Start the agent as a clinic does: without permission to run what nobody signed."""
    return lambda *arguments: start(sys.executable, "-m", "edge.cli", "--watch", watched, *arguments)


def converter(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run `edge-converter`."""
    command = [sys.executable, "-m", "converter.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_keygen_sign_and_trust_make_a_report_that_says_signed(
    box, doctor, mosquitto, demo_bundle: Path, phantoms, watched: Path, tmp_path: Path
):
    """From a new key to a report at the doctor's end whose model is signed, in the commands of the guide."""
    made = json.loads(converter("keygen", "--out", tmp_path, "--json").stdout)
    done = converter(
        "sign", demo_bundle, "--key", made["private_key"], "--out", tmp_path / "signed.bundle", "--json"
    )  # fmt: skip
    inbox = doctor(mosquitto.address)

    one = box("--broker", mosquitto.address, "--model", tmp_path / "signed.bundle", "--trust", made["public_key"])
    phantoms(watched, 1)
    inbox.wait_for(lambda process: len(process.out) == 1)

    assert json.loads(done.stdout)["signed_by"] == made["fingerprint"]
    assert stat.S_IMODE(Path(made["private_key"]).stat().st_mode) == 0o600
    assert Path(made["public_key"]).read_text() == made["trust"] + "\n"
    assert json.loads(inbox.out[0])["model"]["signed"] is True
    one.wait_for_line(f"signed by the trusted key {made['fingerprint']}")
    assert one.end() == 0


def test_without_a_word_on_trust_no_bundle_runs(box, demo_bundle: Path, signed):
    """Exit 78, and the sentence names both ways out, whether the bundle is signed or not."""
    for bundle in (demo_bundle, signed(1)):
        one = box(*CLOSED, "--model", bundle)

        assert one.code() == 78
        assert "--trust KEY" in one.err[-1]
        assert "--allow-unsigned" in one.err[-1]
        assert not any("model " in line for line in one.err[:-1])


def test_a_bundle_of_nobody_trusted_is_refused(box, demo_bundle: Path, signed, keys: KeyFiles, tmp_path: Path):
    """Exit 65 for an unsigned bundle, and for one by another key, whose fingerprint is named beside the trusted one."""
    other = make_key(tmp_path / "other.key")

    unsigned = box(*CLOSED, "--model", demo_bundle, "--trust", keys.public)
    foreign = box(*CLOSED, "--model", signed(1), "--trust", str(other.key))

    assert (unsigned.code(), foreign.code()) == (65, 65)
    assert "it is not signed" in unsigned.err[-1]
    assert f"signed by key {keys.key.fingerprint}, and this box trusts {other.key.fingerprint}" in foreign.err[-1]


def test_an_unsigned_bundle_that_is_allowed_is_told_of(box, demo_bundle: Path):
    """The permission leaves a warning in the log at every start."""
    one = box(*CLOSED, "--model", demo_bundle, "--allow-unsigned")

    one.wait_for_line("WARNING edge.agent no trusted key signed this bundle")
    assert one.end() == 0


def test_an_older_version_is_refused_unless_asked_for(box, signed, keys: KeyFiles):
    """Also after a restart; going back once does not make the box forget what it has seen."""
    trust = ("--trust", keys.public)
    newer = box(*CLOSED, "--model", signed(7), *trust)
    newer.wait_for_line("version 7, signed by")
    newer.end()
    older = signed(6)

    refused = box(*CLOSED, "--model", older, *trust)
    assert refused.code() == 65
    asked = box(*CLOSED, "--model", older, *trust, "--allow-older")
    asked.wait_for_line("version 6, signed by")
    asked.end()
    again = box(*CLOSED, "--model", older, *trust)

    assert again.code() == 65
    assert "is version 6, and this box has run version 7" in refused.err[-1]
    assert "--allow-older" in refused.err[-1]
    assert any("going back from version 7" in line for line in asked.err)


def test_classify_asks_for_trust_too(start, demo_bundle: Path, signed, keys: KeyFiles, phantoms, tmp_path: Path):
    """Refused without a word on trust; signed with the key; not signed, and told, with the permission."""
    (name,) = phantoms(tmp_path, 1)
    command = (sys.executable, "-m", "edge.cli", "classify", tmp_path / name, "--json", "--model")

    refused = start(*command, demo_bundle)
    trusted = start(*command, signed(1), "--trust", keys.public)
    allowed = start(*command, demo_bundle, "--allow-unsigned")

    assert (refused.code(), trusted.code(), allowed.code()) == (78, 0, 0)
    assert [json.loads(process.out[0])["model"]["signed"] for process in (trusted, allowed)] == [True, False]
    assert [any("NOT SIGNED" in line for line in process.err) for process in (trusted, allowed)] == [False, True]


def test_converting_with_a_bad_key_ends_before_the_work_begins(tmp_path: Path):
    """Exit 78 within seconds and no bundle: the key is read first."""
    (tmp_path / "no.key").write_text("this is no key")

    done = converter(
        "convert", tmp_path / "model.keras", "--data", tmp_path, "--out", tmp_path / "x", "--key", tmp_path / "no.key"
    )

    assert done.returncode == 78
    assert "expected a private Ed25519 key" in done.stderr
    assert not (tmp_path / "x").exists()
