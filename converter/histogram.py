"""Values of a tensor, channel by channel -> where int8's range had best end."""

from typing import Final

import numpy as np
import numpy.typing as npt

STEPS: Final = 255
"""Of int8 above its zero."""
_PER_OCTAVE: Final = 16
_OCTAVES: Final = 28
_SMALLEST: Final = 2.0**-12
"""Values below are counted as this one."""
_EDGES: Final = _SMALLEST * 2.0 ** (np.arange(_PER_OCTAVE * _OCTAVES) / _PER_OCTAVE)
"""Upper edges of the bins, 4% apart."""


class Histogram:
    """How often each channel had which value above 0.

    Args:
        channels: Their number.
    """

    def __init__(self, channels: int) -> None:
        self._counts = np.zeros((channels, len(_EDGES)), np.int64)

    def add(self, values: npt.NDArray[np.float32]) -> None:
        """Count `(n, channels)` values; those that are not above 0 are exact in int8 and left out."""
        rows, channels = np.nonzero(values > 0)
        exponents = np.log2(values[rows, channels] / np.float32(_SMALLEST)) * _PER_OCTAVE
        bins = np.clip(np.ceil(exponents - 1e-3).astype(np.int64), 0, len(_EDGES) - 1)
        places = channels * len(_EDGES) + bins
        self._counts += np.bincount(places, minlength=self._counts.size).reshape(self._counts.shape)

    def limit(self) -> npt.NDArray[np.float64]:
        """The end of each channel's range that makes the sum of squared errors least, `(channels,)`; 0 without values.

        Values below the limit are rounded, which costs a twelfth of a squared step; those above are cut.
        """
        number, total, squares = (_from_top(self._counts * _EDGES**power) for power in (0, 1, 2))
        cut = squares - 2 * _EDGES * total + _EDGES**2 * number  # bin k itself adds nothing
        rounded = self._counts.sum(axis=1, keepdims=True) * (_EDGES / STEPS) ** 2 / 12
        best = np.argmin(cut + rounded, axis=1)
        return np.where(self._counts.any(axis=1), _EDGES[best], 0.0)


def _from_top(array: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Sums of each row from each place on to its end."""
    return np.cumsum(array[:, ::-1], axis=1)[:, ::-1]
