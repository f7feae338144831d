"""What the box keeps, what of it leaves the box, and when it raises its voice: four sections of the configuration."""

from typing import Annotated

import msgspec

from edge.errors import ConfigError
from edge.wire.messages import MAX_PREVIEW_BYTES

Bytes = Annotated[int, msgspec.Meta(ge=0)]
Region = tuple[float, float, float, float]
"""Left, top, right, bottom, as fractions of a picture's width and height."""


class OutboxConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When the outbox counts as full: the box then takes no new images, and drops none that wait.

    Attributes:
        max_bytes: Of reports and pictures kept. Pictures that the doctor's inbox has make room first.
        min_free_bytes: That stay free on the disk.
    """

    max_bytes: Annotated[int, msgspec.Meta(ge=2**20)] = 2 * 2**30
    min_free_bytes: Bytes = 100 * 2**20


class PreviewConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The small picture that follows a report.

    Attributes:
        max_bytes: Of one; 0 sends none.
    """

    max_bytes: Annotated[int, msgspec.Meta(ge=0, le=MAX_PREVIEW_BYTES)] = 60 * 1024


class PrivacyConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What of a patient leaves the box.

    Attributes:
        tokens: Whether reports carry tokens of patient and study, which only this box can undo.
        blank: Regions of every picture that is sent, black for text burned into it: `LEFT,TOP,RIGHT,BOTTOM`, each from
            0 to 1 of width or height.
    """

    tokens: bool = True
    blank: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a region that is none, before it lets a name through."""
        _ = self.regions

    @property
    def regions(self) -> tuple[Region, ...]:
        """`blank`, as numbers.

        Raises:
            ConfigError: Not four numbers, or not inside the picture.
        """
        return tuple(_region(text) for text in self.blank)


class AlarmConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When somebody at the clinic should look.

    Attributes:
        unanswered_s: A report that nobody has answered for this long is marked and counted; 0 for never.
    """

    unanswered_s: Annotated[float, msgspec.Meta(ge=0)] = 24 * 3600.0


def _region(text: str) -> Region:
    try:
        left, top, right, bottom = (float(part) for part in text.split(","))
    except ValueError:
        left = top = right = bottom = -1.0
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
        raise ConfigError(
            f"privacy.blank must hold regions LEFT,TOP,RIGHT,BOTTOM, each from 0 to 1, such as 0,0,1,0.08; got {text!r}"
        )
    return left, top, right, bottom
