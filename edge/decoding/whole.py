"""A file in full resolution, decoded once in a child process of its own. Slow and seldom: for a doctor who asks for it.

Invariant: as with `edge.decoding.decoder`, whatever the file does to the child, the agent goes on.
"""

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np

from edge.decoding.child import LENGTH_BYTES, Answer, Task
from edge.errors import UnreadableImageError
from edge.study import Radiograph


def decode_whole(path: Path, *, timeout_s: float, max_memory_bytes: int) -> tuple[str, Radiograph]:
    """Decode a file without reducing a large JPEG.

    Args:
        path: The file.
        timeout_s: The child is killed after this.
        max_memory_bytes: What the picture may take.

    Returns:
        SHA-256 of the file, and its picture.

    Raises:
        UnreadableImageError: It cannot be read or decoded, takes too long or too much memory.
    """
    task = msgspec.json.encode(Task(os.fsencode(path), whole=True))
    try:
        done = subprocess.run(
            [sys.executable, "-m", "edge.decoding.child", str(max_memory_bytes)],
            input=len(task).to_bytes(LENGTH_BYTES, "big") + task,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=timeout_s,
            check=True,
        )
    except subprocess.TimeoutExpired as error:
        raise UnreadableImageError(f"the picture takes more than {timeout_s:g} s to decode") from error
    except subprocess.CalledProcessError as error:
        raise UnreadableImageError("the picture ended the process that decoded it") from error
    end = LENGTH_BYTES + int.from_bytes(done.stdout[:LENGTH_BYTES], "big")
    answer = msgspec.json.decode(done.stdout[LENGTH_BYTES:end], type=Answer)
    if answer.error is not None:
        raise UnreadableImageError(answer.error)
    pixels = np.frombuffer(done.stdout, np.uint8, offset=end).reshape(answer.height_px, answer.width_px)
    return answer.sha256, Radiograph(
        pixels=pixels,
        media_type=answer.media_type,
        source_mode=answer.source_mode,
        source_width_px=answer.source_width_px,
        source_height_px=answer.source_height_px,
    )
