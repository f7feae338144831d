"""`edge-agent check`: is this box ready? Each fault with its cause and its cure."""

import argparse
import sys
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from edge.checks import Check, State
from edge.command_line import add_broker_options
from edge.errors import GateError
from edge.settings.agent_options import add_agent_options, add_model_options, config_of
from edge.wire.messages import NOTICE

_NAME_WIDTH: Final = 22


def add(commands: Any) -> None:
    """Add the command `check` to the agent's commands."""
    parser = commands.add_parser(
        "check",
        help="is this box ready? names cause and cure",
        description="Try out everything the agent needs: bundle and signature, runtime, known pictures, watched and "
        "state folders, disk, clock, the clinic's page, the line to the broker up to the permission to publish, and "
        "whether every report was answered in time. "
        f"Give it the options, or the --config, that the agent gets, and run it as the same user. {NOTICE}",
        epilog="exit codes: 0 ready, 1 something has failed, 2 usage, 78 bad configuration.",
    )
    add_model_options(parser)
    add_agent_options(parser)
    add_broker_options(parser)
    parser.add_argument("--json", action="store_true", help="one JSON document")
    parser.set_defaults(command=_check)


def _check(arguments: argparse.Namespace) -> int:
    from edge.checks.every import every_check, ready  # noqa: PLC0415 - `--help` needs no interpreter

    config = config_of(arguments)
    found = []
    for check in every_check(config):
        found.append(check)
        if not arguments.json:
            print("\n".join(lines(check)), flush=True)
    is_ready = ready(found)
    if arguments.json:
        print(msgspec.json.encode({"ready": is_ready, "checks": found}).decode())
    else:
        print(closing(found), file=sys.stderr)
    return 0 if is_ready else GateError.exit_code


def lines(check: Check) -> list[str]:
    """One check for a person."""
    first = f"{check.state.upper():<8}{check.name:<{_NAME_WIDTH}}{check.text}"
    return [first] if check.cure is None else [first, f"{'':<8}{'':<{_NAME_WIDTH}}-> {check.cure}"]


def closing(checks: Iterable[Check]) -> str:
    """The whole in one line."""
    states = [check.state for check in checks]
    if State.FAIL in states:
        return f"NOT READY: {states.count(State.FAIL)} of {len(states)} checks failed"
    warnings = states.count(State.WARN)
    return "ready" if warnings == 0 else f"ready, with {warnings} things to look after"
