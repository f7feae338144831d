"""`edge-agent quarantine list | retry`: what was set aside, why, and to have it tried again."""

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from edge.errors import ConfigError, unusable
from edge.settings.config import load
from edge.settings.state_option import add_state_options

if TYPE_CHECKING:
    from edge.intake.quarantine import Quarantined


def add(commands: Any) -> None:
    """Add the command `quarantine` to the agent's commands."""
    parser = commands.add_parser(
        "quarantine",
        help="list what was set aside, with the reason, or have it tried again",
        description="Look after the files of which the box made no finding, also while the agent runs. "
        "What it prints holds file names, which may identify patients.",
        epilog="exit codes: 0 done, 74 the disk does not take it, 78 there is no such file.",
    )
    actions = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    listing = actions.add_parser("list", help="each file with its ID and the reason, newest first")
    listing.add_argument("--json", action="store_true", help="one JSON document per file")
    retry = actions.add_parser(
        "retry",
        help="move files back to the folder they came from, where the agent takes them up",
        description="The files count as new: what happened while the box worked on them is forgotten.",
    )
    retry.add_argument("ids", nargs="*", metavar="ID", help="of a file, 16 hex digits; without one, all files")
    for action, command in ((listing, _list), (retry, _retry)):
        action.add_argument("--watch", metavar="DIR", action="append", help="the agent's folder; may be repeated")
        add_state_options(action)
        action.set_defaults(command=command)


def _list(arguments: argparse.Namespace) -> int:
    from edge.intake.quarantine import list_quarantine  # noqa: PLC0415 - brings NumPy, which `--help` does not need

    files = list_quarantine(_folders(arguments))
    for file in files:
        print(
            _json(file) if arguments.json else f"{file.id}  {file.at:%Y-%m-%d %H:%M:%S}Z  {file.place}  {file.reason}"
        )
    print(f"{len(files)} files are set aside", file=sys.stderr)
    return 0


def _retry(arguments: argparse.Namespace) -> int:
    from edge.intake.quarantine import list_quarantine, try_again  # noqa: PLC0415 - as above

    folders = _folders(arguments)
    ids = arguments.ids or [file.id for file in list_quarantine(folders)]
    for file_id in ids:
        try:
            found = try_again(folders, file_id)
        except OSError as error:
            raise unusable(f"the file {file_id}", error) from error
        if not found:
            raise ConfigError(f"no file {file_id[:40]!r} is set aside; `edge-agent quarantine list` shows the ids")
    print(f"{len(ids)} files are back in their folders; the running agent takes them up")
    return 0


def _folders(arguments: argparse.Namespace) -> list[Path]:
    from edge.intake.spool import ORIGINS, SPOOL  # noqa: PLC0415 - as above

    file = arguments.config or os.environ.get("EDGE_AGENT_CONFIG")
    flags = {"state": arguments.state, "watch": arguments.watch}
    config = load(flags, file=Path(file) if file else None, environ=os.environ)
    spools = [config.state_dir / SPOOL / origin for origin in ORIGINS]
    return [*map(Path, config.watch), *spools]


def _json(file: "Quarantined") -> str:
    shown = {"id": file.id, "at": file.at, "place": str(file.place), "reason": file.reason}
    return msgspec.json.encode(shown).decode()
