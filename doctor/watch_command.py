"""`edge-doctor watch`: each report once, in a terminal, as it arrives."""

import argparse
import sys
from collections.abc import Callable
from typing import Any

import msgspec

from doctor.inbox import Inbox
from doctor.place import add_store_option, open_store
from doctor.reports import Stored
from edge.command_line import add_broker_options, broker_values, stop_on_signals
from edge.settings.config import broker_config
from edge.terminal import finding_line, has_colour, heatmap_lines
from edge.wire.messages import NOTICE


def add(commands: Any) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "watch",
        help="print each report once, as it arrives",
        description=f"Print each report once, as it arrives, and send the clinic the receipt. {NOTICE}",
    )
    add_broker_options(parser, required=True)
    parser.add_argument("--json", action="store_true", help="one JSON document per report")
    add_store_option(parser)
    parser.set_defaults(command=_watch)


def _watch(arguments: argparse.Namespace) -> int:
    config = broker_config(broker_values(arguments))
    with open_store(arguments, config) as store:
        print(f"{NOTICE} Reports are kept in {store.database.name}.", file=sys.stderr)
        Inbox(config, store, _print_json if arguments.json else _text_printer()).run(stop_on_signals())
    return 0


def _print_json(stored: Stored) -> None:
    print(msgspec.json.encode(stored.report).decode(), flush=True)


def _text_printer() -> Callable[[Stored], None]:
    bold, plain = ("\x1b[1m", "\x1b[0m") if has_colour(sys.stdout) else ("", "")

    introduced: set[str] = set()

    def show(stored: Stored) -> None:
        model = stored.report.model
        if model.id not in introduced:
            introduced.add(model.id)
            print(f"{model.id}: {model.validated_on}\n  Not validated on: {model.not_validated_on}", file=sys.stderr)
        lines = [bold + finding_line(stored.report, stored.stored_at) + plain]
        if stored.report.heatmap is not None:
            lines += heatmap_lines(stored.report.heatmap)
        print("\n".join(lines), flush=True)

    return show
