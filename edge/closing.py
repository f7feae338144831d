"""What is open until it is closed, by name or at the end of a `with`."""

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self


class Closing(ABC):
    """A thing that closes itself at the end of a `with`, whatever happened inside."""

    def __enter__(self) -> Self:
        """Return the open thing."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    @abstractmethod
    def close(self) -> None:
        """Close it; what was made durable stays."""
