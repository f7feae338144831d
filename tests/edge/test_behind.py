"""Work that is done behind, in a thread of its own."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Semaphore, Timer, current_thread

import pytest

from edge.behind import Behind


@contextmanager
def noting(done: list[tuple[str, str]]) -> Iterator[Callable[[str], None]]:
    """Note each item and the thread; `bad` is an error."""

    def work(item: str) -> None:
        if item == "bad":
            raise ValueError("this one is bad")
        done.append((item, current_thread().name))

    done.append(("opened", current_thread().name))
    yield work
    done.append(("closed", current_thread().name))


def test_all_is_done_in_order_in_one_thread_of_its_own():
    """Also what the work needs is opened and closed there: SQLite holds a connection to its thread."""
    done: list[tuple[str, str]] = []

    with Behind(lambda: noting(done), name="worker", most=1) as worker:
        for item in ("first", "second", "third"):
            worker.hand_over(item)

    assert done == [(item, "worker") for item in ("opened", "first", "second", "third", "closed")]


def test_work_begins_though_nobody_comes_back():
    """Whoever handed it over may be busy for long with something else."""
    done: list[tuple[str, str]] = []
    ended = Event()

    @contextmanager
    def telling() -> Iterator[Callable[[str], None]]:
        with noting(done) as work:
            yield lambda item: (work(item), ended.set())[0]

    with Behind(telling, name="worker", most=1) as worker:
        worker.hand_over("first")

        assert ended.wait(10)
        assert done[-1] == ("first", "worker")


def test_the_one_before_is_done_when_the_next_is_taken():
    """Where at most one may be under way."""
    done: list[tuple[str, str]] = []
    with Behind(lambda: noting(done), name="worker", most=1) as worker:
        worker.hand_over("first")
        worker.hand_over("second")

        assert [item for item, _ in done] == ["opened", "first"]


def test_only_so_many_are_under_way():
    """Whoever hands over does not wait for the one before, but for the one before the last so many."""
    done: list[str] = []
    go_on = Semaphore(0)

    @contextmanager
    def slow() -> Iterator[Callable[[str], None]]:
        yield lambda item: (go_on.acquire(), done.append(item))[0]

    with Behind(slow, name="worker", most=2) as worker:
        worker.hand_over("first")
        worker.hand_over("second")
        assert done == []

        Timer(0.05, go_on.release).start()
        worker.hand_over("third")

        assert done == ["first"]
        go_on.release(2)
        worker.finish()
        assert done == ["first", "second", "third"]


def test_nothing_is_done_after_an_error_though_it_was_handed_over_before():
    """What is behind a report that the disk did not take keeps its place in the folder."""
    done: list[tuple[str, str]] = []

    def run() -> None:
        with Behind(lambda: noting(done), name="worker", most=3) as worker:
            for item in ("first", "bad", "next"):
                worker.hand_over(item)
            worker.finish()

    with pytest.raises(ValueError, match="this one is bad"):
        run()
    assert [item for item, _ in done] == ["opened", "first"]


@pytest.mark.parametrize("ask", ["hand over", "finish", "leave"])
def test_an_error_is_raised_at_the_next_occasion(ask: str):
    """No later item is worked on after it."""
    done: list[tuple[str, str]] = []

    def run() -> None:
        with Behind(lambda: noting(done), name="worker", most=1) as worker:
            worker.hand_over("bad")
            if ask == "hand over":
                worker.hand_over("next")
            elif ask == "finish":
                worker.finish()

    with pytest.raises(ValueError, match="this one is bad"):
        run()
    assert [item for item, _ in done] == ["opened"]


def test_what_cannot_be_opened_is_told_at_once():
    """Before anything is handed over."""

    @contextmanager
    def closed() -> Iterator[Callable[[str], None]]:
        raise OSError("no such disk")
        yield print

    with pytest.raises(OSError, match="no such disk"), Behind(closed, name="worker", most=1):
        pass


def test_an_error_on_the_way_out_keeps_its_place():
    """What ended the owner is told; what was handed over is done all the same."""
    done: list[tuple[str, str]] = []

    def run() -> None:
        with Behind(lambda: noting(done), name="worker", most=1) as worker:
            worker.hand_over("first")
            raise KeyError("the owner's own")

    with pytest.raises(KeyError, match="the owner's own"):
        run()
    assert [item for item, _ in done] == ["opened", "first", "closed"]
