"""What is learned comes out of the store as it went in, on both databases."""

from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest

from doctor.images import add_chunk
from doctor.learning.export import Exhibit
from doctor.learning.overview import overview
from doctor.learning.records import Selection, answered, exhibits, outlines, references
from doctor.reviews import Answer
from edge.wire.messages import Chunk
from tests.doctor.learning.answers import report


@pytest.fixture
def answered_store(store, reader):
    """Two clinics; image 1 was seen by two models and answered once, image 2 answered by both, image 3 by nobody."""
    for one in (
        report(1, "covid", model="old"),
        report(1, "normal", model="new"),
        report(2, "covid", site="other"),
        report(3, "normal"),
    ):
        store.add(one)
    store.add_preview("clinic", "box-1", report(1, "covid", model="old").id, b"\xff\xd8\xff image 1")
    for number, answer in ((1, Answer(verdict="agree")), (3, Answer(verdict="disagree", label="normal"))):
        opened = store.open_report(number, reader)
        store.answer(number, answer, reader, opened.revision)
    store.open_report(4, reader)
    return store


def test_answered_reports_come_with_the_answer_that_stands(answered_store):
    """One that was only opened is not among them."""
    found = list(answered(answered_store, Selection()))

    assert [(one.report.site, one.report.decision, one.seen) for one in found] == [
        ("clinic", "covid", "covid"),
        ("other", "covid", "normal"),
    ]


def test_a_selection_is_of_one_clinic_or_of_the_last_days(answered_store):
    """Both narrow what is computed."""
    tomorrow = datetime.now(UTC) + timedelta(days=1)

    assert [one.report.site for one in answered(answered_store, Selection(site="other"))] == ["other"]
    assert list(answered(answered_store, Selection(since=tomorrow))) == []
    assert [one.model.id for one, _ in outlines(answered_store, Selection(site="clinic"))] == ["old", "new", "m"]


def test_a_picture_in_full_resolution_is_better_than_a_preview(answered_store):
    """Where somebody has asked the box for it."""
    whole = b"png of image 1"
    piece = Chunk(
        media_type="image/png", total_bytes=len(whole), sha256=sha256(whole).hexdigest(), offset_bytes=0, content=whole
    )
    with answered_store.database.writing() as writing:
        add_chunk(writing, 1, piece)

    assert [exhibit.picture for exhibit in exhibits(answered_store, Selection())] == [whole, None]


def test_an_exhibit_has_its_picture_or_says_that_none_came(answered_store):
    """The preview, as the box sent it."""
    assert [exhibit.picture for exhibit in exhibits(answered_store, Selection())] == [b"\xff\xd8\xff image 1", None]
    assert all(isinstance(exhibit, Exhibit) for exhibit in exhibits(answered_store, Selection()))


def test_the_overview_counts_and_compares(answered_store):
    """By clinic and model, by month, and the two models on the image that both saw."""
    found = overview(answered_store, Selection(), now=datetime.now(UTC))

    assert [(row.group["site"], row.group["model"], row.answered) for row in found.by_clinic] == [
        ("clinic", "old", 1),
        ("other", "m", 1),
    ]
    assert [(pair.first, pair.second, pair.only_first, pair.only_second) for pair in found.comparisons] == [
        ("new", "old", 0, 1)
    ]
    assert found.alarms == []
    assert references(answered_store) == {}
