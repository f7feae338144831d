"""Who made this bundle: Ed25519 keys, a bundle's signature, and whom this box trusts.

It stands between a bundle's bytes and its card: a box asks `Trust` about the bytes before it believes the card and
before one byte of the model reaches an interpreter.

What is signed is text, in the format of `sha256sum`, so that standard tools can check a signature without this program:

    edge-xray bundle 1
    <SHA-256 of card.json>  card.json
    <SHA-256 of model.tflite>  model.tflite

and so on for each further entry that the bundle holds, in its order.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Annotated, ClassVar, Final, Literal, Self

import msgspec

from edge.errors import BundleError, ConfigError

DOMAIN: Final = "edge-xray bundle 1"
"""First line of what is signed: no signature made for another purpose fits a bundle."""
_KEY_BYTES: Final = 32
_FINGERPRINT_DIGITS: Final = 32
_MAX_KEY_FILE_BYTES: Final = 4096


class Signature(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The bundle's entry `signature.json`.

    Attributes:
        key: Fingerprint of the key that signed; it says where to look, and proves nothing.
        signature: 64 bytes as hex digits.
        algorithm: Of the signature, as RFC 8032 names it.
    """

    key: Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{32}\Z")]
    signature: Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{128}\Z")]
    algorithm: Literal["ed25519"] = "ed25519"

    @classmethod
    def from_json(cls, content: bytes) -> Self:
        """Read the entry.

        Raises:
            BundleError: It is not byte for byte what `to_json` writes.
        """
        try:
            signature = msgspec.json.decode(content, type=cls)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BundleError(f"its signature is not one this version reads: {error}") from error
        if signature.to_json() != content:
            raise BundleError("its signature is damaged: not byte for byte what was written; copy it again")
        return signature

    def to_json(self) -> bytes:
        """The entry's one byte sequence."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2)


@dataclass(frozen=True, slots=True)
class PublicKey:
    """Whose signatures may be trusted.

    Attributes:
        raw: The 32 bytes of RFC 8032.
    """

    raw: bytes

    PREFIX: ClassVar[str] = "ed25519-"

    def __post_init__(self) -> None:
        """Refuse what cannot be a key."""
        if len(self.raw) != _KEY_BYTES:
            raise ValueError(f"an Ed25519 public key has {_KEY_BYTES} bytes, got {len(self.raw)}")

    def __str__(self) -> str:
        """The one line that is handed on: `ed25519-` and 64 hex digits."""
        return self.PREFIX + self.raw.hex()

    @property
    def fingerprint(self) -> str:
        """First half of the key's SHA-256, 32 hex digits: for people to compare, and to say which key is meant."""
        return sha256(self.raw).hexdigest()[:_FINGERPRINT_DIGITS]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the one line.

        Raises:
            ConfigError: It is not one.
        """
        found = re.fullmatch(rf"{cls.PREFIX}([0-9a-f]{{{2 * _KEY_BYTES}}})", text.strip())
        if found is None:
            raise ConfigError(
                f"expected a public key, {cls.PREFIX} and {2 * _KEY_BYTES} hex digits, got {text.strip()[:80]!r}; "
                "copy it again from the .pub file that `edge-converter keygen` wrote"
            )
        return cls(bytes.fromhex(found[1]))

    @classmethod
    def find(cls, source: str) -> Self:
        """A key from its one line, or from the file that holds it.

        Raises:
            ConfigError: Neither; or the file holds something else, such as the private key.
        """
        if source.startswith(cls.PREFIX):
            return cls.parse(source)
        try:
            with Path(source).open("rb") as file:
                text = file.read(_MAX_KEY_FILE_BYTES).decode("ascii", "replace")
        except OSError as error:
            raise ConfigError(f"cannot read the trusted key {source}: {error.strerror}; mind name and mode") from error
        if "PRIVATE KEY" in text:
            raise ConfigError(f"{source} is a private key and must not lie on a box; give the .pub file beside it")
        try:
            return cls.parse(text)
        except ConfigError as error:
            raise ConfigError(f"{source}: {error}") from error

    def fits(self, signature: bytes, message: bytes) -> bool:
        """Whether this key's holder signed these bytes."""
        # Only here, because an unsigned bundle needs none of it and the first image should not wait.
        from cryptography.exceptions import InvalidSignature  # noqa: PLC0415
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415

        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, message)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """Whose bundles a box runs.

    Attributes:
        keys: Bundles signed by any of these.
        allow_unsigned: And all others that are undamaged; every report then says that the model is not signed.
    """

    keys: tuple[PublicKey, ...] = ()
    allow_unsigned: bool = False

    @classmethod
    def of(cls, sources: Sequence[str], *, allow_unsigned: bool) -> Self:
        """From the configuration: keys as lines or as files.

        Raises:
            ConfigError: One of them is no public key.
        """
        return cls(keys=tuple(map(PublicKey.find, sources)), allow_unsigned=allow_unsigned)

    def signer(self, signed: Mapping[str, bytes], signature: Signature | None) -> PublicKey | None:
        """The trusted key that signed these entries; None where nobody trusted did and unsigned ones are allowed.

        Raises:
            ConfigError: No key is trusted and unsigned bundles are not allowed.
            BundleError: No signature, another key's, or one that does not fit.
        """
        trusted = {key.fingerprint: key for key in self.keys}
        key = None if signature is None else trusted.get(signature.key)
        if signature is None or key is None:
            if not self.allow_unsigned:
                raise self._refusal(signature)
            return None
        if not key.fits(bytes.fromhex(signature.signature), message(signed)):
            raise BundleError(
                f"the signature of key {key.fingerprint} does not fit: somebody has changed card, model or signature; "
                "do not run it, get it anew from whoever made it"
            )
        return key

    def _refusal(self, signature: Signature | None) -> ConfigError | BundleError:
        what = "it is not signed" if signature is None else f"it is signed by key {signature.key}"
        if not self.keys:
            return ConfigError(
                f"{what}, and this box was told of no key to trust; give --trust KEY with the .pub file of whoever "
                "made the bundle, or --allow-unsigned to run it all the same: every report will then say so"
            )
        ours = f"this box trusts {', '.join(key.fingerprint for key in self.keys)}"
        if signature is None:
            return BundleError(
                f"{what}, and {ours} only; sign it with `edge-converter sign`, or give --allow-unsigned: "
                "every report will then say so"
            )
        return BundleError(
            f"{what}, and {ours} only; get the bundle from whom you trust, or give that key's .pub file with --trust"
        )


def message(signed: Mapping[str, bytes]) -> bytes:
    """What is signed: the domain, then hash and name of each entry in order."""
    lines = (f"{sha256(content).hexdigest()}  {name}" for name, content in signed.items())
    return "".join(f"{line}\n" for line in (DOMAIN, *lines)).encode()
