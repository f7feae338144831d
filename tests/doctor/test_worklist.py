"""What is to be read comes in the order in which it should be, in parts, and the studies together."""

from datetime import UTC, datetime, timedelta

import pytest

from doctor.reviews import Answer
from doctor.urgency import Urgency
from doctor.worklist import Filter, Show
from edge.errors import ConfigError

DECISIONS = ["normal", "covid", "not-assessable", "inconclusive"]


@pytest.fixture
def numbers(store):
    """The numbers that a filter finds, part by part."""

    def find(wanted: Filter | None = None, *, limit: int = 100) -> list[int]:
        found, after = [], None
        while True:
            page = store.worklist(wanted or Filter(), limit=limit, after=after)
            found += [item.number for item in page.items]
            if (after := page.next) is None:
                return found

    return find


def test_the_most_urgent_come_first_and_among_them_the_oldest(store, make_report, numbers):
    """Positive, unsure, not assessable, the rest."""
    for number in range(8):
        store.add(make_report(number, decision=DECISIONS[number % 4]))

    assert numbers() == [2, 6, 4, 8, 3, 7, 1, 5]


@pytest.mark.parametrize("show", [Show.OPEN, Show.ALL])
def test_a_list_in_parts_is_the_list(store, make_report, numbers, show):
    """None is left out and none comes twice, wherever the parts end."""
    for number in range(9):
        store.add(make_report(number, decision=DECISIONS[number % 4]))

    whole = numbers(Filter(show=show))

    assert sorted(whole) == list(range(1, 10))
    assert all(numbers(Filter(show=show), limit=limit) == whole for limit in (1, 2, 3, 8, 9))


def test_images_of_a_study_stand_together_at_the_place_of_the_most_urgent(store, make_report, numbers):
    """Also where the parts of the list end between them; another box's study of that name is another study."""
    store.add(make_report(1, decision="normal", study="s-1"))
    store.add(make_report(2, decision="inconclusive"))
    store.add(make_report(3, decision="covid", study="s-1"))
    store.add(make_report(4, decision="normal", study="s-1", device="box-2"))
    store.add(make_report(5, decision="normal", study=None))
    store.add(make_report(6, decision="normal", study=None))

    page = store.worklist(Filter(), limit=100)

    assert [(item.number, [other.number for other in item.study]) for item in page.items] == [
        (3, [1]), (2, []), (4, []), (5, []), (6, []),
    ]  # fmt: skip
    assert numbers(limit=1) == [3, 2, 4, 5, 6]


def test_a_filter_counts_within_a_study_too(store, make_report):
    """What the list would not hold leads nothing and follows nothing."""
    store.add(make_report(1, decision="covid", study="s-1"))
    store.add(make_report(2, decision="normal", study="s-1"))

    (item,) = store.worklist(Filter(decision="normal"), limit=10).items

    assert (item.number, item.study) == (2, ())


def test_filters(store, make_report, numbers, reader, age):
    """By place, finding, patient, time and progress."""
    store.add(make_report(1, site="north", device="box-1", decision="covid", patient="p-1"))
    store.add(make_report(2, site="north", device="box-2", decision="normal", patient="p-1"))
    store.add(make_report(3, site="south", decision="inconclusive"))
    store.add(make_report(4, site="south", decision="covid"))
    store.open_report(3, reader)
    store.answer(4, Answer(verdict="agree"), reader, 0)
    age(1, timedelta(hours=1))
    age(2, timedelta(hours=1))
    recently = datetime.now(UTC) - timedelta(minutes=1)

    assert numbers(Filter(site="north")) == [1, 2]
    assert numbers(Filter(site="north", device="box-2")) == [2]
    assert numbers(Filter(urgency=Urgency.SOON)) == [3]
    assert numbers(Filter(decision="covid")) == [1]
    assert numbers(Filter(site="north", device="box-1", patient="p-1")) == [1]
    assert numbers(Filter(show=Show.UNREAD)) == [1, 2]
    assert numbers(Filter(show=Show.OVERDUE)) == [1]
    assert numbers(Filter(show=Show.ANSWERED)) == [4]
    assert numbers(Filter(show=Show.ALL)) == [4, 3, 2, 1]
    assert numbers(Filter(show=Show.ALL, since=recently)) == [4, 3]
    assert numbers(Filter(show=Show.ALL, until=recently)) == [2, 1]


def test_an_item_says_how_far_it_has_come(store, make_report, reader, age):
    """Unread and overdue until somebody does something about it."""
    store.add(make_report(1))
    age(1, timedelta(hours=1))

    fresh = store.item(1)
    store.open_report(1, reader)
    opened = store.item(1)
    store.answer(1, Answer(verdict="agree"), reader, 1)
    answered = store.item(1)

    assert [(one.unread, one.overdue, one.revision) for one in (fresh, opened, answered)] == [
        (True, True, 0), (False, True, 1), (False, False, 2),
    ]  # fmt: skip
    assert answered.review.verdict == "agree"
    assert store.item(2) is None


def test_earlier_images_of_a_patient_are_of_the_same_box(store, make_report):
    """Tokens of different boxes have nothing to do with each other."""
    store.add(make_report(1, patient="p-1"))
    store.add(make_report(2, patient="p-1"))
    store.add(make_report(3, patient="p-1", device="box-2"))
    store.add(make_report(4, patient="p-1"))
    store.add(make_report(5, patient=None))
    store.add(make_report(6, patient=None))

    assert [item.number for item in store.earlier(store.item(2))] == [4, 1]
    assert store.earlier(store.item(5)) == []


def test_counts(store, make_report, reader, age):
    """Of what waits, by urgency, and of what is done."""
    for number in range(8):
        store.add(make_report(number, decision=DECISIONS[number % 4]))
    store.open_report(1, reader)
    store.answer(2, Answer(verdict="agree"), reader, 0)
    age(6, timedelta(hours=1))
    age(3, timedelta(hours=1))

    counts = store.counts()

    assert counts.open == {
        Urgency.CALL_BACK: 0, Urgency.URGENT: 1, Urgency.SOON: 2, Urgency.CHECK: 2, Urgency.ROUTINE: 2,
    }  # fmt: skip
    assert (counts.unread, counts.overdue, counts.answered) == (6, 1, 1)


@pytest.mark.parametrize("after", ["", "1", "x-y", "1-2-3", "1-2; DROP TABLE report"])
def test_a_mark_that_no_list_gave_is_refused(store, after):
    """It may come from an address that somebody changed."""
    with pytest.raises(ConfigError, match="begin it anew"):
        store.worklist(Filter(), limit=10, after=after)


def test_an_item_says_whether_the_box_has_its_review(store, make_report, reader):
    """It has none to have, then it does not have the opening, then it has confirmed it."""
    report = make_report(1)
    number = store.add(report).number
    before = store.item(number).delivered
    store.open_report(number, reader)
    opened = store.item(number).delivered
    store.confirm(report.site, report.device, report.id, 1)

    assert (before, opened, store.item(number).delivered) == (True, False, True)


def test_filters_are_offered_for_what_there_is(store, make_report):
    """Each clinic and each finding once, by name."""
    store.add(make_report(1, site="south", decision="normal"))
    store.add(make_report(2, site="north", decision="covid"))
    store.add(make_report(3, site="north", decision="normal"))

    known = store.known()

    assert known.sites == ("north", "south")
    assert known.decisions == ("covid", "normal")
