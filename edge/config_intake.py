"""The parts of the configuration that say how images arrive and are decoded; `edge.config` puts them together."""

from typing import Annotated

import msgspec


class DecodeConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What decoding one picture may take, in a process of its own.

    Attributes:
        timeout_s: A file that takes longer is given up, and tried three times in all.
        max_memory_bytes: Beyond what the process takes by itself; a picture that needs more is refused.
    """

    timeout_s: Annotated[float, msgspec.Meta(gt=0)] = 20.0
    max_memory_bytes: Annotated[int, msgspec.Meta(ge=64 * 1024 * 1024)] = 1024 * 1024 * 1024
