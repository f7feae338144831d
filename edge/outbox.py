"""The outbox: the truth about which reports are still owed. SQLite, one row a report.

Invariant: a report that `put` returned for survives a power cut and is owed until the doctor's inbox has sent its
receipt. The pipeline and the publisher each hold an `Outbox` of their own on the same file and share nothing else.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib.resources import files
from pathlib import Path

import msgspec

from edge.database import Database
from edge.messages import Report, encode


class State(StrEnum):
    """How far a report has come."""

    QUEUED = "queued"
    """Nobody but this box has it."""
    SENT = "sent"
    """The broker has acknowledged it, which proves nothing about the doctor."""
    REFUSED = "refused"
    """The broker has refused it, with a reason; it is tried again later."""
    RECEIVED = "received"
    """The doctor's inbox has stored it; nothing is owed any more."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One report in the outbox.

    Attributes:
        report: With its `seq`, and `replayed` set where it was sent before.
        state: How far it has come.
        attempts: How often it was handed to a broker.
        last_error: Why the broker refused it last, else None.
    """

    report: Report
    state: State
    attempts: int
    last_error: str | None


class Outbox(Database):
    """An open outbox.

    Args:
        path: The SQLite file, on a local disk; made if absent.

    Raises:
        DatabaseError: The file is no outbox, is damaged, or the disk is full or read-only.
    """

    def __init__(self, path: Path) -> None:
        schema = files("edge").joinpath("outbox.sql").read_text(encoding="utf-8")
        super().__init__(path, schema=schema, what="the outbox", elsewhere="--state FOLDER")

    def put(self, report: Report) -> bool:
        """Make a report durable. Putting the same id again changes nothing.

        Returns:
            True if the report is new, False if the outbox knows its id.

        Raises:
            DatabaseError: The disk did not take it; the caller must not let go of the original.
        """
        # ON CONFLICT DO NOTHING would use up a number; a gap in seq must mean that a report is missing.
        added = self.execute(
            "INSERT INTO report (id, document, state) SELECT ?1, ?2, 'queued' "
            "WHERE NOT EXISTS (SELECT 1 FROM report WHERE id = ?1)",
            (report.id, encode(report)),
        )
        return added.rowcount == 1

    def owed(self, *, after_seq: int = 0, limit: int) -> list[Entry]:
        """The next reports without a receipt, in order of `seq`."""
        rows = self.execute(
            "SELECT seq, document, state, attempts, last_error FROM report "
            "WHERE state != 'received' AND seq > ? ORDER BY seq LIMIT ?",
            (after_seq, limit),
        )
        return [_entry(row) for row in rows]

    def still_owed(self, seq: int) -> Entry | None:
        """One report by its number, or None if the doctor's inbox has it."""
        row = self.execute(
            "SELECT seq, document, state, attempts, last_error FROM report WHERE seq = ? AND state != 'received'",
            (seq,),
        ).fetchone()
        return None if row is None else _entry(row)

    def mark_tried(self, seqs: Sequence[int]) -> None:
        """Note, before reports are handed to the broker, that they may have been sent."""
        if seqs:
            marks = ", ".join("?" * len(seqs))
            self.execute(
                f"UPDATE report SET attempts = attempts + 1 WHERE seq IN ({marks})",  # noqa: S608 - marks only
                tuple(seqs),
            )

    def mark_sent(self, seq: int) -> None:
        """Note that the broker has the report."""
        self._advance("seq = ?", seq, State.SENT, None)

    def mark_refused(self, seq: int, reason: str) -> None:
        """Note that the broker refused the report: it counts as not delivered."""
        self._advance("seq = ?", seq, State.REFUSED, reason)

    def mark_received(self, report_id: str) -> bool:
        """Note that the doctor's inbox has the report.

        Returns:
            False where the outbox holds no such report still owed.
        """
        return self._advance("id = ?", report_id, State.RECEIVED, None)

    def count_owed(self) -> int:
        """Number of reports without a receipt."""
        return int(self.execute("SELECT count(*) FROM report WHERE state != 'received'").fetchone()[0])

    def fact(self, name: str) -> str | None:
        """A remembered value, else None."""
        row = self.execute("SELECT value FROM fact WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def remember(self, name: str, value: str) -> None:
        """Keep a value for later processes."""
        self.execute("INSERT INTO fact VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value", (name, value))

    def _advance(self, where: str, key: int | str, state: State, error: str | None) -> bool:
        """The only transition: any state to any other, but none leads away from `received`."""
        changed = self.execute(
            f"UPDATE report SET state = ?, last_error = ? WHERE {where} AND state != 'received'",  # noqa: S608 - ours
            (state, error, key),
        )
        return changed.rowcount == 1


def _entry(row: tuple[int, bytes, str, int, str | None]) -> Entry:
    seq, document, state, attempts, last_error = row
    report = msgspec.json.decode(document, type=Report)
    return Entry(
        report=msgspec.structs.replace(report, seq=seq, replayed=attempts > 0),
        state=State(state),
        attempts=attempts,
        last_error=last_error,
    )
