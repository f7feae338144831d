"""Work that is done one behind: in a thread of its own, while whoever hands it over goes on to the next.

What happens to an image once its finding stands does not need the network, so it need not keep the network waiting; and
it begins at once, so that a finding does not wait for a next image that may be long in decoding. Invariant: items are
worked on one at a time and in order, at most one is handed over and not done, and an error is raised where the next one
is handed over.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from queue import SimpleQueue
from threading import Thread
from types import TracebackType
from typing import Generic, Self, TypeVar

Item = TypeVar("Item")


class OneBehind(Generic[Item]):
    """A thread that does one thing with each item.

    Args:
        work: Opens what the work needs, in that thread, and gives the function that does it.
        name: The thread's.
    """

    def __init__(self, work: Callable[[], AbstractContextManager[Callable[[Item], None]]], *, name: str) -> None:
        self._work = work
        self._items: SimpleQueue[Item | None] = SimpleQueue()
        self._outcomes: SimpleQueue[Exception | None] = SimpleQueue()
        self._is_waited_for = False
        self._thread = Thread(target=self._run, name=name)

    def __enter__(self) -> Self:
        """Start the thread, and wait until what the work needs is open.

        Raises:
            Exception: It cannot be opened.
        """
        self._thread.start()
        self._is_waited_for = True
        self.finish()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Have what was handed over done, and end the thread; an error is raised unless there is one already."""
        self._items.put(None)
        self._thread.join()
        if error is None:
            self.finish()

    def hand_over(self, item: Item) -> None:
        """Have something done, once what was handed over before is.

        Raises:
            Exception: What went wrong with the one before.
        """
        self.finish()
        self._items.put(item)
        self._is_waited_for = True

    def finish(self) -> None:
        """Wait until what was handed over is done.

        Raises:
            Exception: What went wrong.
        """
        if not self._is_waited_for:
            return
        self._is_waited_for = False
        if (error := self._outcomes.get()) is not None:
            raise error

    def _run(self) -> None:
        try:
            with self._work() as do:
                self._outcomes.put(None)
                while (item := self._items.get()) is not None:
                    do(item)
                    self._outcomes.put(None)
        except Exception as error:  # noqa: BLE001 - handed to the other thread, which raises it
            self._outcomes.put(error)
