"""Two models are compared on the images that a reader has answered."""

from math import comb

import pytest

from doctor.learning.comparison import compare
from tests.doctor.learning.answers import answered, report


def test_one_answer_serves_both_models():
    """The reader saw the image once; the other model's report needs no answer of its own."""
    answers = [answered(image, "covid", "covid", model="old") for image in range(6)]
    others = [report(image, "covid" if image < 2 else "normal", model="new") for image in range(6)]

    (pair,) = compare(answers, [*(one.report for one in answers), *others])

    assert (pair.first, pair.second, pair.n) == ("new", "old", 6)
    assert (pair.both_right, pair.only_first, pair.only_second) == (2, 0, 4)


@pytest.mark.parametrize(("only_old", "only_new"), [(0, 0), (1, 0), (10, 2), (3, 3)])
def test_the_p_value_is_that_of_a_fair_coin(only_old, only_new):
    """McNemar's exact test: of the images that tell the models apart, half go either way by luck."""
    answers = [answered(image, "covid", "covid", model="old") for image in range(only_old)]
    answers += [answered(image, "normal", "covid", model="old") for image in range(100, 100 + only_new)]
    answers += [answered(200, "covid", "covid", model="old")]
    others = [report(image, "normal", model="new") for image in range(only_old)]
    others += [report(image, "covid", model="new") for image in range(100, 100 + only_new)]
    others += [report(200, "covid", model="new")]
    n, extreme = only_old + only_new, abs(only_old - only_new)
    expected = sum(comb(n, k) for k in range(n + 1) if abs(n - 2 * k) >= extreme) / 2**n

    (pair,) = compare(answers, [*(one.report for one in answers), *others])

    assert pair.p_value == pytest.approx(expected)


def test_contradicting_answers_leave_the_image_out():
    """Nobody knows then which model was right."""
    first, second = answered(1, "covid", "covid", model="old"), answered(1, "covid", "normal", model="new")

    assert compare([first, second], [first.report, second.report]) == []


def test_undecided_images_compare_nothing():
    """A model that says it does not know is neither right nor wrong."""
    first = answered(1, "covid", "covid", model="old")

    assert compare([first], [first.report, report(1, "inconclusive", model="new")]) == []
