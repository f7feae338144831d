"""The value that every check gives: what was looked at, how it is, and what to do about it."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Self

import msgspec

from edge.errors import EdgeXrayError


class State(StrEnum):
    """How something was found."""

    OK = "ok"
    """As it should be."""
    WARN = "warn"
    """The box works, but somebody should look after it."""
    FAIL = "fail"
    """The box cannot work like this."""
    SKIPPED = "skipped"
    """Not looked at; the text says why."""


class Check(msgspec.Struct, frozen=True):
    """One thing that was looked at.

    Attributes:
        name: What, in a word or two.
        state: How it was found.
        text: What was found. It may be sent away: no file's or folder's name of the watched folders is in it.
        cure: What to do; None where nothing needs to be done.
    """

    name: str
    state: State
    text: str
    cure: str | None = None

    def __post_init__(self) -> None:
        """Refuse a complaint that leaves its reader alone."""
        if (self.state in {State.WARN, State.FAIL}) != (self.cure is not None):
            raise ValueError(f"a check that is {self.state.value!r} must come with a cure exactly if it complains")

    @classmethod
    def ok(cls, name: str, text: str) -> Self:
        """As it should be."""
        return cls(name, State.OK, text)

    @classmethod
    def warn(cls, name: str, text: str, *, cure: str) -> Self:
        """To be looked after."""
        return cls(name, State.WARN, text, cure)

    @classmethod
    def fail(cls, name: str, text: str, *, cure: str) -> Self:
        """Cannot work."""
        return cls(name, State.FAIL, text, cure)

    @classmethod
    def skipped(cls, name: str, text: str) -> Self:
        """Not looked at."""
        return cls(name, State.SKIPPED, text)

    @classmethod
    def failed_with(cls, name: str, error: EdgeXrayError) -> Self:
        """What an error of ours says: the cure stands behind its first semicolon."""
        text, _, cure = str(error).partition("; ")
        return cls.fail(name, text, cure=cure or "look at the log of the agent")


def all_skipped(names: Sequence[str], because: str) -> list[Check]:
    """Checks that cannot be made because of another one."""
    return [Check.skipped(name, because) for name in names]
