"""Progress bars on stderr, for whatever takes longer than two seconds."""

import sys
from collections.abc import Iterable, Iterator
from typing import Final, TypeVar

from tqdm import tqdm

T = TypeVar("T")

DELAY_S: Final = 2.0


def progress(steps: Iterable[T], *, total: int, what: str, unit: str) -> Iterator[T]:
    """Pass the steps on and, if they take longer than two seconds, show how far they are and the time left.

    Args:
        steps: What to pass on.
        total: How many there are.
        what: Said before the bar.
        unit: Of one step.
    """
    yield from tqdm(steps, total=total, desc=what, unit=unit, delay=DELAY_S, file=sys.stderr, dynamic_ncols=True)
