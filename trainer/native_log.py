"""TensorFlow's native chatter, kept off the terminal line by line.

TensorFlow's C++ code writes to file descriptor 2, past Python's logging, and cannot be told apart by level: some of its
harmless notes are logged as errors. So each line is held against the list below, and what is not on it comes through.
"""

import os
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Final

_LEVEL = r"^[IWE]0000 \S+\s+\d+ "
HARMLESS: Final = tuple(
    re.compile(pattern)
    for pattern in (
        r"^WARNING: All log messages before absl::InitializeLog\(\) is called are written to STDERR",
        r"^I0000 ",  # notes below the level of a warning
        r"^INFO: ",  # likewise, in LiteRT's spelling
        r"^To enable the following instructions: ",  # second line of a note about the build
        _LEVEL + r"cuda_platform\.cc.*failed call to cuInit",  # no GPU: we ask for none
        _LEVEL
        + r"tf_tfl_flatbuffer_helpers\.cc.*Ignored (output_format|drop_control_dependency)",  # the converter's own
        _LEVEL + r"flatbuffer_export\.cc.*Skipping runtime version metadata",
        r"^fully_quantize: \d+, inference_type: \d+",  # a print left in the quantizer
    )
)


@contextmanager
def without_chatter() -> Iterator[None]:
    """Filter native lines of file descriptor 2 while the block runs; Python's own stderr goes past the filter."""
    sys.stderr.flush()
    terminal = os.dup(2)
    source, sink = os.pipe()
    os.dup2(sink, 2)
    os.close(sink)
    reader = threading.Thread(target=_pump, args=(source, terminal), daemon=True)
    reader.start()
    original = sys.stderr
    try:
        with os.fdopen(os.dup(terminal), "w", encoding="utf-8", errors="backslashreplace", buffering=1) as unfiltered:
            if _is_descriptor_2(original):
                sys.stderr = unfiltered
            yield
    finally:
        sys.stderr = original
        os.dup2(terminal, 2)  # closes the last sink, so the reader comes to an end
        reader.join()
        os.close(terminal)


def _is_descriptor_2(stream: IO[str]) -> bool:
    try:
        return stream.fileno() == 2  # noqa: PLR2004 - stderr's number on POSIX
    except (OSError, ValueError):  # a stream without a descriptor, such as a test's
        return False


def _pump(source: int, terminal: int) -> None:
    with os.fdopen(source, "rb") as lines:
        for line in lines:
            if not any(pattern.search(line.decode(errors="replace")) for pattern in HARMLESS):
                os.write(terminal, line)
