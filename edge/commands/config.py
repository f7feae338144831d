"""`edge-agent config check | show`: is the configuration right, and where does each value come from?"""

import argparse
import os
from pathlib import Path
from typing import Any

import msgspec

from edge.settings.config import AgentConfig, known_keys, load_with_sources


def add(commands: Any) -> None:
    """Add the command `config` to the agent's commands."""
    parser = commands.add_parser(
        "config",
        help="check the configuration, or show every value and where it comes from",
        description="Look at the configuration file and the EDGE_AGENT_* variables. "
        "`edge-agent check` then tries out what they name.",
        epilog="exit codes: 0 in order, 78 not in order: each fault is named with its line or variable.",
    )
    actions = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    check = actions.add_parser("check", help="say what is wrong, with line and key")
    check.set_defaults(command=_check)
    show = actions.add_parser("show", help="print every key, its value and where the value comes from")
    show.add_argument("--json", action="store_true", help="one JSON document")
    show.set_defaults(command=_show)
    for action in (check, show):
        action.add_argument("--config", metavar="FILE", help="TOML file (default: $EDGE_AGENT_CONFIG)")


def _load(arguments: argparse.Namespace) -> tuple[AgentConfig, dict[str, str]]:
    """The configuration, and of each key that was given where its value stands."""
    file = arguments.config or os.environ.get("EDGE_AGENT_CONFIG")
    config, given = load_with_sources({}, file=Path(file) if file else None, environ=os.environ)
    return config, {key: source.place(key) for key, source in given.items()}


def _check(arguments: argparse.Namespace) -> int:
    _, places = _load(arguments)
    print(f"in order: {len(places)} of {len(known_keys())} keys are set, the others have their defaults")
    return 0


def _show(arguments: argparse.Namespace) -> int:
    config, places = _load(arguments)
    values = {key: _value(config, key) for key in known_keys()}
    if arguments.json:
        shown = {key: {"value": value, "from": places.get(key, "default")} for key, value in values.items()}
        print(msgspec.json.encode(shown).decode())
        return 0
    for key, value in values.items():
        text = "# not set" if value is None else f"= {msgspec.json.encode(value).decode()}"
        print(f"{key} {text}  # {places.get(key, 'default')}")
    return 0


def _value(config: Any, key: str) -> Any:
    for part in key.split("."):
        config = getattr(config, part)
    return config
