"""Multipliers by which every runtime rounds a sum to the same step of int8.

An int8 operator sums whole numbers and brings its sum x back to int8 as round(x * m). XNNPACK multiplies in float32 and
rounds once. TFLite's own kernels, and with them all of tflite-runtime, multiply in fixed point and round twice: to a
multiple of 2^-s, where 2^-s is the next power of two above m, then to a step. Where the first rounding lands on a half
the second goes up, also with sums that belong below: about one in 2^(s+1). Layer by layer the same file becomes another
network.

None does if m = 1 / D with D even and no power of two. Then m = 2^j / b * 2^-s with b odd, 2^j < b < 2^(j+1) and
D = b * 2^(s-j). In units of 2^-s a half is N, an odd multiple of 2^(s-1), and a sum below it that is rounded to it has
N - 1/2 <= 2^j x / b < N, or 0 < bN - 2^j x <= b/2 < 2^j. As D is even, s > j and 2^j divides N, so the number in the
middle is a multiple of 2^j: there is none.

Sums that are exactly a half are left, for which each runtime has a rule of its own. A multiplier a hair above 1 / D
sends them away from zero in both. Float32 hardly has the digits for that, so every candidate is tried on all halves
that int8 has; of the divisors beyond some thousands none passes.
"""

from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_REACH: Final = 256
"""Steps; no value of int8 lies further from its zero point."""
_MOST: Final = 8192
"""The largest divisor that is tried."""
_COARSE: Final = np.arange(33, 512) / 64
"""From 1/2 on there is one rounding only, and nearly every multiplier will do."""
_HAIRS: Final = (2, 1, 3)
"""How many of float32's values a candidate lies above 1 / D, in order of preference."""
_NEAR: Final = (0, 1, -1, 2, -2, 3, -3)


def once(sums: npt.NDArray[np.int64], multiplier: np.float32) -> npt.NDArray[np.int64]:
    """As XNNPACK rounds: the nearest whole number to a product in float32, of two the even one.

    Args:
        sums: Whole numbers below 2^24, of any shape.
        multiplier: In float32.
    """
    return np.rint(sums.astype(np.float32) * multiplier).astype(np.int64)


def twice(sums: npt.NDArray[np.int64], multiplier: float) -> npt.NDArray[np.int64]:
    """As TFLite's own kernels round: `MultiplyByQuantizedMultiplier` of its `common.h`, after gemmlowp.

    Args:
        sums: Whole numbers below 2^31, of any shape.
        multiplier: Above 0, below 2^30.
    """
    mantissa, exponent = np.frexp(np.float64(multiplier))
    fixed = int(np.rint(mantissa * 2**31))
    if fixed == 2**31:
        fixed, exponent = fixed // 2, exponent + 1
    right = max(-int(exponent), 0)
    doubled = (sums << max(int(exponent), 0)) * fixed + np.where(sums >= 0, 2**30, 1 - 2**30)
    high = np.where(doubled >= 0, doubled >> 31, -(-doubled >> 31))  # rounded to a multiple of 2^-right
    mask = (1 << right) - 1
    return (high >> right) + ((high & mask) > (mask >> 1) + (high < 0))


def alike(double: float, single: np.float32) -> bool:
    """Whether both ways bring every sum within int8's reach to the same step.

    Args:
        double: The multiplier as TFLite computes it from the scales, in double precision.
        single: As XNNPACK does, in float32.
    """
    halves = np.arange(-_REACH, _REACH) + 0.5
    sums = np.rint(halves / double).astype(np.int64)[:, np.newaxis] + np.arange(-2, 3)  # (halves, 5)
    return bool((once(sums, single) == twice(sums, double)).all())


@cache
def multipliers() -> npt.NDArray[np.float32]:
    """All that are known to round alike, ascending."""
    found = []
    for inverse in (*(1 / np.arange(2, _MOST, 2)), *_COARSE):
        candidates = (_step(np.float32(inverse), hairs) for hairs in _HAIRS)
        found += [each for each in candidates if alike(float(each), each)][:1]
    return np.unique(np.array(found, np.float32))


def weights_scale(least: float, source: np.float32, target: np.float32) -> np.float32:
    """The smallest scale of a channel's weights by which its sums are rounded alike.

    Args:
        least: The multiplier may not be smaller, so that the weights stay within int8.
        source: Scale of the operator's input.
        target: Scale of its output.

    Returns:
        The scale; the one that `least` itself asks for where all multipliers that round alike are smaller.
    """
    wanted = multipliers()[np.searchsorted(multipliers(), least) :]
    for multiplier in wanted:
        nearest = np.float32(float(multiplier) * float(target) / float(source))
        for scale in (_step(nearest, steps) for steps in _NEAR):
            if _products_alike(source, scale, target):
                return scale
    return np.float32(least * float(target) / float(source))


def output_scale(source: np.float32, weights: np.float32, least: np.float32) -> np.float32:
    """The smallest scale of an output, from `least` on, by which an operator's sums are rounded alike.

    Args:
        source: Scale of the operator's input.
        weights: Scale of its weights.
        least: Scale of its output, so that the largest values stay within int8.

    Returns:
        The scale; `least` itself where all multipliers that round alike are larger.
    """
    product = float(source) * float(weights)
    wanted = multipliers()[: np.searchsorted(multipliers(), product / float(least), side="right")]
    for multiplier in wanted[::-1]:
        nearest = np.float32(product / float(multiplier))
        for scale in (_step(nearest, steps) for steps in _NEAR):
            if _products_alike(source, weights, scale):
                return scale
    return least


def _products_alike(source: np.float32, weights: np.float32, target: np.float32) -> bool:
    """Whether the multipliers that the runtimes compute from these scales round alike."""
    return alike(float(source) * float(weights) / float(target), source * weights / target)


def _step(value: np.float32, steps: int) -> np.float32:
    """The float32 value so many places above."""
    for _ in range(abs(steps)):
        value = np.nextafter(value, np.float32(np.inf if steps > 0 else 0))
    return np.float32(value)
