"""Progress bars on stderr, for whatever takes longer than two seconds."""

import os
import sys
from collections.abc import Iterable, Iterator
from typing import Final, TypeVar

from tqdm import tqdm

T = TypeVar("T")

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
    yield from tqdm(
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


def _columns() -> int | None:
    """Width of the terminal that stderr is; 0 where it does not know, None where stderr is none."""
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns
    except (OSError, ValueError):  # a file, a pipe; a stream without a descriptor, such as a test's
        return None
