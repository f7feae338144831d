"""What the doctor's end asks of the box, one after the other in a thread of its own: decoding a picture takes seconds.

Invariant: a request is answered under its own transaction, done or refused with a sentence; one that must not be done
twice is not, however often it comes.
"""

import logging
import queue
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread
from types import TracebackType
from typing import Final, Self

from edge.errors import EdgeXrayError
from edge.outbox.outbox import Outbox
from edge.wire.messages import Chunk, Request, Response

MAX_OPEN: Final = 50
"""Requests at once; whoever asks more is told to ask later."""
REMEMBERED: Final = 20
"""Transactions of each command that are known to have been done."""
GOODBYE_S: Final = 5.0

log = logging.getLogger(__name__)


class RefusedError(EdgeXrayError):
    """The box does not do what it was asked, and says why."""


@dataclass(frozen=True, slots=True)
class Done:
    """What a request has led to.

    Attributes:
        chunk: A piece of a picture.
        result: Name of a check to what came of it.
        afterwards: What is to be done once the answer is on its way.
    """

    chunk: Chunk | None = None
    result: Mapping[str, str] | None = None
    afterwards: Callable[[], None] | None = None


Handler = Callable[[Request, Outbox], Done]
"""Does what a request asks, or raises an `EdgeXrayError` that says why not."""


@dataclass(frozen=True, slots=True)
class Command:
    """One kind of request.

    Attributes:
        handle: Does it.
        once: Whether to do it twice for one transaction would do harm.
    """

    handle: Handler
    once: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """A response, and what it answers.

    Attributes:
        command: The request's.
        response: For the wire.
        afterwards: What is to be done once it is on its way.
    """

    command: str
    response: Response
    afterwards: Callable[[], None] | None = None


def restart(stop: Event) -> Command:
    """End the agent in order, after the answer; whatever keeps it running starts it again."""
    return Command(lambda _, __: Done(afterwards=stop.set), once=True)


def resend(request: Request, outbox: Outbox) -> Done:
    """Owe a report and its preview again; without an id all of them."""
    if outbox.resend(request.id) == 0 and request.id is not None:
        raise RefusedError(f"this box has no report {request.id}")
    return Done()


def photograph(capture: Callable[[], None]) -> Command:
    """Take a picture with the camera; its report comes like any other's."""

    def handle(_: Request, __: Outbox) -> Done:
        capture()
        return Done()

    return Command(handle, once=True)


class Desk:
    """Takes requests and hands out answers.

    Args:
        commands: Name to what is done.
        outbox: The outbox's file; the thread opens it for itself.
    """

    def __init__(self, commands: Mapping[str, Command], outbox: Path) -> None:
        self._commands = commands
        self._outbox = outbox
        self._asked: queue.SimpleQueue[tuple[str, Request] | None] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[Answer] = queue.SimpleQueue()
        self._wake: Callable[[], None] = lambda: None
        self._thread = Thread(target=self._work, name="requests", daemon=True)

    def __enter__(self) -> Self:
        """Start working."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop after the request in hand; one that takes too long is left behind, and is asked for again."""
        self._asked.put(None)
        self._thread.join(GOODBYE_S)

    def call(self, wake: Callable[[], None]) -> None:
        """Say what is to be called, in the desk's thread, when an answer is ready."""
        self._wake = wake

    def ask(self, command: str, request: Request) -> None:
        """Take a request."""
        if self._asked.qsize() >= MAX_OPEN:
            self._answer(command, request, error=f"the box has {MAX_OPEN} requests to do before this one; ask later")
        else:
            self._asked.put((command, request))

    def answers(self) -> Iterator[Answer]:
        """Those that are ready."""
        while True:
            try:
                yield self._answers.get_nowait()
            except queue.Empty:
                return

    def _work(self) -> None:
        with Outbox(self._outbox) as outbox:
            while (asked := self._asked.get()) is not None:
                command, request = asked
                try:
                    done = self._do(command, request, outbox)
                except EdgeXrayError as error:
                    log.warning("refused to %s as the doctor's end asked: %s", command[:20], error)
                    self._answer(command, request, error=str(error))
                except Exception:
                    log.exception("could not %s as the doctor's end asked", command[:20])
                    self._answer(command, request, error="the box failed at it; its log says why")
                else:
                    self._answer(command, request, done)

    def _do(self, command: str, request: Request, outbox: Outbox) -> Done:
        known = self._commands.get(command)
        if known is None:
            raise RefusedError(f"this box cannot do {command[:20]!r}; it can do {', '.join(sorted(self._commands))}")
        if not known.once:
            return known.handle(request, outbox)
        fact = f"transactions of {command} done"
        before = (outbox.fact(fact) or "").split("\n")
        if request.transaction in before:
            return Done()
        done = known.handle(request, outbox)
        log.info("did %s as the doctor's end asked", command)
        outbox.remember(fact, "\n".join([*before, request.transaction.replace("\n", " ")][-REMEMBERED:]))
        return done

    def _answer(self, command: str, request: Request, done: Done | None = None, *, error: str | None = None) -> None:
        done = done or Done()
        response = Response(
            transaction=request.transaction,
            at=datetime.now(UTC),
            error=error,
            chunk=done.chunk,
            result=done.result,
        )
        self._answers.put(Answer(command, response, done.afterwards))
        self._wake()
