"""Alarms ring where a clinic's images change, and are silent where they do not."""

import numpy as np
import pytest

from doctor.learning.drift import FEWEST, chi_square_limit, drift, stability_index
from tests.doctor.learning.answers import report

QUANTILES = tuple(np.linspace(0, 100, 11))


def stream(seed: int, n: int, *, centre: float = 50, positive: float = 0.5):
    """Reports whose contrast is spread evenly around a centre, 100 wide."""
    generator = np.random.default_rng(seed)
    return [
        report(
            int(generator.integers(1 << 30)),
            "covid" if generator.random() < positive else "normal",
            guard={"contrast": float(generator.uniform(centre - 50, centre + 50))},
        )
        for _ in range(n)
    ]


def test_a_clinic_like_the_training_data_raises_no_alarm():
    """In a hundred clinics that did not change there is at most one false alarm, also with few images."""
    alarms = [
        alarm
        for seed in range(100)
        for alarm in drift(stream(seed, 40), stream(seed + 1000, 200), {"contrast": QUANTILES})
    ]

    assert len(alarms) <= 1


def test_images_of_another_exposure_raise_an_alarm():
    """It names the statistic and how many images lie outside all that was learned from."""
    (alarm,) = drift(stream(1, 200, centre=90), stream(2, 200, centre=90), {"contrast": QUANTILES})

    assert alarm.what == "contrast"
    assert alarm.size > alarm.limit
    assert "lie outside" in alarm.text


def test_another_mix_of_findings_raises_an_alarm():
    """Held against the clinic's own earlier images: training data's mix says nothing of a clinic's patients."""
    (alarm,) = drift(stream(1, 200, positive=0.2), stream(2, 400), {"contrast": QUANTILES})

    assert alarm.what == "findings"
    assert "of the last 200 findings, and was" in alarm.text


def test_few_images_say_nothing():
    """However odd they are."""
    assert drift(stream(1, FEWEST - 1, centre=500), [], {"contrast": QUANTILES}) == []


def test_the_index_of_a_known_example():
    """Half of the images in each of two bins that should hold a tenth and the rest: by hand."""
    quantiles = (0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 2.0)

    index, bins = stability_index([0.5] * 50 + [1.5] * 50, quantiles)

    assert bins == 2
    assert index == pytest.approx((0.5 - 0.9) * np.log(0.5 / 0.9) + (0.5 - 0.1) * np.log(0.5 / 0.1))


def test_a_statistic_that_never_varied_has_one_bin():
    """Nothing can be said of its spread."""
    assert stability_index([512.0] * 40, (300.0, *([512.0] * 10))) == (0.0, 1)


@pytest.mark.parametrize(("degrees", "table"), [(1, 10.828), (2, 13.816), (9, 27.877)])
def test_the_limit_is_that_of_the_tables(degrees, table):
    """The 0.001 point of chi-square, at most 3.1% to the careful side."""
    assert table <= chi_square_limit(degrees) <= 1.031 * table
