"""How sure a share is. For the trainer's figures and for those that a doctor's answers give."""

from math import sqrt
from typing import Final

Interval = tuple[float, float]

_Z95: Final = 1.959963984540054


def wilson(hits: float, n: int) -> Interval | None:
    """Wilson's 95% score interval of a share (1927, J. Am. Stat. Assoc. 22); None where n is 0."""
    if n == 0:
        return None
    share, z2 = hits / n, _Z95**2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z95 / (1 + z2 / n) * sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return (0.0 if hits == 0 else max(centre - half, 0.0)), (1.0 if hits == n else min(centre + half, 1.0))
