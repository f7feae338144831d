"""What comparisons and drift look at in a report: a small part, so that years of reports fit in memory."""

import msgspec


class Model(msgspec.Struct, frozen=True, gc=False):
    """Which model decided."""

    id: str


class Film(msgspec.Struct, frozen=True, gc=False):
    """Which image it was."""

    sha256: str | None = None


class Outline(msgspec.Struct, frozen=True, kw_only=True):
    """Part of a `Report`, under the same names."""

    site: str
    device: str
    decision: str
    model: Model
    guard: dict[str, float] = {}
    picture: Film | None = None
