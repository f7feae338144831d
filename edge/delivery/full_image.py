"""A report's picture in full resolution, piece by piece: a PNG made of the decoded pixels, never the original file.

Invariant: the PNG holds pixels and nothing else, with the regions blanked that a preview has blank; and it is the same,
byte for byte, however often it is made, so that a transfer goes on where it broke off.
"""

from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final

from PIL import Image

from edge.delivery.requests import Done, RefusedError
from edge.outbox.entry import Entry
from edge.outbox.outbox import Outbox
from edge.preview import blanked
from edge.settings.delivery import Region
from edge.study import Radiograph
from edge.wire.messages import Chunk, Request

FOLDER: Final = "fetched"
"""In the state folder: pictures that are being fetched."""
KEPT: Final = 3
"""So many of them; each can be made again."""
MEDIA_TYPE: Final = "image/png"


class FullImages:
    """Answers requests for pictures.

    Args:
        state_dir: Where pictures lie while they are fetched.
        decode: A file to its hash and its picture in full resolution.
        blank: Regions to blacken.
    """

    def __init__(
        self, state_dir: Path, decode: Callable[[Path], tuple[str, Radiograph]], *, blank: Sequence[Region]
    ) -> None:
        self._folder = state_dir / FOLDER
        self._decode = decode
        self._blank = blank
        self._hashes: dict[Path, str] = {}

    def piece(self, request: Request, outbox: Outbox) -> Done:
        """The wanted piece of the wanted picture.

        Raises:
            RefusedError: No such report, the original is gone, or the piece begins beyond the end.
            UnreadableImageError: The original cannot be decoded any more.
        """
        path = self._picture(request, outbox)
        total_bytes = path.stat().st_size
        if request.offset_bytes >= total_bytes:
            raise RefusedError(f"the picture has {total_bytes} bytes, the piece would begin at {request.offset_bytes}")
        if path not in self._hashes:
            self._hashes[path] = sha256(path.read_bytes()).hexdigest()
        with path.open("rb") as file:
            file.seek(request.offset_bytes)
            content = file.read(request.size_bytes)
        return Done(
            chunk=Chunk(
                media_type=MEDIA_TYPE,
                total_bytes=total_bytes,
                sha256=self._hashes[path],
                offset_bytes=request.offset_bytes,
                content=content,
            )
        )

    def _picture(self, request: Request, outbox: Outbox) -> Path:
        entry = None if request.id is None else outbox.entry(request.id)
        if entry is None:
            raise RefusedError(f"this box has no report {request.id}")
        path = self._folder / f"{entry.report.id}.png"
        if path.exists():
            path.touch()  # the most recently asked for stays longest
            return path
        radiograph = self._original(entry)
        self._make_room()
        partial = path.with_suffix(".part")
        Image.fromarray(blanked(radiograph.pixels, self._blank)).save(partial, "PNG")
        partial.rename(path)
        return path

    def _original(self, entry: Entry) -> Radiograph:
        place = None if entry.place is None else Path(entry.place)
        if place is not None and place.is_file():
            found, radiograph = self._decode(place)
            if entry.report.picture is not None and entry.report.picture.sha256 == found:
                return radiograph
        raise RefusedError("the original is no longer where the box has put it; ask the clinic for the picture")

    def _make_room(self) -> None:
        self._folder.mkdir(exist_ok=True)
        there = sorted(self._folder.iterdir(), key=lambda path: path.stat().st_mtime_ns, reverse=True)
        for path in there[KEPT - 1 :]:
            path.unlink(missing_ok=True)
            self._hashes.pop(path, None)
