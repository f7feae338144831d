"""`disk.c`, compiled when it is needed and loaded before the C library: every call to the disk passes there."""

import ctypes
import os
import subprocess
from pathlib import Path

import msgspec


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """What happens at one of a process's calls that write to the disk.

    Attributes:
        root: Calls below this folder count.
        ledger: The call is written down here.
        at: Its number, from 1; 0 writes down every call and does nothing.
        error: An `errno` that the call fails with; 0 for a SIGKILL.
        after: Whether the call has done its work by then.
        for_s: All later calls fail, too, for so long.
    """

    root: str
    ledger: str
    at: int = 0
    error: int = 0
    after: bool = False
    for_s: float = 0.0


def build(folder: Path) -> Path:
    """Compile the library into a folder."""
    library = folder / "disk.so"
    source = Path(__file__).with_name("disk.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
    return library


def arm(call: Call) -> None:
    """Let it happen in this process, in which the library was loaded first."""
    ledger = os.open(call.ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    disk_arm = ctypes.CDLL(None).disk_arm
    disk_arm.argtypes = [ctypes.c_char_p, ctypes.c_long, ctypes.c_int, ctypes.c_int, ctypes.c_double, ctypes.c_int]
    disk_arm(os.fsencode(call.root), call.at, call.error, int(call.after), call.for_s, ledger)
