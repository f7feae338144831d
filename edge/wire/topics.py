"""Topics: which branch of the tree belongs to which box, and what lies under it. In prose: `docs/protocol.md`.

Invariant: no name of a site, device or report can change the meaning of a topic, and none may identify a patient.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Self

from edge.errors import ConfigError, MessageError

VERSION: Final = "v1"

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class Kind(StrEnum):
    """What a topic is about."""

    STATUS = "status"
    """Box, retained and last will: whether it is there."""
    HEALTH = "health"
    """Box, retained: how it is."""
    CARD = "card"
    """Box, retained: what the model it runs says of itself."""
    REPORT = "report"
    """Box, by report: a finding."""
    PREVIEW = "preview"
    """Box, by report: the picture, small, as a JPEG."""
    CONFIRMATION = "confirmation"
    """Box, by report: it has stored the doctor's review."""
    RESPONSE = "response"
    """Box, by command: an answer to a request."""
    RECEIPT = "receipt"
    """Doctor's end, by report: the inbox has stored it."""
    REVIEW = "review"
    """Doctor's end, by report, retained until the box has confirmed it: what the doctor did or said."""
    REQUEST = "request"
    """Doctor's end, by command: something the box is asked to do."""


_WHOLE: Final = frozenset({Kind.STATUS, Kind.HEALTH, Kind.CARD})
"""Kinds of which a box has one topic."""
_OF_BOX: Final = (*sorted(_WHOLE), Kind.REPORT, Kind.PREVIEW, Kind.CONFIRMATION, Kind.RESPONSE)
_OF_DOCTOR: Final = (Kind.RECEIPT, Kind.REVIEW, Kind.REQUEST)


def check_name(what: str, name: str) -> str:
    """Return a site, device or prefix name that is safe in a topic.

    Raises:
        ConfigError: Other than 1 to 64 letters, digits, dots, dashes and underscores, or an odd first character.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"{what} must be 1 to 64 letters, digits, '.', '-' or '_', the first a letter or digit; got {name!r}"
        )
    return name


@dataclass(frozen=True, slots=True)
class Address:
    """Where a message belongs: one box's branch of the topic tree.

    Attributes:
        prefix: The tree's root, `xray` by default.
        site: The clinic.
        device: The box.
    """

    prefix: str
    site: str
    device: str

    def __post_init__(self) -> None:
        """Refuse names that would change the meaning of a topic."""
        for what, name in (("prefix", self.prefix), ("site", self.site), ("device", self.device)):
            check_name(what, name)

    @property
    def status(self) -> str:
        """Topic of the retained status."""
        return self._topic(Kind.STATUS)

    @property
    def health(self) -> str:
        """Topic of the retained health."""
        return self._topic(Kind.HEALTH)

    @property
    def card(self) -> str:
        """Topic of the retained card of the model that runs."""
        return self._topic(Kind.CARD)

    def report(self, report: str) -> str:
        """Topic of one report."""
        return self._topic(Kind.REPORT, report)

    def preview(self, report: str) -> str:
        """Topic of one report's picture."""
        return self._topic(Kind.PREVIEW, report)

    def confirmation(self, report: str) -> str:
        """Topic on which the box confirms that it has one report's review."""
        return self._topic(Kind.CONFIRMATION, report)

    def receipt(self, report: str) -> str:
        """Topic of one report's receipt."""
        return self._topic(Kind.RECEIPT, report)

    def review(self, report: str) -> str:
        """Topic of one report's retained review."""
        return self._topic(Kind.REVIEW, report)

    def request(self, command: str) -> str:
        """Topic of requests of one kind."""
        return self._topic(Kind.REQUEST, command)

    def response(self, command: str) -> str:
        """Topic of answers to requests of one kind."""
        return self._topic(Kind.RESPONSE, command)

    @property
    def to_this_box(self) -> tuple[str, ...]:
        """Topic filters of all that the doctor's end says to this box."""
        return tuple(self._topic(kind, "+") for kind in _OF_DOCTOR)

    def _topic(self, kind: Kind, of: str | None = None) -> str:
        whole = f"{self.prefix}/{VERSION}/{self.site}/{self.device}/{kind}"
        return whole if of is None else f"{whole}/{of}"


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic taken apart.

    Attributes:
        address: Whose it is.
        kind: What it is about.
        of: The report's id or the request's command; empty where a box has one such topic.
    """

    address: Address
    kind: Kind
    of: str = ""

    @classmethod
    def parse(cls, topic: str, prefix: str) -> Self:
        """Take a topic apart.

        Raises:
            MessageError: Not a topic of this tree.
        """
        root = f"{prefix}/{VERSION}/"
        try:
            match topic.removeprefix(root).split("/"):
                case [site, device, kind] if topic.startswith(root) and kind in _WHOLE:
                    return cls(Address(prefix, site, device), Kind(kind))
                case [site, device, kind, of] if topic.startswith(root) and kind in (*_OF_BOX, *_OF_DOCTOR) and of:
                    if kind not in _WHOLE:
                        return cls(Address(prefix, site, device), Kind(kind), of)
                case _:
                    pass
        except ConfigError as error:
            raise MessageError(str(error)) from error
        raise MessageError(f"expected a topic {root}<site>/<device>/<kind>, got {topic[:120]!r}")


def of_every_box(prefix: str) -> tuple[str, ...]:
    """Topic filters of all that boxes say."""
    root = f"{prefix}/{VERSION}/+/+"
    return tuple(f"{root}/{kind}" if kind in _WHOLE else f"{root}/{kind}/+" for kind in _OF_BOX)
