"""Who may read and answer."""

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What an account may do."""

    READER = "reader"
    """Read and answer reports."""
    ADMIN = "admin"
    """That, and see rejected messages, the audit log and accounts, and ask boxes to restart."""


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody who reads.

    Attributes:
        name: What they log in with; the audit log keeps it.
        reader: How the clinics see them.
        role: What they may do.
    """

    name: str
    reader: str
    role: Role = Role.READER
