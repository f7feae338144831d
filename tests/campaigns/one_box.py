"""One agent's folders in a campaign, what is handed to it, and what can be seen of it from outside."""

import http.client
import sqlite3
import tempfile
from contextlib import closing, suppress
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path

from peers import Images, quiet_port


class Box:
    """One agent's folders."""

    def __init__(self, folder: Path, images: Images) -> None:
        self.folder = folder
        self.name = folder.name
        self.watched = folder / "in"
        self.state = folder / "state"
        self.log = folder.parent / f"{folder.name}.log"
        self.ledger = folder.parent / f"{folder.name}.calls"
        self._images = images
        self.page = f"127.0.0.1:{quiet_port()}"
        self.digests: list[str] = []
        self._to_send: bytes | None = None
        self.watched.mkdir(parents=True)

    def drop(self) -> None:
        """One more picture into the watched folder."""
        path, digest = self._images.drop()
        path.rename(self.watched / path.name)
        self.digests.append(digest)

    def send_later(self) -> None:
        """One more picture, to be sent to the box's page as soon as that takes it."""
        path, digest = self._images.drop()
        self._to_send = path.read_bytes()
        self.digests.append(digest)

    def send(self) -> bool:
        """Send what is to be sent, again and again until the box has said that it has it; whether it has."""
        if self._to_send is not None:
            with suppress(OSError, http.client.HTTPException):
                page = http.client.HTTPConnection(self.page, timeout=2)
                with closing(page):
                    page.request("POST", "/studies", self._to_send)
                    if page.getresponse().status == HTTPStatus.ACCEPTED:
                        self._to_send = None
        return self._to_send is None

    def drop_no_picture(self) -> None:
        """A file that no decoder takes."""
        (self.watched / "broken.png").write_bytes(b"no picture")

    def outbox(self, question: str) -> list[tuple[object, ...]]:
        """An answer of the outbox as it lies on the disk: of a copy, so that only agents ever repair the original."""
        with tempfile.TemporaryDirectory(dir=self.folder.parent) as copy:
            for path in self.state.glob("outbox.sqlite3*"):
                with suppress(FileNotFoundError):
                    if not path.name.endswith("-shm"):
                        (Path(copy) / path.name).write_bytes(path.read_bytes())
            with suppress(sqlite3.Error), closing(sqlite3.connect(Path(copy) / "outbox.sqlite3")) as outbox:
                return outbox.execute(question).fetchall()
        return []

    def archived(self) -> list[str]:
        """Of each original in an archive its digest."""
        paths = (*self.watched.glob("archive/*"), *self.state.glob("spool/*/archive/*"))
        return [sha256(path.read_bytes()).hexdigest() for path in paths]

    def set_aside(self) -> list[str]:
        """Names in quarantine."""
        paths = (*self.watched.glob("quarantine/*"), *self.state.glob("spool/*/quarantine/*"))
        return sorted(path.name for path in paths)

    def left(self) -> list[str]:
        """What still lies where files arrive or are worked on."""
        places = (self.watched, *self.watched.glob("claimed/*"), *self.state.glob("spool/*"))
        return [path.name for place in places for path in place.iterdir() if path.is_file() and path.suffix != ".part"]
