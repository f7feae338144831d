"""Plain words: what a finding says, how far a report has come, what the doctor answered."""

from datetime import UTC, datetime

import msgspec
import pytest

from edge.clinic.words import Tone, answered, ladder, said, size, trouble
from edge.outbox.entry import State
from edge.wire.messages import Review


@pytest.mark.parametrize(
    ("fields", "headline", "tone"),
    [
        ({"decision": "opacity"}, "Signs of opacity", Tone.SIGNS),
        ({"decision": "clear"}, "No signs of opacity", Tone.CLEAR),
        ({"decision": "inconclusive"}, "Not sure", Tone.UNSURE),
        (
            {"decision": "not-assessable", "probabilities": {}, "heatmap": None, "reason": "nearly blank"},
            "Cannot be assessed",
            Tone.NONE,
        ),
    ],
)
def test_a_finding_in_words(put, outbox, fields, headline, tone):
    """Each decision has its headline, and none of them is a diagnosis."""
    report = outbox.entry(put(1, **fields)).report

    words = said(report)

    assert (words.headline, words.tone) == (headline, tone)
    assert "The doctor decides." in words.sentence or "nearly blank" in words.sentence


def test_the_likeliest_label_comes_first_and_is_never_certain(put, outbox):
    """Whole percents, in order; a model that says 1.0 is not believed that much."""
    report = outbox.entry(put(1, probabilities={"clear": 0.071, "opacity": 0.929})).report
    sure = outbox.entry(put(2, probabilities={"clear": 0.9999, "opacity": 0.0001})).report

    assert [(share.label, share.words) for share in said(report).shares] == [("opacity", "93 %"), ("clear", "7 %")]
    assert [share.words for share in said(sure).shares] == ["more than 99 %", "less than 1 %"]


@pytest.mark.parametrize(
    ("state", "review", "done"),
    [
        (State.QUEUED, None, 1),
        (State.REFUSED, None, 1),
        (State.SENT, None, 2),
        (State.RECEIVED, None, 3),
        (State.RECEIVED, {"state": "opened"}, 4),
        (State.RECEIVED, {"verdict": "agree"}, 5),
    ],
)
def test_the_ladder_shows_how_far_a_report_has_come(put, outbox, state, review, done):
    """Everything up to the current rung is done, and exactly one is current."""
    entry = outbox.entry(put(1, state=state, review=review))

    steps = ladder(entry)

    assert [step.is_done for step in steps] == [True] * done + [False] * (5 - done)
    assert [step.is_current for step in steps].index(True) == done - 1
    assert sum(step.is_current for step in steps) == 1


def test_a_refusal_names_the_broker_s_reason(put, outbox):
    """It is not counted as sent, and the person learns whom to tell."""
    refused, sent = outbox.entry(put(1, state=State.REFUSED)), outbox.entry(put(2, state=State.SENT))

    assert "Not authorized" in trouble(refused)
    assert "technician" in trouble(refused)
    assert trouble(sent) is None


def test_an_opened_report_has_no_answer_yet():
    """Only a verdict is an answer."""
    review = Review(id="0" * 32, revision=1, state="opened", at=datetime.now(UTC), reader="Dr. Weber")

    assert answered(review) is None
    answer = answered(msgspec.structs.replace(review, state="answered", verdict="disagree", label="pneumonia"))
    assert (answer.headline, answer.sees, answer.agrees) == ("Dr. Weber disagrees", "pneumonia", False)


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0 bytes"), (2048, "2 KB"), (5 * 2**20, "5 MB"), (3 * 2**30, "3.0 GB"), (2**42, "4096.0 GB")],
)
def test_sizes_in_words(count, words):
    """As a person says them."""
    assert size(count) == words
