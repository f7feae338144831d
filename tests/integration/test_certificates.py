"""`deploy/mosquitto/make-certificates.sh`: what it makes, and what it refuses."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Script = Callable[..., Any]


def test_keys_are_readable_by_their_owner_alone(certificates: Path) -> None:
    """Every private key has mode 0600."""
    modes = {path.name: path.stat().st_mode & 0o777 for path in (certificates / "ours").glob("*.key")}

    assert modes == dict.fromkeys(("ca.key", "server.key", "box-1.key", "box-2.key", "inbox.key", "watch.key"), 0o600)


def test_nothing_is_overwritten(make_certificates: Script, tmp_path: Path) -> None:
    """A second run under a known name, of any kind, changes no file, and makes none of the other names either."""
    folder = tmp_path / "certs"
    for arguments in (("ca", folder), ("server", folder, "localhost"), ("client", folder, "box-1")):
        assert make_certificates(*arguments).returncode == 0
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    again = [
        make_certificates("ca", folder),
        make_certificates("server", folder, "localhost"),
        make_certificates("client", folder, "box-2", "box-1"),
    ]

    assert [done.returncode for done in again] == [1, 1, 1]
    assert all("is not overwritten" in done.stderr for done in again)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("ca",),
        ("ca", "{}", "more"),
        ("client", "{}"),
        ("client", "{}", "box/1"),
        ("client", "{}", "+"),
        ("client", "{}", "server"),
        ("server", "{}", "a b"),
        ("server", "{}", "a,,b"),
        ("elsewhere", "{}", "x"),
    ],
)
def test_a_misuse_is_explained(make_certificates: Script, certificates: Path, arguments: tuple[str, ...]) -> None:
    """Wrong arguments end with exit code 2 and the usage, and leave nothing behind."""
    folder = certificates / "ours"
    before = sorted(folder.iterdir())

    done = make_certificates(*(argument.format(folder) for argument in arguments))

    assert done.returncode == 2
    assert "usage:" in done.stderr
    assert sorted(folder.iterdir()) == before


def test_a_certificate_needs_a_ca(make_certificates: Script, tmp_path: Path) -> None:
    """Without a CA the script says which command comes first."""
    done = make_certificates("client", tmp_path / "empty", "box-1")

    assert done.returncode == 1
    assert f"first: make-certificates.sh ca {tmp_path / 'empty'}" in done.stderr
