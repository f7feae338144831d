"""`edge-agent whois TOKEN`: whom a report's token stands for. Only the box that made the token can tell."""

import argparse
import sys
from typing import Any

import msgspec

from edge.settings.state_option import add_state_options, state_file


def add(commands: Any) -> None:
    """Add the command `whois` to the agent's commands."""
    parser = commands.add_parser(
        "whois",
        help="say whom a report's token stands for",
        description="Say which patient or study the tokens in reports (p-..., s-...) stand for. "
        "Run it on the box that sent the report; what it prints identifies patients.",
        epilog="exit codes: 0 all are known, 1 one is not of this box.",
    )
    parser.add_argument("tokens", nargs="+", metavar="TOKEN")
    parser.add_argument("--json", action="store_true", help="one JSON document per token")
    add_state_options(parser)
    parser.set_defaults(command=_whois)


def _whois(arguments: argparse.Namespace) -> int:
    from edge.pseudonym import TABLE_NAME, Pseudonyms  # noqa: PLC0415 - brings NumPy, which `--help` does not need

    code = 0
    with Pseudonyms(state_file(arguments, TABLE_NAME).parent) as pseudonyms:
        for token in arguments.tokens:
            meaning = pseudonyms.meaning(token)
            if arguments.json:
                print(msgspec.json.encode({"token": token, "meaning": meaning}).decode())
            elif meaning is not None:
                print(token, *(f"{keyword}={value}" for keyword, value in meaning.items() if value), sep="  ")
            if meaning is None:
                code = 1
                print(f"{token}: no token of this box", file=sys.stderr)
    return code
