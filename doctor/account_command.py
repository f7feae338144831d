"""`edge-doctor account`: who may read and answer, from the command line of the inbox's machine."""

import argparse
import getpass
import sys
from typing import Any

from doctor.accounts import MIN_PASSWORD, Role
from doctor.place import add_store_option, open_known_store
from edge.errors import ConfigError


def add(commands: Any) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "account",
        help="say who may read and answer on the pages",
        description="Say who may read and answer on the pages. Each step is kept in the audit log.",
    )
    steps = parser.add_subparsers(title="steps", metavar="STEP", required=True)
    new = steps.add_parser("add", help="make an account", description="Make an account and ask for its password.")
    new.add_argument("name", metavar="NAME", help="to log in with: letters a-z, digits, '.', '_', '@', '-'")
    new.add_argument("--reader", metavar="TEXT", required=True, help='how the clinics see them: "Dr. A. Reader"')
    new.add_argument("--admin", action="store_true", help="may also see rejected messages, the audit log and accounts")
    new.set_defaults(command=_add)
    listed = steps.add_parser("list", help="show all accounts", description="Show all accounts.")
    listed.set_defaults(command=_list)
    disable = steps.add_parser(
        "disable", help="let somebody in no more", description="Let somebody in no more, at once."
    )
    disable.add_argument("name", metavar="NAME")
    disable.set_defaults(command=_disable)
    password = steps.add_parser(
        "password", help="set a new password", description="Set a new password and sign the account out everywhere."
    )
    password.add_argument("name", metavar="NAME")
    password.set_defaults(command=_password)
    for step in (new, listed, disable, password):
        add_store_option(step)


def _add(arguments: argparse.Namespace) -> int:
    with open_known_store(arguments) as store:
        role = Role.ADMIN if arguments.admin else Role.READER
        account = store.add_account(arguments.name, arguments.reader, role, _ask_for_password())
    print(f"{account.name} may log in as {account.role}; the clinics see {account.reader}.")
    return 0


def _list(arguments: argparse.Namespace) -> int:
    with open_known_store(arguments) as store:
        for account in store.accounts():
            state = "disabled" if account.disabled else account.role
            print(f"{account.name:<20} {state:<10} {account.reader}")
    return 0


def _disable(arguments: argparse.Namespace) -> int:
    with open_known_store(arguments) as store:
        store.disable_account(arguments.name)
    print(f"{arguments.name} may log in no more.")
    return 0


def _password(arguments: argparse.Namespace) -> int:
    with open_known_store(arguments) as store:
        store.set_password(arguments.name, _ask_for_password())
    print(f"{arguments.name} has a new password and is signed out everywhere.")
    return 0


def _ask_for_password() -> str:
    """From the terminal, unseen and twice; else one line of standard input, never from the command line."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    password = getpass.getpass(f"Password, {MIN_PASSWORD} characters or more: ")
    if getpass.getpass("The same again: ") != password:
        raise ConfigError("the two passwords differ; nothing was changed")
    return password
