"""The command `edge-doctor`: read the clinics' reports."""

import argparse
import os
import sys
from collections.abc import Sequence

from doctor import account_command, audit_command, learning_command, serve_command, watch_command
from edge import completion
from edge.command_line import command_parser, log_to_stderr, run_command
from edge.wire.messages import NOTICE


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
        description="Receive the clinics' reports, and serve the pages on which doctors read and answer them. "
        f"{NOTICE}",
        epilog="exit codes: 0 done, 1 the store cannot be used or a check failed, 2 usage, 69 broker unreachable, "
        "78 bad configuration.",
    )
    commands = parser.add_subparsers(title="commands", metavar="[COMMAND]")
    serve_command.add(parser)
    watch_command.add(commands)
    account_command.add(commands)
    audit_command.add(commands)
    learning_command.add(commands)
    completion.add(commands, build_parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
