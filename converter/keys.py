"""The keys that sign bundles: made once, kept by whoever answers for the models, never on a box.

A private key is a PEM file (PKCS #8, mode 0600) as other tools read it, if wished under a passphrase. Beside it lies
the public key, one line in a `.pub` file, which every box gets.
"""

import os
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from edge.bundle.bundle import Bundle, signed_entries
from edge.bundle.signature import PublicKey, Signature, message
from edge.errors import ConfigError

KEY_NAME: Final = "bundle.key"
"""Of the private key where only a folder was named."""
PUBLIC_SUFFIX: Final = ".pub"


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key, ready to sign; it shows only its public half."""

    _private: Ed25519PrivateKey

    def __repr__(self) -> str:
        """Name the key without giving it away."""
        return f"SigningKey({self.public.fingerprint})"

    @property
    def public(self) -> PublicKey:
        """What the boxes get."""
        return PublicKey(self._private.public_key().public_bytes_raw())

    def sign(self, bundle: Bundle) -> Bundle:
        """The same bundle with this key's signature, in place of any that it had."""
        signature = self._private.sign(message(signed_entries(bundle))).hex()
        signed = Signature(key=self.public.fingerprint, signature=signature)
        return replace(bundle, signature=signed, signer=self.public.fingerprint)


@dataclass(frozen=True, slots=True)
class KeyFiles:
    """Where a new key lies."""

    private: Path
    public: Path
    key: PublicKey


def make_key(out: Path, *, passphrase: bytes | None = None) -> KeyFiles:
    """Make a key and write both halves.

    Args:
        out: The private key's file, or a folder for it; the public key's is named after it.
        passphrase: Encrypts the private key where given.

    Raises:
        ConfigError: One of the files is there, and keys are never overwritten; or the folder cannot be written.
    """
    private = out / KEY_NAME if out.is_dir() else out
    public = private.with_name(private.name + PUBLIC_SUFFIX)
    key = Ed25519PrivateKey.generate()
    encryption = NoEncryption() if passphrase is None else BestAvailableEncryption(passphrase)
    found = [path for path in (private, public) if path.exists()]
    if found:
        raise ConfigError(f"{found[0]} exists, and a key is never overwritten; name another file with --out")
    _write_new(private, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption), mode=0o600)
    files = KeyFiles(private, public, SigningKey(key).public)
    _write_new(public, f"{files.key}\n".encode(), mode=0o644)
    return files


def read_key(path: Path, *, passphrase: bytes | None = None) -> SigningKey:
    """Read a private key.

    Raises:
        ConfigError: It is not there, not an Ed25519 key, or the passphrase is wrong or missing.
    """
    try:
        key = load_pem_private_key(path.read_bytes(), passphrase)
    except OSError as error:
        raise ConfigError(f"cannot read the key {path}: {error.strerror}; `edge-converter keygen` makes one") from error
    except TypeError as error:  # one of key and passphrase is there without the other
        missing = "is encrypted: give --passphrase-file" if passphrase is None else "has no passphrase: give none"
        raise ConfigError(f"the key {path} {missing}") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        wrong = "or the passphrase is wrong" if passphrase is not None else "name the file without .pub"
        raise ConfigError(f"expected a private Ed25519 key (PEM) in {path}, found something else; {wrong}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(f"expected an Ed25519 key in {path}, got {type(key).__name__}; make one with keygen")
    return SigningKey(key)


def read_passphrase(path: Path | None) -> bytes | None:
    """The first line of a file; None where no file is named.

    Raises:
        ConfigError: The file cannot be read, or its first line is empty.
    """
    if path is None:
        return None
    try:
        line = path.read_bytes().split(b"\n")[0].rstrip(b"\r")
    except OSError as error:
        raise ConfigError(f"cannot read the passphrase file {path}: {error.strerror}") from error
    if not line:
        raise ConfigError(f"expected a passphrase in the first line of {path}, found it empty")
    return line


def with_version(bundle: Bundle) -> Bundle:
    """The bundle with a version in its card, made up from its date where an old converter gave it none."""
    if bundle.card.version:
        return bundle
    card = msgspec.structs.replace(bundle.card, version=version_of(bundle.card.created_at))
    return replace(bundle, card=card, signature=None, signer=None)


def version_of(created_at: datetime) -> int:
    """The version of a bundle that was given none: the UNIX time of its making, in seconds, which always grows."""
    return int(created_at.timestamp())


def _write_new(path: Path, content: bytes, *, mode: int) -> None:
    try:
        # The mode is set at once: a private key that anybody could read for a moment is no longer private.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError as error:
        raise ConfigError(f"{path} exists, and a key is never overwritten; name another file with --out") from error
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}; name another place with --out") from error
