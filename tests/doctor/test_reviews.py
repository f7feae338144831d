"""An answer stands exactly once, whoever else answers at that moment."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from doctor import audit, schema
from doctor.reviews import Answer, ConflictError, UnknownReportError
from doctor.store import Store
from doctor.urgency import Urgency
from edge.errors import MessageError


def test_opening_and_answering_are_revisions(store, make_report, reader):
    """The highest stands."""
    store.add(make_report())

    opened = store.open_report(1, reader)
    answered = store.answer(1, Answer(verdict="disagree", label="normal", text="A rib."), reader, opened.revision)

    assert (opened.revision, opened.state, opened.reader) == (1, "opened", "Dr. Ada Reader")
    assert (answered.revision, answered.state, answered.label, answered.text) == (2, "answered", "normal", "A rib.")
    assert store.reviews_of(1) == [opened, answered]
    assert store.item(1).review == answered


def test_whoever_opens_second_sees_who_was_first(store, make_report, reader, other):
    """And makes no new revision."""
    store.add(make_report())
    first = store.open_report(1, reader)

    assert store.open_report(1, other) == first
    assert len(store.reviews_of(1)) == 1


def test_of_two_answers_the_second_is_refused_with_the_name_of_the_first(store, make_report, reader, other):
    """Both had opened the report before either answered."""
    store.add(make_report())
    seen = store.open_report(1, reader).revision
    store.open_report(1, other)
    store.answer(1, Answer(verdict="agree"), reader, seen)

    with pytest.raises(ConflictError, match=r"Dr\. Ada Reader answered this report on .* UTC") as conflict:
        store.answer(1, Answer(verdict="disagree", label="normal"), other, seen)

    assert conflict.value.standing.verdict == "agree"
    assert store.item(1).review.verdict == "agree"
    again = store.answer(1, Answer(verdict="disagree", label="normal"), other, conflict.value.standing.revision)
    assert (again.revision, store.item(1).review) == (3, again)


def test_of_many_answers_at_once_one_stands(place, make_report, reader):
    """Through two stores on one database, as two processes have them."""
    with Store.open(place) as one, Store.open(place) as two:
        one.add(make_report())

        def answer(number: int) -> bool:
            try:
                (one, two)[number % 2].answer(1, Answer(verdict="agree"), reader, 0)
            except ConflictError:
                return False
            return True

        with ThreadPoolExecutor(8) as threads:
            outcomes = list(threads.map(answer, range(16)))

        assert outcomes.count(True) == 1
        assert len(one.reviews_of(1)) == 1


def test_a_call_back_moves_a_report_to_the_top(store, make_report, reader):
    """Also one whose finding is routine."""
    store.add(make_report(decision="normal"))

    store.answer(1, Answer(verdict="disagree", label="covid", call_back=True), reader, 0)

    assert store.item(1).urgency is Urgency.CALL_BACK


def test_a_review_is_owed_until_the_box_confirms_it_or_a_later_one(store, make_report, reader):
    """Only the one that stands; an old confirmation that comes again changes nothing."""
    report = make_report()
    store.add(report)
    store.open_report(1, reader)
    answered = store.answer(1, Answer(verdict="agree"), reader, 1)
    box = (report.site, report.device, report.id)

    assert [owed.review for owed in store.reviews_owed()] == [answered]
    assert store.confirm(*box, 1) == 2
    assert [owed.review for owed in store.reviews_owed()] == [answered]
    assert store.confirm(*box, 2) == 2
    assert store.reviews_owed() == []
    store.confirm(*box, 1)
    assert store.reviews_owed() == []


@pytest.mark.parametrize("revision", [0, 2, -1])
def test_a_confirmation_of_a_review_nobody_made_is_told(store, make_report, reader, revision):
    """It confirms nothing."""
    report = make_report()
    store.add(report)
    store.open_report(1, reader)

    assert store.confirm(report.site, report.device, report.id, revision) is None
    assert store.confirm(report.site, report.device, "f" * 32, 1) is None
    assert len(store.reviews_owed()) == 1


def test_what_a_box_could_not_take_is_not_saved(store, make_report, reader):
    """Neither the review nor its entry in the log."""
    store.add(make_report())

    with pytest.raises(MessageError, match="text"):
        store.answer(1, Answer(verdict="agree", text="x" * 1001), reader, 0)
    with pytest.raises(UnknownReportError, match="number 7"):
        store.answer(7, Answer(verdict="agree"), reader, 0)

    assert store.reviews_of(1) == []
    with store.database.reading() as connection:
        assert list(audit.entries(connection)) == []


def test_seeing_and_answering_are_logged_with_who_and_what(store, make_report, reader, other):
    """Each opening, also the second."""
    store.add(make_report())
    store.open_report(1, reader)
    store.open_report(1, other)
    store.answer(1, Answer(verdict="disagree", label="normal"), other, 1)

    with store.database.reading() as connection:
        told = [(entry.account, entry.deed, entry.detail) for entry in audit.entries(connection)]
        subjects = {entry.subject for entry in audit.entries(connection)}

    assert told == [("ada", "opened", ""), ("ben", "opened", ""), ("ben", "answered", "revision 2: disagree normal")]
    assert subjects == {f"clinic/box-1/{make_report().id}"}


def test_no_review_is_ever_changed(store, make_report, reader):
    """Every revision has a row of its own."""
    store.add(make_report())
    for revision in range(5):
        store.answer(1, Answer(verdict="agree", text=str(revision)), reader, revision)

    with store.database.reading() as connection:
        rows = connection.execute(sa.select(schema.review.c.revision, schema.review.c.account)).all()

    assert rows == [(revision, "ada") for revision in range(1, 6)]
