"""Can this machine's clock be trusted? A Raspberry Pi has none of its own and boots in the past."""

import ctypes
import sys
from functools import cache
from typing import Final

_TIMEX_BYTES: Final = 256
"""Larger than `struct timex` on any Linux; all zero means: only read."""
_TIME_ERROR: Final = 5


def clock_synced() -> bool:
    """Whether the kernel's clock is kept in step with a time server, whichever program does it (adjtimex(2))."""
    if sys.platform != "linux":
        return False
    state = _libc().adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    return bool(0 <= state != _TIME_ERROR)


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
