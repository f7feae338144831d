"""The process in which pictures are decoded, so that a file that crashes, hangs or swells a decoder ends nothing else.

Started by `edge.decoding.decoder` as `python -m edge.decoding.child BYTES`. It takes paths on stdin and answers on
stdout, one after the other: four bytes of length, an `Answer` as JSON, then the network's input and the preview. It
writes nothing else anywhere, because what a decoder complains about may quote a patient's name. Invariant: it never
needs more memory than it was given, and it is gone as soon as the agent is.
"""

import ctypes
import os
import resource
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from edge.decoding.decode import MAX_SIZE_BYTES, read
from edge.decoding.pixels import TOO_MUCH_MEMORY
from edge.errors import QuarantineError
from edge.preprocess import preprocess
from edge.preview import preview
from edge.settings.delivery import Region
from edge.study import Identity, sha256_of

LENGTH_BYTES: Final = 4
NICENESS: Final = 3
"""So far behind the agent in the queue for a core: it works ahead, and while the network runs nobody waits for it."""
_PR_SET_PDEATHSIG: Final = 1


class Task(msgspec.Struct, frozen=True):
    """What is to be decoded.

    Attributes:
        path: The file; as bytes, because not every file's name is text.
        whole: Whether a large JPEG keeps its size.
        max_preview_bytes: So large may the preview be that is made, too; 0 for none.
        blank: Regions to blacken in the preview, as fractions of width and height.
    """

    path: bytes
    whole: bool = False
    max_preview_bytes: int = 0
    blank: tuple[Region, ...] = ()


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What became of it.

    Attributes:
        error: Why it is no picture, else None; with an error everything below is empty.
        sha256: Of the file.
        identity: Whom a DICOM image shows.
        height_px: Of the decoded picture.
        width_px: Likewise.
        pixels_bytes: Size of the pixels that follow: the decoded picture's, `(H, W)`, where it was wanted whole; else
            the network's input, `(224, 224, 3)`.
        media_type: As in `Radiograph`, like the three below.
        decode_ms: How long reading and decoding took.
        preprocess_ms: How long making the network's input took.
        preview_bytes: Size of the JPEG that follows behind the pixels; 0 where none does.
    """

    error: str | None = None
    sha256: str = ""
    identity: Identity | None = None
    height_px: int = 0
    width_px: int = 0
    pixels_bytes: int = 0
    media_type: str = ""
    source_mode: str = ""
    source_width_px: int = 0
    source_height_px: int = 0
    decode_ms: float = 0.0
    preprocess_ms: float = 0.0
    preview_bytes: int = 0


def main() -> None:
    """Serve until the agent closes the pipe."""
    tasks, answers = _quiet_pipes()
    os.nice(NICENESS)
    _end_with_parent()
    _limit_memory(int(sys.argv[1]))
    for task in _frames(tasks):
        answer, pixels, picture = _answer(msgspec.json.decode(task, type=Task))
        header = msgspec.json.encode(answer)
        _write(answers, len(header).to_bytes(LENGTH_BYTES, "big") + header)
        _write(answers, pixels)
        _write(answers, picture)


def _answer(task: Task) -> tuple[Answer, bytes | memoryview, bytes]:
    try:
        return _answer_with_picture(task)
    except OSError as error:
        return Answer(error=f"expected a readable image file: {error.strerror}"), b"", b""
    except MemoryError:
        return Answer(error=TOO_MUCH_MEMORY), b"", b""
    except QuarantineError as error:
        return Answer(error=str(error)), b"", b""


def _answer_with_picture(task: Task) -> tuple[Answer, memoryview, bytes]:
    start_s = time.perf_counter()
    with Path(os.fsdecode(task.path)).open("rb") as file:
        # Exactly as much as there is: `read` sets aside what it is asked for.
        content = file.read(min(os.fstat(file.fileno()).st_size, MAX_SIZE_BYTES) + 1)
    radiograph, identity = read(content, whole=task.whole)
    decoded_s = time.perf_counter()
    pixels = radiograph.pixels if task.whole else preprocess(radiograph)
    prepared_s = time.perf_counter()
    picture = preview(radiograph, max_bytes=task.max_preview_bytes, blank=task.blank) or b""
    height_px, width_px = radiograph.pixels.shape
    answer = Answer(
        sha256=sha256_of(content),
        identity=identity,
        height_px=height_px,
        width_px=width_px,
        pixels_bytes=pixels.size,
        media_type=radiograph.media_type,
        source_mode=radiograph.source_mode,
        source_width_px=radiograph.source_width_px,
        source_height_px=radiograph.source_height_px,
        decode_ms=round((decoded_s - start_s) * 1000, 2),
        preprocess_ms=round((prepared_s - decoded_s) * 1000, 2),
        preview_bytes=len(picture),
    )
    return answer, np.ascontiguousarray(pixels).data.cast("B"), picture


def _quiet_pipes() -> tuple[int, int]:
    """Keep both pipes for ourselves, so that no library writes between the answers."""
    tasks, answers = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    return tasks, answers


def _end_with_parent() -> None:
    """Die when the agent is killed, and leave every other signal to it: an orderly end comes through the pipe."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _limit_memory(more_bytes: int) -> None:
    """Allow so much address space beyond what the interpreter and its libraries have taken by now."""
    taken = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    limit = taken + more_bytes
    resource.setrlimit(resource.RLIMIT_AS, (limit if most == resource.RLIM_INFINITY else min(limit, most), most))


def _frames(descriptor: int) -> Iterator[bytes]:
    while len(length := _read(descriptor, LENGTH_BYTES)) == LENGTH_BYTES:
        yield _read(descriptor, int.from_bytes(length, "big"))


def _read(descriptor: int, size_bytes: int) -> bytes:
    content = b""
    while len(content) < size_bytes and (piece := os.read(descriptor, size_bytes - len(content))):
        content += piece
    return content


def _write(descriptor: int, content: bytes | memoryview) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


if __name__ == "__main__":
    main()
