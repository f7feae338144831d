"""Values -> the words, ages and shares that the pages show. Pure; the templates call these as filters."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from edge.study import INCONCLUSIVE

_MINUTE_S: Final = 60
_HOUR_S: Final = 3600
_DAY_S: Final = 86400
_KIB: Final = 1024
_SHOWN_BYTES: Final = 400


def named(label: str) -> str:
    """A label or decision as a person writes it: `not-assessable` -> `Not assessable`."""
    spaced = label.replace("-", " ").replace("_", " ").strip()
    return spaced[:1].upper() + spaced[1:]


def percent(share: float) -> str:
    """A probability; no model is certain, so 1 is `>99 %`, too."""
    whole = min(max(round(100 * share), 0), 100)
    shown = {0: "<1", 100: ">99"}.get(whole, f"{whole}")
    return f"{shown}\N{NO-BREAK SPACE}%"


def share_of(decision: str, positive: str, probabilities: Mapping[str, float]) -> float | None:
    """How sure the model is of what it decided; how much speaks for the sought label where it decided nothing."""
    return probabilities.get(positive if decision == INCONCLUSIVE else decision)


def age(then: datetime, now: datetime) -> str:
    """How long ago: `<1 min`, `12 min`, `5 h`, `3 d`. `static/frame.js` counts on in the same steps."""
    seconds = (now - then).total_seconds()
    if seconds < _MINUTE_S:
        return "<1 min"
    if seconds < _HOUR_S:
        return f"{int(seconds // _MINUTE_S)} min"
    if seconds < 2 * _DAY_S:
        return f"{int(seconds // _HOUR_S)} h"
    return f"{int(seconds // _DAY_S)} d"


def moment(at: datetime) -> str:
    """A time in full, in UTC: two doctors may sit in two zones."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def size(count_bytes: float) -> str:
    """Bytes as a person reads them: `512 bytes`, `18 KB`, `2.4 MB`."""
    if count_bytes < _KIB:
        return f"{count_bytes:.0f} bytes"
    if count_bytes < _KIB**2:
        return f"{count_bytes / _KIB:.0f} KB"
    if count_bytes < _KIB**3:
        return f"{count_bytes / _KIB**2:.1f} MB"
    return f"{count_bytes / _KIB**3:.1f} GB"


def score(value: float) -> str:
    """A picture's statistic, three figures at most."""
    return f"{value:.3g}"


def shown(content: bytes) -> str:
    """The beginning of a message as text, whatever it holds: no byte of it moves the cursor or turns the page."""
    text = content[:_SHOWN_BYTES].decode("utf-8", "replace")
    return "".join(letter if letter.isprintable() else "\N{MIDDLE DOT}" for letter in text)
