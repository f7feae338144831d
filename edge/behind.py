"""Work that is done behind: in a thread of its own, while whoever hands it over goes on to the next.

What happens to an image once its finding stands does not need the network, so it need not keep the network waiting; and
it begins at once, so that a finding does not wait for a next image that may be long in decoding. Invariant: items are
worked on one at a time and in order, no more than so many are handed over and not done, and an error is raised at one
of the next occasions, with nothing done after it.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from queue import SimpleQueue
from threading import Thread
from types import TracebackType
from typing import Generic, Self, TypeVar

Item = TypeVar("Item")


class Behind(Generic[Item]):
    """A thread that does one thing with each item.

    Args:
        work: Opens what the work needs, in that thread, and gives the function that does it.
        name: The thread's.
        most: So many items may be handed over and not done. Where there are fewer cores than threads, one item now and
            then waits for a core longer than the next takes to come; with room for some, only the average counts.
    """

    def __init__(
        self, work: Callable[[], AbstractContextManager[Callable[[Item], None]]], *, name: str, most: int
    ) -> None:
        self._work = work
        self._most = most
        self._items: SimpleQueue[Item | None] = SimpleQueue()
        self._outcomes: SimpleQueue[Exception | None] = SimpleQueue()
        self._under_way = 0
        self._thread = Thread(target=self._run, name=name)

    def __enter__(self) -> Self:
        """Start the thread, and wait until what the work needs is open.

        Raises:
            Exception: It cannot be opened.
        """
        self._thread.start()
        self._under_way = 1  # the opening
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
        """Have something done, once there is room for it.

        Raises:
            Exception: What went wrong with one before.
        """
        self._wait(self._most - 1)
        self._items.put(item)
        self._under_way += 1

    def finish(self) -> None:
        """Wait until all that was handed over is done.

        Raises:
            Exception: What went wrong.
        """
        self._wait(0)

    def _wait(self, most: int) -> None:
        while self._under_way > most:
            self._under_way -= 1
            if (error := self._outcomes.get()) is not None:
                self._under_way = 0  # nothing is done any more
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
