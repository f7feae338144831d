"""The parts of the configuration that say how images arrive and are decoded; `config` puts them together."""

from typing import Annotated, Final

import msgspec

MIB: Final = 1024 * 1024
AeTitle = Annotated[str, msgspec.Meta(min_length=1, max_length=16, pattern=r"^[ -\[\]-~]+$")]
"""PS3.5, 6.2: at most 16 characters of ASCII without control characters and backslash."""


class DecodeConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What decoding one picture may take, in a process of its own.

    Attributes:
        timeout_s: A file that takes longer is given up, and tried three times in all.
        max_memory_bytes: Beyond what the process takes by itself; a picture that needs more is refused.
    """

    timeout_s: Annotated[float, msgspec.Meta(gt=0)] = 20.0
    max_memory_bytes: Annotated[int, msgspec.Meta(ge=64 * MIB)] = 1024 * MIB


class DicomConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The receiver of images over DICOM's network protocol; off unless it has a port.

    Attributes:
        port: Of TCP; 104 and 11112 are usual, 0 takes any that is free.
        bind: The address it listens on; only this machine can send until it is set to another.
        ae_title: How the box is called by senders; they may also call it otherwise.
        allowed: Senders' AE titles; empty for any.
    """

    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] | None = None
    bind: str = "127.0.0.1"
    ae_title: AeTitle = "EDGE-XRAY"
    allowed: tuple[AeTitle, ...] = ()


class ArchiveConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long originals are kept. None is deleted before the doctor's inbox has its report.

    Attributes:
        max_bytes: Of all archives of this box together; the oldest make room. 0 keeps everything.
        max_age_days: Deleted when older; 0 keeps them for ever. Heeded only while the box's clock is in step.
    """

    max_bytes: Annotated[int, msgspec.Meta(ge=0)] = 0
    max_age_days: Annotated[float, msgspec.Meta(ge=0)] = 0


class CameraConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The camera over a light box.

    Attributes:
        enabled: Take pictures with it.
        gpio: Number (BCM) of the pin that a push button connects to ground; None for no button.
    """

    enabled: bool = False
    gpio: Annotated[int, msgspec.Meta(ge=0, le=63)] | None = None
