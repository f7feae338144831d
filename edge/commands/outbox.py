"""`edge-agent outbox list | show | retry | export`: what waits, how far it has come, and what to do about it."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from edge.errors import ConfigError
from edge.outbox.entry import Entry, State
from edge.outbox.outbox import OUTBOX_NAME, Outbox
from edge.settings.state_option import add_state_options, state_file
from edge.wire.messages import NOTICE, encode

_PAGE: Final = 200
_HOW_FAR: Final = {
    "queued": "waits on this box",
    "broker": "the broker has it, the doctor's end has not said so",
    "doctor": "the doctor's end has it",
    "opened": "a doctor has opened it",
    "answered": "answered",
}


def add(commands: Any) -> None:
    """Add the command `outbox` to the agent's commands."""
    parser = commands.add_parser(
        "outbox",
        help="list, show, send again or export what the box has reported",
        description=f"Look into the outbox, also while the agent runs. {NOTICE}",
        epilog="exit codes: 0 done, 1 the outbox cannot be used, 78 there is no such outbox or report.",
    )
    actions = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    listing = actions.add_parser("list", help="reports, newest first, with how far each has come")
    listing.add_argument(
        "--waiting", action="store_true", help="only those the doctor's end does not have, oldest first"
    )
    listing.add_argument("--limit", metavar="N", type=int, default=50, help="so many at most (default: 50)")
    show = actions.add_parser("show", help="all that is known of a report, with the doctor's answer")
    show.add_argument("id", metavar="ID", help="of the report, 32 hex digits")
    retry = actions.add_parser(
        "retry",
        help="send at once what waits, or a report that the doctor's end may have lost",
        description="Without an ID: send all that waits now, without waiting for its time. "
        "With one: send that report and its picture again even if the doctor's end has them.",
    )
    retry.add_argument("ids", nargs="*", metavar="ID", help="of a report, 32 hex digits")
    export = actions.add_parser(
        "export",
        help="write reports, pictures and answers into a folder",
        description="Write SEQ-ID.report.json, and .preview.jpg and .review.json where there are any. "
        "They hold tokens in the place of patients. The outbox stays as it is.",
    )
    export.add_argument("folder", metavar="DIR", type=Path, help="is made if absent")
    export.add_argument("--waiting", action="store_true", help="only those the doctor's end does not have")
    for action, command in ((listing, _list), (show, _show), (retry, _retry), (export, _export)):
        add_state_options(action)
        action.set_defaults(command=command)
    for action in (listing, show):
        action.add_argument("--json", action="store_true", help="one JSON document per report")


def _list(arguments: argparse.Namespace) -> int:
    with _outbox(arguments) as outbox:
        entries = outbox.owed(limit=arguments.limit) if arguments.waiting else outbox.recent(limit=arguments.limit)
        waiting, full = outbox.count_owed(), outbox.is_full()
    for entry in entries:
        print(_json(entry) if arguments.json else _line(entry))
    print(f"{waiting} of them wait for the doctor's end. {NOTICE}", file=sys.stderr)
    if full is not None:
        print(f"No new images are taken: {full}", file=sys.stderr)
    return 0


def _show(arguments: argparse.Namespace) -> int:
    with _outbox(arguments) as outbox:
        entry = _known(outbox, arguments.id)
    if arguments.json:
        print(_json(entry))
        return 0
    print(_line(entry), _HOW_FAR[entry.rung], f"original: {entry.place or 'not known'}", sep="\n")
    if entry.review is not None:
        print(msgspec.json.format(encode(entry.review)).decode())
    print(msgspec.json.format(encode(entry.report)).decode())
    return 0


def _retry(arguments: argparse.Namespace) -> int:
    with _outbox(arguments) as outbox:
        for report_id in arguments.ids:
            outbox.resend(_known(outbox, report_id).report.id)
        if not arguments.ids:
            outbox.retry()
        waiting = outbox.count_owed()
    print(f"{waiting} reports wait; the running agent sends them now, or as soon as it is connected")
    return 0


def _export(arguments: argparse.Namespace) -> int:
    try:
        arguments.folder.mkdir(parents=True, exist_ok=True)
        with _outbox(arguments) as outbox:
            count = sum(_write(outbox, entry, arguments.folder) for entry in _all(outbox, waiting=arguments.waiting))
    except OSError as error:
        raise ConfigError(f"cannot write to {arguments.folder}: {error.strerror}; name another folder") from error
    print(f"{count} reports are in {arguments.folder}. {NOTICE}")
    return 0


def _write(outbox: Outbox, entry: Entry, folder: Path) -> int:
    name = f"{entry.report.seq:08d}-{entry.report.id}"
    parts = {
        "report.json": encode(entry.report),
        "preview.jpg": outbox.preview(entry.report.id),
        "review.json": None if entry.review is None else encode(entry.review),
    }
    for suffix, content in parts.items():
        if content is not None:
            (folder / f"{name}.{suffix}").write_bytes(content)
    return 1


def _all(outbox: Outbox, *, waiting: bool) -> Iterator[Entry]:
    before: int | None = None
    while entries := outbox.recent(limit=_PAGE, before_seq=before):
        yield from (entry for entry in entries if not waiting or entry.state is not State.RECEIVED)
        before = entries[-1].report.seq


def _outbox(arguments: argparse.Namespace) -> Outbox:
    return Outbox(state_file(arguments, OUTBOX_NAME))


def _known(outbox: Outbox, report_id: str) -> Entry:
    entry = outbox.entry(report_id)
    if entry is None:
        raise ConfigError(f"the outbox has no report {report_id[:40]!r}; `edge-agent outbox list` shows the ids")
    return entry


def _line(entry: Entry) -> str:
    report = entry.report
    words = [
        f"{report.seq:>6}",
        report.id,
        f"{entry.stored_at:%Y-%m-%d %H:%M:%S}Z",
        f"{entry.rung:<8}",
        report.decision,
        f"tried={entry.attempts}",
    ]
    if entry.last_error is not None:
        words.append(f"refused by the broker: {entry.last_error}")
    return "  ".join(words)


def _json(entry: Entry) -> str:
    shown = {
        "rung": entry.rung,
        "state": entry.state,
        "attempts": entry.attempts,
        "last_error": entry.last_error,
        "stored_at": entry.stored_at,
        "place": entry.place,
        "review": entry.review,
        "report": entry.report,
    }
    return msgspec.json.encode(shown).decode()
