"""Arrival -> Capture and the network's input, in a child process, one ahead of the pipeline.

Invariant: whatever a file does to its decoder - crash it, hang it, swell it - the agent goes on with a new child. A
file that has ended a process three times, the agent's own among them, is refused for good (`edge.decoding.attempts`).
"""

import fcntl
import logging
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

import msgspec
import numpy as np

from edge.decoding.attempts import MAX_TRIES, Attempts
from edge.decoding.child import LENGTH_BYTES, Answer, Task
from edge.errors import PoisonError, RetryError, UnreadableImageError
from edge.preprocess import SIDE_PX
from edge.settings.delivery import Region
from edge.study import Arrival, Capture, Prepared

_PIPE_BYTES: Final = 1024 * 1024
"""Linux's default of 64 KiB would wake both ends for every 0.06 megapixels."""
_MAX_HEADER_BYTES: Final = 64 * 1024

log = logging.getLogger(__name__)


class ChildError(RetryError):
    """The child died or had to be killed; the next one may fare better."""


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """What the child made of one file.

    Attributes:
        capture: The file, as read.
        prepared: Its picture, as the network takes it; the picture itself stays in the child.
        preview: A small JPEG of it; None where none is wanted, or none that is worth seeing fits.
        timings_ms: Stage to milliseconds: reading and decoding, preprocessing.
    """

    capture: Capture
    prepared: Prepared
    preview: bytes | None
    timings_ms: Mapping[str, float]


class Decoder:
    """A child process that decodes one file at a time; a new one is started when it dies.

    Args:
        attempts: Who is blamed for a death.
        timeout_s: A file that takes longer is given up, and the child killed.
        max_memory_bytes: What a picture may take beyond the child itself.
        max_preview_bytes: So large may a preview be; 0 for none.
        blank: Regions to blacken in previews, as fractions of width and height.
    """

    def __init__(
        self,
        attempts: Attempts,
        *,
        timeout_s: float,
        max_memory_bytes: int,
        max_preview_bytes: int = 0,
        blank: tuple[Region, ...] = (),
    ) -> None:
        self._attempts = attempts
        self._timeout_s = timeout_s
        self._max_memory_bytes = max_memory_bytes
        self._max_preview_bytes = max_preview_bytes
        self._blank = blank
        self._child = self._new_child()

    def __enter__(self) -> Self:
        """Return the running decoder."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End the child."""
        self._kill()

    def start(self, arrival: Arrival) -> "Decoding":
        """Begin to decode a file; only one can be under way."""
        self._attempts.begin(arrival.key)
        decoding = Decoding(self, arrival)
        decoding.begin()
        return decoding

    def ask(self, arrival: Arrival) -> None:
        """Hand the child a file.

        Raises:
            ChildError: It is dead.
        """
        task = msgspec.json.encode(
            Task(os.fsencode(arrival.path), max_preview_bytes=self._max_preview_bytes, blank=self._blank)
        )
        try:
            os.write(self._to_child, len(task).to_bytes(LENGTH_BYTES, "big") + task)
        except BrokenPipeError as error:
            raise ChildError(self._cause_of_death()) from error

    def answer(self, arrival: Arrival, since_s: float) -> Decoded | UnreadableImageError:
        """Wait for the child's answer.

        Args:
            arrival: What it was asked for.
            since_s: Monotonic time at which it was asked.

        Raises:
            ChildError: It died, or took too long.
        """
        deadline_s = since_s + self._timeout_s
        self.await_answer(deadline_s)
        length = int.from_bytes(self._read(LENGTH_BYTES, deadline_s), "big")
        if length > _MAX_HEADER_BYTES:
            raise ChildError("gave an answer that makes no sense")
        answer = msgspec.json.decode(self._read(length, deadline_s), type=Answer)
        if answer.error is not None:
            return UnreadableImageError(answer.error)
        content = self._read(answer.pixels_bytes + answer.preview_bytes, deadline_s)
        pixels = np.frombuffer(content, np.uint8, answer.pixels_bytes)
        preview = bytes(memoryview(content)[answer.pixels_bytes :])
        prepared = Prepared(
            pixels=pixels.reshape(SIDE_PX, SIDE_PX, 3),
            width_px=answer.width_px,
            height_px=answer.height_px,
            source_width_px=answer.source_width_px,
            source_height_px=answer.source_height_px,
        )
        capture = Capture(arrival, answer.sha256, answer.identity)
        timings_ms = {"decode": answer.decode_ms, "preprocess": answer.preprocess_ms}
        return Decoded(capture, prepared, preview or None, timings_ms)

    def blame(self, arrival: Arrival, error: ChildError) -> None:
        """Replace the child, and note on whose account.

        Raises:
            PoisonError: This file has ended enough processes.
        """
        self._kill()
        self._child = self._new_child()
        tries = self._attempts.blame(arrival.key)
        log.warning("the decoder %s; try %d of %d with this file", error, tries, MAX_TRIES)
        refuse_poison(tries, str(error))

    def rest(self, arrival: Arrival) -> None:
        """Note that the child is done with a file, and the agent has not taken it up."""
        self._attempts.rest(arrival.key)

    def take_up(self, arrival: Arrival) -> None:
        """Note that the agent works on a file."""
        self._attempts.begin(arrival.key)

    def end(self, arrival: Arrival) -> None:
        """Note that a file is no longer in hand."""
        self._attempts.end(arrival.key)

    def tries(self, arrival: Arrival) -> int:
        """How often a file has ended a process."""
        return self._attempts.tries(arrival.key)

    @property
    def _to_child(self) -> int:
        return _descriptor(self._child.stdin)

    @property
    def _from_child(self) -> int:
        return _descriptor(self._child.stdout)

    def _new_child(self) -> subprocess.Popen[bytes]:
        child = subprocess.Popen(
            [sys.executable, "-m", "edge.decoding.child", str(self._max_memory_bytes)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            # Each thread of the linear algebra would take address space, and none of it is needed there.
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        )
        os.set_blocking(_descriptor(child.stdout), False)
        if hasattr(fcntl, "F_SETPIPE_SZ"):
            fcntl.fcntl(_descriptor(child.stdout), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        return child

    def await_answer(self, deadline_s: float) -> None:
        """Wait until the child says something, or is dead.

        Raises:
            ChildError: It took too long.
        """
        poll = select.poll()
        poll.register(self._from_child, select.POLLIN)
        if not poll.poll(max(0, deadline_s - time.monotonic()) * 1000):
            raise ChildError(f"took longer than {self._timeout_s:g} s")

    def _read(self, size_bytes: int, deadline_s: float) -> bytearray:
        content = bytearray(size_bytes)
        rest = memoryview(content)
        while rest:
            try:
                count = os.readv(self._from_child, [rest])
            except BlockingIOError:
                self.await_answer(deadline_s)
                continue
            if count == 0:
                raise ChildError(self._cause_of_death())
            rest = rest[count:]
        return content

    def _cause_of_death(self) -> str:
        code = self._child.wait()
        return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended by itself with code {code}"

    def _kill(self) -> None:
        self._child.kill()
        self._child.wait()
        for pipe in (self._child.stdin, self._child.stdout):
            if pipe is not None:
                pipe.close()


class Decoding:
    """One file under way in the child."""

    def __init__(self, decoder: Decoder, arrival: Arrival) -> None:
        self.arrival: Final = arrival
        self._decoder = decoder
        self._since_s = 0.0
        self._outcome: Decoded | UnreadableImageError | PoisonError | None = None

    def begin(self) -> None:
        """Hand the file to the child, unless it is poison."""
        try:
            refuse_suspect(self._decoder.tries(self.arrival))
            self._ask()
        except PoisonError as error:
            self._outcome = error

    def wait(self) -> None:
        """Wait until the child is done with the file, and free for the next."""
        while self._outcome is None:
            try:
                self._outcome = self._decoder.answer(self.arrival, self._since_s)
            except ChildError as error:
                self._try_again(error)
        self._decoder.rest(self.arrival)

    def result(self) -> Decoded:
        """What the child made of it, for the agent to work on.

        Raises:
            UnreadableImageError: The file is no picture.
            PoisonError: Reading it has ended a process too often.
        """
        self.wait()
        self._decoder.take_up(self.arrival)
        if isinstance(self._outcome, Exception):
            raise self._outcome
        if self._outcome is None:
            raise ValueError("a decoding that was waited for must have an outcome")
        return self._outcome

    def end(self) -> None:
        """Note that nothing more can happen through this file: it is assessed, or set aside."""
        self._decoder.end(self.arrival)

    def _ask(self) -> None:
        self._since_s = time.monotonic()
        try:
            self._decoder.ask(self.arrival)
        except ChildError as error:
            self._try_again(error)

    def _try_again(self, error: ChildError) -> None:
        try:
            self._decoder.blame(self.arrival, error)
        except PoisonError as poison:
            self._outcome = poison
        else:
            self._ask()


def refuse_poison(tries: int, cause: str) -> None:
    """Refuse a file that has ended too many processes.

    Raises:
        PoisonError: It has.
    """
    if tries >= MAX_TRIES:
        raise PoisonError(
            f"this picture could not be read: it was given up after {tries} tries (the last: the decoder {cause}); "
            "export it again, and keep this file for whoever looks after the box"
        )


def refuse_suspect(tries: int) -> None:
    """Refuse a file during which the agent itself has ended too often, by whatever cause.

    Raises:
        PoisonError: It has.
    """
    if tries >= MAX_TRIES:
        raise PoisonError(
            f"the box stopped {tries} times while it worked on this picture; that may have been chance, as when its "
            "plug was pulled: try the picture again, and if the box stops again, tell whoever looks after it"
        )


def one_ahead(arrivals: Iterable[Arrival | None], decoder: Decoder) -> Iterator[Decoding]:
    """Yield each file once the child is done with it, while the child decodes the next one.

    A file that has ended a process before is decoded alone, so that no other is blamed for it.

    Args:
        arrivals: Files, and None where none is due for now.
        decoder: The child.
    """
    under_way: Decoding | None = None
    for arrival in arrivals:
        done, under_way = under_way, None
        if done is not None:
            done.wait()
        suspect = arrival is not None and decoder.tries(arrival) > 0
        if arrival is not None and not suspect:
            under_way = decoder.start(arrival)
        if done is not None:
            yield done
        if arrival is not None and suspect:
            alone = decoder.start(arrival)
            alone.wait()
            yield alone


def _descriptor(pipe: object) -> int:
    number: int = pipe.fileno()  # type: ignore[attr-defined]
    return number
