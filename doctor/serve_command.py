"""`edge-doctor` with no further command: the inbox and its pages, over one store, until it is told to end."""

import argparse
import ipaddress
import secrets
import sys
from functools import partial
from typing import Final

from doctor.inbox import Inbox
from doctor.place import add_store_option, open_store
from doctor.store import Store
from edge.command_line import add_broker_options, broker_values, stop_on_signals
from edge.errors import ConfigError
from edge.settings.config import broker_config
from edge.wire.messages import NOTICE

_SECRET_BYTES: Final = 16


def add(parser: argparse.ArgumentParser) -> None:
    """Its options; another command, where one is named, has its own."""
    add_broker_options(parser)
    add_store_option(parser)
    group = parser.add_argument_group("pages")
    group.add_argument("--http", metavar="HOST:PORT", default="127.0.0.1:8042", help="where (default: %(default)s)")
    group.add_argument(
        "--behind-proxy",
        action="store_true",
        help="browsers come through a proxy with TLS: cookies go over HTTPS only, and --http may be any address",
    )
    parser.set_defaults(command=partial(_serve, parser))


def _serve(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> int:
    if arguments.broker is None:
        parser.error("--broker HOST is needed, or one of the commands")
    from doctor.web import server  # noqa: PLC0415 - the other commands do without the pages' libraries
    from doctor.web.app import make_app  # noqa: PLC0415

    config = broker_config(broker_values(arguments))
    host, port = server.parse_address(arguments.http)
    _check_reach(host, behind_proxy=arguments.behind_proxy)
    stop = stop_on_signals()
    setup = secrets.token_urlsafe(_SECRET_BYTES)
    with open_store(arguments, config) as store, server.listening(host, port) as taken:
        app = make_app(store, setup=setup, encrypted=arguments.behind_proxy, stop=stop)
        with server.served(app, taken, stop=stop):
            _greet(store, server.address_of(taken), setup)
            Inbox(config, store).run(stop)
    return 0


def _check_reach(host: str, *, behind_proxy: bool) -> None:
    """Refuse to send passwords and pictures over a network in the clear."""
    try:
        on_this_machine = ipaddress.ip_address(host).is_loopback
    except ValueError:
        on_this_machine = host == "localhost"
    if not on_this_machine and not behind_proxy:
        raise ConfigError(
            f"--http {host} is not this machine alone, and the pages do not encrypt: put a proxy with TLS in front and "
            "give --behind-proxy, or leave --http out"
        )


def _greet(store: Store, address: str, setup: str) -> None:
    print(f"{NOTICE} Reports are kept in {store.database.name}.\nThe pages: {address}", file=sys.stderr)
    if not store.accounts():
        print(f"Nobody has an account yet. Make the first one here: {address}/setup/{setup}", file=sys.stderr)
    sys.stderr.flush()
