"""The outbox: the truth about which reports are still owed. SQLite, one row a report.

Invariant: a report that `put` returned for survives a power cut, with its preview, and is owed until the doctor's inbox
has sent its receipt. Nothing that is owed is ever dropped: a full outbox takes no new work instead. The pipeline and
the publisher each hold an `Outbox` of their own on the same file and share nothing else.
"""

import shutil
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Final, Literal

import msgspec

from edge.database import Database
from edge.outbox.entry import Entry, Parcel, State
from edge.settings.delivery import OutboxConfig
from edge.wire.messages import Report, Review, encode
from edge.wire.topics import Kind

Payload = Literal[Kind.REPORT, Kind.PREVIEW]
"""What the outbox owes of a report: itself, and its picture."""
OUTBOX_NAME: Final = "outbox.sqlite3"
"""Its file's name in the state folder."""
LIMITS: Final = OutboxConfig()

_ENTRY: Final = "seq, content, state, attempts, last_error, stored_at, review, place"
_TABLE: Final = {Kind.REPORT: "report", Kind.PREVIEW: "preview"}
_PARCELS: Final = {
    Kind.REPORT: "SELECT seq, id, content, attempts FROM report JOIN document USING (seq) "
    "WHERE state != 'received' AND ",
    # A picture follows its report's receipt: it holds up no finding, and is not sent while no doctor's end is there.
    Kind.PREVIEW: "SELECT seq, id, jpeg, preview.attempts FROM preview JOIN report USING (seq) "
    "WHERE owed = 1 AND state = 'received' AND ",
}
_ROUNDS: Final = "rounds of sending asked for"
_DROPPED_AT_ONCE: Final = 100
_NEITHER: Final = b'"seq":0,"replayed":false'
"""In every report as it is stored."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Outbox(Database):
    """An open outbox.

    Args:
        path: The SQLite file, on a local disk; made if absent.
        limits: When it counts as full.
        clock: Tells aware UTC.

    Raises:
        DatabaseError: The file is no outbox, is damaged, or the disk is full or read-only.
    """

    def __init__(self, path: Path, *, limits: OutboxConfig = LIMITS, clock: Callable[[], datetime] = _utc_now) -> None:
        schema, *migrations = (
            files("edge.outbox").joinpath(name).read_text(encoding="utf-8") for name in ("outbox.sql", "outbox_2.sql")
        )
        super().__init__(path, schema=schema, migrations=migrations, what="the outbox", elsewhere="--state FOLDER")
        self._path = path
        self._limits = limits
        self._clock = clock

    def put(self, report: Report, *, preview: bytes | None = None, place: Path | None = None) -> bool:
        """Make a report and its preview durable, together. Putting the same id again changes nothing.

        Args:
            report: Its `seq` is set here.
            preview: A JPEG.
            place: Where the original lies.

        Returns:
            True if the report is new, False if the outbox knows its id.

        Raises:
            DatabaseError: The disk did not take it; the caller must not let go of the original.
        """
        with self.transaction():
            # ON CONFLICT DO NOTHING would use up a number; a gap in seq must mean that a report is missing.
            added = self.execute(
                "INSERT INTO report (id, state, stored_at, place) SELECT ?1, 'queued', ?2, ?3 "
                "WHERE NOT EXISTS (SELECT 1 FROM report WHERE id = ?1)",
                (report.id, _moment(self._clock()), None if place is None else str(place)),
            )
            if added.rowcount == 1:
                self.execute("INSERT INTO document VALUES (?, ?)", (added.lastrowid, encode(report)))
            if added.rowcount == 1 and preview is not None:
                self.execute("INSERT INTO preview (seq, jpeg) VALUES (?, ?)", (added.lastrowid, preview))
        return added.rowcount == 1

    def owed(self, *, after_seq: int = 0, limit: int) -> list[Entry]:
        """The next reports without a receipt, in order of `seq`."""
        return self._entries("state != 'received' AND seq > ? ORDER BY seq LIMIT ?", after_seq, limit)

    def recent(self, *, since: datetime | None = None, limit: int, before_seq: int | None = None) -> list[Entry]:
        """Reports, newest first.

        Args:
            since: None that entered the outbox before this.
            limit: So many at most.
            before_seq: To go on after a page: its last number.
        """
        return self._entries(
            "stored_at >= ? AND seq < ? ORDER BY seq DESC LIMIT ?",
            "" if since is None else _moment(since),
            2**63 - 1 if before_seq is None else before_seq,
            limit,
        )

    def entry(self, report_id: str) -> Entry | None:
        """One report, or None where the outbox has never had it."""
        return next(iter(self._entries("id = ?", report_id)), None)

    def asked_for(self, *, among: int) -> list[Entry]:
        """Reports whose doctor wants to be called or wants a new picture, newest first, among the newest so many."""
        return self._entries(
            "seq > (SELECT max(seq) FROM report) - ? AND review IS NOT NULL AND "
            "(json_extract(CAST(review AS TEXT), '$.call_back') OR json_extract(CAST(review AS TEXT), '$.new_image')) "
            "ORDER BY seq DESC",
            among,
        )

    def unanswered(self, older_than: timedelta, now: datetime, *, limit: int = 1000) -> list[Entry]:
        """Reports that nobody has answered for a while, whether or not they have reached the doctor, oldest first."""
        return self._entries(
            "answered = 0 AND stored_at < ? ORDER BY stored_at LIMIT ?", _moment(now - older_than), limit
        )

    def count_unanswered(self, older_than: timedelta, now: datetime) -> int:
        """How many those are."""
        return self._number(
            "SELECT count(*) FROM report WHERE answered = 0 AND stored_at < ?", _moment(now - older_than)
        )

    def count_owed(self) -> int:
        """Number of reports without a receipt."""
        return self._number("SELECT count(*) FROM report WHERE state != 'received'")

    def preview(self, report_id: str) -> bytes | None:
        """A report's picture, a JPEG; None where it has none or has it no more."""
        row = self.execute("SELECT jpeg FROM preview JOIN report USING (seq) WHERE id = ?", (report_id,)).fetchone()
        return None if row is None else bytes(row[0])

    def place(self, report_id: str) -> Path | None:
        """Where the original lies on this box, as far as it is known."""
        row = self.execute("SELECT place FROM report WHERE id = ?", (report_id,)).fetchone()
        return None if row is None or row[0] is None else Path(row[0])

    def set_place(self, report_id: str, path: Path | None) -> None:
        """Note where the original lies; None where it is no more."""
        self.execute("UPDATE report SET place = ? WHERE id = ?", (None if path is None else str(path), report_id))

    def delivered(self, *, after_seq: int, limit: int) -> list[Entry]:
        """Reports that the doctor's inbox has and whose original lies on this box, oldest first."""
        return self._entries(
            "state = 'received' AND place IS NOT NULL AND seq > ? ORDER BY seq LIMIT ?", after_seq, limit
        )

    def parcels(self, kind: Payload, *, after_seq: int, limit: int) -> list[Parcel]:
        """The next reports or previews to be sent, in order of `seq`."""
        rows = self.execute(f"{_PARCELS[kind]} seq > ? ORDER BY seq LIMIT ?", (after_seq, limit))
        return [_parcel(kind, row) for row in rows]

    def parcel(self, kind: Payload, seq: int) -> Parcel | None:
        """One of them by its number, or None if it is not owed any more."""
        row = self.execute(f"{_PARCELS[kind]} seq = ?", (seq,)).fetchone()
        return None if row is None else _parcel(kind, row)

    def mark_tried(self, seqs: Sequence[int], kind: Payload = Kind.REPORT) -> None:
        """Note, before reports or previews are handed to the broker, that they may have been sent."""
        if seqs:
            marks = ", ".join("?" * len(seqs))
            update = f"UPDATE {_TABLE[kind]} SET attempts = attempts + 1 WHERE seq IN ({marks})"  # noqa: S608 - ours
            with self.transaction(synced=False):  # after a power cut a repetition may not know that it is one
                self.execute(update, tuple(seqs))

    def mark_sent(self, seq: int) -> None:
        """Note that the broker has the report."""
        self._advance("seq = ?", seq, State.SENT, None)

    def mark_refused(self, seq: int, reason: str, kind: Payload = Kind.REPORT) -> None:
        """Note that the broker refused the report or the preview: it counts as not delivered."""
        if kind is Kind.REPORT:
            self._advance("seq = ?", seq, State.REFUSED, reason)
        else:
            self.execute("UPDATE preview SET last_error = ? WHERE seq = ?", (reason, seq))

    def mark_received(self, report_id: str, *, preview: bool = False) -> int | None:
        """Note that the doctor's inbox has the report, and perhaps its preview.

        Returns:
            The report's number; None where the outbox holds no such report still owed.
        """
        if preview:
            self.execute(
                "UPDATE preview SET owed = 0, last_error = NULL WHERE seq = (SELECT seq FROM report WHERE id = ?)",
                (report_id,),
            )
        return self._advance("id = ?", report_id, State.RECEIVED, None)

    def add_review(self, review: Review) -> bool:
        """Make the doctor's review durable; a report that was read was also received.

        Returns:
            False where the outbox has this revision or a later one, or has never had the report.
        """
        added = self.execute(
            "UPDATE report SET revision = ?, review = ?, answered = ?, state = 'received', last_error = NULL "
            "WHERE id = ? AND revision < ?",
            (review.revision, encode(review), int(review.state == "answered"), review.id, review.revision),
        )
        return added.rowcount == 1

    def retry(self) -> None:
        """Have the publisher send all that is owed at once, without waiting for its time."""
        self.execute(
            "INSERT INTO fact VALUES (?, '1') ON CONFLICT DO UPDATE SET value = CAST(value AS INTEGER) + 1", (_ROUNDS,)
        )

    def rounds(self) -> int:
        """How often that was asked for."""
        return int(self.fact(_ROUNDS) or 0)

    def resend(self, report_id: str | None = None) -> int:
        """Owe a report and its preview again, or all of them, although the doctor's inbox may have them.

        Returns:
            How many.
        """
        which, values = ("1", ()) if report_id is None else ("id = ?", (report_id,))
        with self.transaction():
            found = self.execute(f"UPDATE report SET state = 'queued', last_error = NULL WHERE {which}", values)  # noqa: S608 - ours
            self.execute(f"UPDATE preview SET owed = 1 WHERE seq IN (SELECT seq FROM report WHERE {which})", values)  # noqa: S608
            self.retry()
        return found.rowcount

    def is_full(self) -> str | None:
        """Why no new work may be taken, in a sentence for a person; None where there is room.

        Pictures that the doctor's inbox has make room first, the oldest of them; what is owed stays.
        """
        free_bytes = shutil.disk_usage(self._path.parent).free
        if free_bytes < self._limits.min_free_bytes:
            least_mb = self._limits.min_free_bytes // 2**20
            return f"the box's disk has {free_bytes // 2**20} MB left, {least_mb} MB are needed; free disk space"
        while (used_bytes := self._used_bytes()) > self._limits.max_bytes:
            dropped = self.execute(
                "DELETE FROM preview WHERE seq IN (SELECT seq FROM preview WHERE owed = 0 ORDER BY seq LIMIT ?)",
                (_DROPPED_AT_ONCE,),
            )
            if dropped.rowcount == 0:
                return (
                    f"{self.count_owed()} reports wait for the doctor's inbox and fill {used_bytes // 2**20} MB of the "
                    f"{self._limits.max_bytes // 2**20} MB that the box may keep; see to the line and the doctor's end"
                )
        return None

    def fact(self, name: str) -> str | None:
        """A remembered value, else None."""
        row = self.execute("SELECT value FROM fact WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def remember(self, name: str, value: str) -> None:
        """Keep a value for later processes."""
        self.execute("INSERT INTO fact VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value", (name, value))

    def _used_bytes(self) -> int:
        pages = self._number("PRAGMA page_count") - self._number("PRAGMA freelist_count")
        return pages * self._number("PRAGMA page_size")

    def _number(self, statement: str, *values: object) -> int:
        return int(self.execute(statement, values).fetchone()[0])

    def _entries(self, where: str, *values: object) -> list[Entry]:
        query = f"SELECT {_ENTRY} FROM report JOIN document USING (seq) WHERE {where}"  # noqa: S608 - ours
        return [_entry(row) for row in self.execute(query, values)]

    def _advance(self, where: str, key: int | str, state: State, error: str | None) -> int | None:
        """The only transition of a delivery: any state to any other, but none leads away from `received`."""
        changed = self.execute(
            f"UPDATE report SET state = ?, last_error = ? WHERE {where} AND state != 'received' RETURNING seq",  # noqa: S608 - ours
            (state, error, key),
        ).fetchone()
        return None if changed is None else int(changed[0])


def _moment(at: datetime) -> str:
    """As text that sorts by time."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def _entry(row: tuple[int, bytes, str, int, str | None, str, bytes | None, str | None]) -> Entry:
    seq, document, state, attempts, last_error, stored_at, review, place = row
    return Entry(
        report=_report(seq, document, attempts),
        state=State(state),
        attempts=attempts,
        last_error=last_error,
        stored_at=datetime.fromisoformat(stored_at),
        review=None if review is None else msgspec.json.decode(review, type=Review),
        place=place,
    )


def _parcel(kind: Payload, row: tuple[int, str, bytes, int]) -> Parcel:
    seq, report_id, content, attempts = row
    payload = _wire_form(seq, content, attempts) if kind is Kind.REPORT else content
    return Parcel(seq, report_id, payload, attempts)


def _wire_form(seq: int, document: bytes, attempts: int) -> bytes:
    """The report's JSON with its `seq` and `replayed`, put in as bytes: much faster than decoding and encoding."""
    if document.count(_NEITHER) != 1:  # no text in JSON can hold these quotes; another version might write them apart
        return encode(_report(seq, document, attempts))
    return document.replace(_NEITHER, b'"seq":%d,"replayed":%s' % (seq, b"true" if attempts else b"false"))


def _report(seq: int, document: bytes, attempts: int) -> Report:
    return msgspec.structs.replace(msgspec.json.decode(document, type=Report), seq=seq, replayed=attempts > 0)
