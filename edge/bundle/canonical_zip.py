"""Entries <-> the one byte sequence that a bundle has for them: a plain zip, stored, fixed in order and times.

Standard tools read what is written here. The reader trusts none of it: it takes the entries where the writer would
have put them, writes them again and compares. So paths, doubled names, compressed bombs, padding and damage need no
rule of their own, and nothing is unfolded or written to a disk on the way.
"""

import io
import struct
import zipfile
from collections.abc import Mapping, Sequence
from typing import Final

from edge.errors import BundleError

_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
_LOCAL_HEADER: Final = struct.Struct("<4s14xL4xHH")
"""Of APPNOTE.TXT 4.3.7: signature, compressed size, length of the name, length of the extra field."""
_SIGNATURE: Final = b"PK\x03\x04"
_UNIX: Final = 3


def pack_entries(entries: Mapping[str, bytes]) -> bytes:
    """The one byte sequence of these entries in this order."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in entries.items():
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.create_system = _UNIX  # wherever it is written
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)
    return buffer.getvalue()


def unpack_entries(content: bytes, *, required: Sequence[str], optional: Sequence[str]) -> dict[str, bytes]:
    """Take apart what `pack_entries` wrote.

    Args:
        content: The file's bytes.
        required: Names that must be there, in their order.
        optional: Names that may follow, in their order.

    Raises:
        BundleError: Other entries, or not byte for byte what `pack_entries` writes; the message says what is wrong.
    """
    entries = _entries(content, at_most=len(required) + len(optional))
    if list(entries) != [*required, *(name for name in optional if name in entries)]:
        raise BundleError(
            f"expected the entries {', '.join(required)} and, if at all, {', '.join(optional)}, in this order, "
            f"got {list(entries)}; copy it again"
        )
    written = pack_entries(entries)
    if written != content:
        raise BundleError(f"{_difference(written, content)}: not byte for byte what was written; copy it again")
    return entries


def _entries(content: bytes, *, at_most: int) -> dict[str, bytes]:
    """What stands where the writer puts names and contents; whether the writer put it there, the comparison tells."""
    entries: dict[str, bytes] = {}
    position = 0
    for _ in range(at_most + 1):
        if content[position : position + len(_SIGNATURE)] != _SIGNATURE:
            break
        if len(content) < position + _LOCAL_HEADER.size:
            raise BundleError("the bundle is cut off in the middle of a header; copy it again")
        _, size_bytes, name_length, extra_length = _LOCAL_HEADER.unpack_from(content, position)
        start = position + _LOCAL_HEADER.size + name_length
        position = start + extra_length + size_bytes
        name = content[start - name_length : start].decode("ascii", "backslashreplace")
        if name in entries:
            raise BundleError(f"the bundle holds {name!r} twice; get it anew from whoever made it")
        entries[name] = content[start : start + size_bytes]
        if position > len(content):
            raise BundleError(f"the bundle is cut off, or damaged: {name!r} does not end within it; copy it again")
    if not entries:
        raise BundleError("this is no bundle: it does not begin as a zip does; name the file edge-converter wrote")
    return entries


def _difference(written: bytes, content: bytes) -> str:
    if written.startswith(content):
        return f"the bundle is cut off, {len(written) - len(content)} bytes are missing at its end"
    if content.startswith(written):
        return f"{len(content) - len(written)} bytes were added behind the bundle's end"
    return "the bundle is damaged"
