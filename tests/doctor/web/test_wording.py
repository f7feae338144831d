"""Words, ages and shares as the pages show them."""

from datetime import UTC, datetime, timedelta

import pytest

from doctor.web import wording

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("share", "shown"), [(0.0, "<1 %"), (0.002, "<1 %"), (0.5, "50 %"), (0.996, ">99 %"), (1.0, ">99 %")]
)
def test_a_probability_is_never_rounded_to_a_certainty(share: float, shown: str):
    """Not even where an 8-bit softmax says 1."""
    assert wording.percent(share).replace("\N{NO-BREAK SPACE}", " ") == shown


@pytest.mark.parametrize(
    ("waited", "shown"),
    [
        (timedelta(seconds=59), "<1 min"),
        (timedelta(minutes=1), "1 min"),
        (timedelta(minutes=59, seconds=59), "59 min"),
        (timedelta(hours=47), "47 h"),
        (timedelta(hours=48), "2 d"),
    ],
)
def test_an_age_is_counted_in_whole_steps(waited: timedelta, shown: str):
    """Ages are never longer than what has passed."""
    assert wording.age(NOON - waited, NOON) == shown


def test_a_time_is_shown_in_utc():
    """Two doctors in two zones read the same time."""
    assert wording.moment(NOON) == "2026-11-25 12:00 UTC"


@pytest.mark.parametrize(("label", "shown"), [("not-assessable", "Not assessable"), ("covid", "Covid"), ("", "")])
def test_a_label_is_shown_as_words(label: str, shown: str):
    """Labels carry dashes for machines and none for people."""
    assert wording.named(label) == shown


def test_an_inconclusive_finding_shows_how_much_speaks_for_the_sought_label():
    """Where the model decided nothing, its probability for what it looks for is the number that matters."""
    probabilities = {"clear": 0.45, "opacity": 0.55}

    assert wording.share_of("inconclusive", "opacity", probabilities) == 0.55
    assert wording.share_of("clear", "opacity", probabilities) == 0.45
    assert wording.share_of("not-assessable", "opacity", {}) is None


@pytest.mark.parametrize(
    ("count", "shown"), [(512, "512 bytes"), (18 * 1024, "18 KB"), (2.4 * 1024**2, "2.4 MB"), (20 * 1024**3, "20.0 GB")]
)
def test_sizes_are_shown_in_a_unit_that_fits(count: float, shown: str):
    """Nobody reads bytes."""
    assert wording.size(count) == shown


def test_a_message_is_shown_whatever_it_holds():
    """Bytes that are no text, and letters that would turn the line around, are shown as marks."""
    assert wording.shown(b"<b>\xff\x00\n" + "\N{RIGHT-TO-LEFT OVERRIDE}x".encode()) == "<b>\ufffd···x"
