"""A check says what was found and, where something is wrong, what to do about it."""

import pytest

from edge.checks import Check, State
from edge.checks.every import as_result, ready
from edge.commands.check import closing, lines
from edge.errors import ConfigError


def test_a_complaint_without_a_cure_cannot_be_made():
    """Nor a cure where nothing is wrong."""
    for state in (State.WARN, State.FAIL):
        with pytest.raises(ValueError, match="must come with a cure"):
            Check("disk", state, "full")
    for state in (State.OK, State.SKIPPED):
        with pytest.raises(ValueError, match="must come with a cure"):
            Check("disk", state, "empty", cure="nothing")


def test_an_error_s_sentence_is_taken_apart():
    """What was found stands before its first semicolon, what to do behind it."""
    check = Check.failed_with("bundle", ConfigError("no bundle here; make one; or copy one"))

    assert (check.text, check.cure) == ("no bundle here", "make one; or copy one")


@pytest.mark.parametrize(
    ("found", "is_ready", "said"),
    [
        ([], True, "ready"),
        ([Check.ok("a", "x"), Check.skipped("b", "y")], True, "ready"),
        ([Check.warn("a", "x", cure="c"), Check.warn("b", "x", cure="c")], True, "ready, with 2 things to look after"),
        ([Check.fail("a", "x", cure="c"), Check.ok("b", "y")], False, "NOT READY: 1 of 2 checks failed"),
    ],
)
def test_one_failure_is_enough(found: list[Check], is_ready: bool, said: str):  # noqa: FBT001 - a table's column
    """A warning or a skipped check keeps no box from working."""
    assert ready(found) is is_ready
    assert closing(found) == said


def test_a_self_test_s_answer_tells_no_cure():
    """Cures name folders of this box, and an answer goes over the wire."""
    found = [Check.ok("a", "x"), Check.fail("b", "y", cure="look into /srv/meier"), Check.skipped("c", "z")]

    assert as_result(found) == {"a": "ok", "b": "fail: y", "c": "skipped: z"}


def test_a_cure_is_printed_below_its_complaint():
    """Aligned, for a person."""
    assert lines(Check.warn("disk", "little is free", cure="free some")) == [
        "WARN    disk                  little is free",
        "                              -> free some",
    ]
