"""Multipliers by which XNNPACK and TFLite's own kernels bring a sum to the same step."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from converter.rounding import alike, multipliers, once, output_scale, twice, weights_scale

STEPS = 256


@settings(deadline=None)  # the first call makes the list
@given(st.data())
def test_any_sum_is_rounded_alike_by_any_of_the_multipliers(data: st.DataObject):
    """Wherever in int8's reach it lies, not only beside the halves."""
    multiplier = data.draw(st.sampled_from(list(multipliers())))
    most = int(STEPS / multiplier)
    sums = np.array(data.draw(st.lists(st.integers(-most, most), min_size=1, max_size=50)))

    assert (once(sums, multiplier) == twice(sums, float(multiplier))).all()


def test_every_half_of_the_coarsest_and_the_finest_is_rounded_alike():
    """All sums there are, with a small divisor and with the largest."""
    for multiplier in (multipliers()[0], multipliers()[-40]):
        most = int(STEPS / multiplier)
        sums = np.arange(-most, most + 1)

        assert (once(sums, multiplier) == twice(sums, float(multiplier))).all()


@pytest.mark.parametrize("divisor", [1000.5, 1001, 1024, 96.25])
def test_other_multipliers_are_not(divisor: float):
    """Neither a fraction nor an odd number nor a power of two will do as the divisor."""
    assert not alike(1 / divisor, np.float32(1 / divisor))


def test_rounding_twice_goes_up_from_below_a_half():
    """The known way: what lies a third of a fine step below a half reaches it, and the half is rounded up."""
    multiplier = 1 / 1001
    below = np.array([500])  # 0.4995 of a step

    assert once(below, np.float32(multiplier)) == 0
    assert twice(below, multiplier) == 1


def test_the_next_one_is_near():
    """From a thousandth to a tenth: 3% above what is asked for on average, and never 30%."""
    asked = np.geomspace(1 / 1000, 1 / 10, 5000)

    above = multipliers()[np.searchsorted(multipliers(), asked)] / asked

    assert above.min() >= 1
    assert above.mean() < 1.03
    assert above.max() < 1.3


@pytest.mark.parametrize("least", [0.0007, 0.004, 0.03, 0.7])
def test_a_scale_of_weights_makes_such_a_multiplier_of_any_scales(least: float):
    """As XNNPACK computes it, in float32, and as TFLite does, in double."""
    source, target = np.float32(1.0774157), np.float32(0.023529412)

    scale = weights_scale(least, source, target)

    assert alike(float(source) * float(scale) / float(target), source * scale / target)
    assert least <= source * scale / target < 1.5 * least


@pytest.mark.parametrize("least", [0.09969, 0.3])
def test_a_scale_of_an_output_does(least: float):
    """It is hardly larger than what is asked for."""
    source, weights = np.float32(0.023529412), np.float32(0.0030053521)

    scale = output_scale(source, weights, np.float32(least))

    assert alike(float(source) * float(weights) / float(scale), source * weights / scale)
    assert least <= scale < 1.02 * least


def test_what_none_can_serve_stays_as_it_is():
    """A channel that is far louder behind the operator than before it, and an output far too coarse."""
    one = np.float32(1)

    assert weights_scale(9.0, one, one) == 9
    assert output_scale(one, one, np.float32(1e6)) == np.float32(1e6)
