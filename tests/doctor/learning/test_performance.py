"""Agreement, sensitivity and specificity are what a hand count of the answers gives."""

from datetime import UTC, datetime

import msgspec
import pytest

from doctor.learning.answered import Answered
from doctor.learning.performance import performance
from edge.interval import wilson
from tests.doctor.learning.answers import AT, answered

ANSWERS = [
    *(answered(image, "covid", "covid") for image in range(8)),
    *(answered(image, "normal", "covid") for image in range(8, 10)),
    *(answered(image, "normal", "normal") for image in range(10, 25)),
    *(answered(image, "covid", "normal") for image in range(25, 30)),
    answered(30, "inconclusive", "covid"),
    answered(31, "not-assessable", "normal"),
    answered(32, "covid", None),
    answered(33, "covid", "tuberculosis"),
]


def test_the_figures_are_a_hand_count_with_wilson_s_interval():
    """What the box left undecided and what the reader could not judge are counted apart."""
    (row,) = performance(ANSWERS, [])

    assert (row.answered, row.cannot_judge, row.undecided) == (34, 1, 2)
    assert (row.agreement.hits, row.agreement.n) == (23, 31)
    assert (row.sensitivity.hits, row.sensitivity.n) == (8, 10)
    assert (row.specificity.hits, row.specificity.n) == (15, 21), "another disease is not the one looked for"
    assert row.sensitivity.ci95 == wilson(8, 10)


def test_groups_are_told_apart_by_clinic_model_and_month():
    """Each combination that occurs has its row, sorted."""
    april = datetime(2026, 4, 1, tzinfo=UTC)
    answers = [
        answered(1, "covid", "covid", site="a", model="m1"),
        answered(2, "covid", "normal", site="a", model="m2"),
        answered(3, "normal", "normal", site="b", model="m1", at=april),
    ]

    rows = performance(answers, ["site", "model", "month"])

    assert [tuple(row.group.values()) for row in rows] == [
        ("a", "m1", "2026-03"),
        ("a", "m2", "2026-03"),
        ("b", "m1", "2026-04"),
    ]
    assert [row.agreement.hits for row in rows] == [1, 0, 1]
    assert rows[0].specificity is None, "no image without the disease was answered"


def test_agreeing_with_a_box_that_does_not_know_says_nothing_of_the_image():
    """It counts as answered and not as judged."""
    (row,) = performance([answered(1, "inconclusive", "inconclusive")], [])

    assert (row.answered, row.cannot_judge, row.agreement) == (1, 1, None)


def test_a_report_that_was_only_opened_is_no_answer():
    """Building one from it is an error of the caller."""
    one = answered(1, "covid", "covid")
    opened = msgspec.structs.replace(one.review, state="opened", verdict=None, label=None)

    with pytest.raises(ValueError, match="expected the answer"):
        Answered(one.report, opened, AT)
