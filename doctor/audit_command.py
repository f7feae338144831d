"""`edge-doctor audit`: show and check the log of who saw and answered what."""

import argparse
import sys
from typing import Any

import msgspec

from doctor import audit
from doctor.place import add_store_option, open_known_store


def add(commands: Any) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "audit",
        help="show and check the log of who saw and answered what",
        description="Show and check the log of who saw and answered what. It only grows, and each entry covers the one "
        "before it, so a change anywhere shows.",
    )
    steps = parser.add_subparsers(title="steps", metavar="STEP", required=True)
    verify = steps.add_parser(
        "verify",
        help="check that nothing was changed, removed or put in between",
        description="Check that nothing was changed, removed or put in between. Note the printed hash down elsewhere: "
        "only so does it show when the whole log is written anew.",
        epilog="exit code 1 if an entry does not fit; the first such entry is named.",
    )
    verify.add_argument("--noted", metavar="HASH", help="a hash printed earlier: is it still in the log?")
    verify.set_defaults(command=_verify)
    show = steps.add_parser(
        "show", help="print the entries", description="Print the entries, one a line, oldest first."
    )
    show.add_argument("--last", metavar="N", type=int, help="the last N only")
    show.set_defaults(command=_show)
    for step in (verify, show):
        add_store_option(step)
        step.add_argument("--json", action="store_true", help="JSON documents instead of text")


def _verify(arguments: argparse.Namespace) -> int:
    with open_known_store(arguments) as store, store.database.reading() as connection:
        verdict = audit.verify(connection, noted=arguments.noted)
    if arguments.json:
        print(msgspec.json.encode(verdict).decode())
    elif verdict.broken is None:
        print(f"{verdict.entries} entries, each fits. The last one's hash: {verdict.head}")
    else:
        print(f"entry {verdict.broken} does not fit: {verdict.reason}. The {verdict.entries} before it do.")
    return 0 if verdict.broken is None else 1


def _show(arguments: argparse.Namespace) -> int:
    with open_known_store(arguments) as store, store.database.reading() as connection:
        for entry in audit.entries(connection, last=arguments.last):
            if arguments.json:
                sys.stdout.write(msgspec.json.encode(entry).decode() + "\n")
            else:
                detail = f"  {entry.detail}" if entry.detail else ""
                sys.stdout.write(
                    f"{entry.number:>6}  {entry.at:%Y-%m-%d %H:%M:%SZ}  {entry.account:<16} {entry.deed:<16} "
                    f"{entry.subject}{detail}\n"
                )
    return 0
