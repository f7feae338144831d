"""The command `edge-doctor`: read the clinics' reports."""

import argparse
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from doctor import learning_command
from doctor.inbox import Inbox
from doctor.reports import Stored
from doctor.store import Store
from edge import completion
from edge.command_line import (
    add_broker_options,
    broker_values,
    command_parser,
    log_to_stderr,
    run_command,
    stop_on_signals,
)
from edge.config import BrokerConfig, broker_config
from edge.messages import NOTICE
from edge.terminal import finding_line, has_colour, heatmap_lines


def main(argv: Sequence[str] | None = None) -> int:
    """Run `edge-doctor` and return its exit code."""
    log_to_stderr("info")
    try:
        return run_command(build_parser(), argv)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # whoever read us has gone: not an error of ours
        return 0


def build_parser() -> argparse.ArgumentParser:
    """The command line of `edge-doctor`."""
    parser = command_parser(
        "edge-doctor",
        description=f"Read the clinics' reports. {NOTICE}",
        epilog="exit codes: 0 done, 1 the store cannot be used, 2 usage, 69 broker unreachable, 78 bad configuration.",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    watch = commands.add_parser(
        "watch",
        help="print each report once, as it arrives",
        description=f"Print each report once, as it arrives, and send the clinic the receipt. {NOTICE}",
    )
    add_broker_options(watch, required=True)
    watch.add_argument("--json", action="store_true", help="one JSON document per report")
    watch.add_argument(
        "--store",
        metavar="FILE|URL",
        help="the inbox: a file, or postgresql://USER@HOST/NAME (default: a file per broker, in your home)",
    )
    watch.set_defaults(command=_watch)
    learning_command.add(commands)
    completion.add(commands, build_parser)
    return parser


def _watch(arguments: argparse.Namespace) -> int:
    config = broker_config(broker_values(arguments))
    with Store.open(arguments.store or default_store(config)) as store:
        print(f"{NOTICE} Reports are kept in {store.database.name}.", file=sys.stderr)
        Inbox(config, store, _print_json if arguments.json else _text_printer()).run(stop_on_signals())
    return 0


def default_store(config: BrokerConfig) -> Path:
    """Where the inbox of one broker lies when nobody says otherwise: two brokers may know boxes of the same name."""
    base = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    host, port = config.host_and_port
    return base / "edge-xray" / f"inbox-{re.sub(r'[^A-Za-z0-9.-]', '_', host)}-{port}.sqlite3"


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


if __name__ == "__main__":
    sys.exit(main())
