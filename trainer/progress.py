"""Progress bars on stderr, for whatever takes longer than two seconds; and a Ctrl-C that stops at the next step."""

import os
import signal
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

from tqdm import tqdm

T = TypeVar("T")

_interrupted: Final = threading.Event()

DELAY_S: Final = 2.0
_ON_A_TERMINAL_S: Final = 0.1
_IN_A_FILE_S: Final = 10.0
"""A bar is drawn anew after this long: in a file each drawing is a line."""
_UNKNOWN_COLUMNS: Final = 80
"""Of a terminal that does not know its width, such as `docker exec -t` without a window: tqdm would draw nothing."""


def progress(steps: Iterable[T], *, total: int, what: str, unit: str) -> Iterator[T]:
    """Pass the steps on and, if they take longer than two seconds, show how far they are and the time left.

    Args:
        steps: What to pass on.
        total: How many there are.
        what: Said before the bar.
        unit: Of one step.
    """
    columns = _columns()
    shown = tqdm(
        steps,
        total=total,
        desc=what,
        unit=unit,
        delay=DELAY_S,
        file=sys.stderr,
        mininterval=_IN_A_FILE_S if columns is None else _ON_A_TERMINAL_S,
        ncols=None if columns else _UNKNOWN_COLUMNS,
        dynamic_ncols=bool(columns),
    )
    for step in shown:
        if _interrupted.is_set():
            raise KeyboardInterrupt
        yield step


@contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C stop the block for certain.

    Python raises it wherever the main thread happens to be; in a destructor or a library's callback it is noted on
    stderr and forgotten. So it is remembered, too, and the next step of any progress raises it again.
    """
    _interrupted.clear()
    before = signal.signal(signal.SIGINT, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        _interrupted.clear()


def _interrupt(*_: object) -> None:
    _interrupted.set()
    raise KeyboardInterrupt


def _columns() -> int | None:
    """Width of the terminal that stderr is; 0 where it does not know, None where stderr is none."""
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns
    except (OSError, ValueError):  # a file, a pipe; a stream without a descriptor, such as a test's
        return None
