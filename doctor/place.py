"""Which store a command means."""

import argparse
import os
import re
from pathlib import Path

from doctor.store import Store
from edge.errors import ConfigError
from edge.settings.config import BrokerConfig


def add_store_option(parser: argparse.ArgumentParser) -> None:
    """`--store`."""
    parser.add_argument(
        "--store",
        metavar="FILE_OR_URL",
        help="the inbox: a file, or postgresql://USER@HOST/NAME (default: a file per broker, in your home)",
    )


def open_store(arguments: argparse.Namespace, config: BrokerConfig) -> Store:
    """The store of the inbox of a broker, made if absent.

    Raises:
        ConfigError: No such kind of database.
        DatabaseError: It cannot be used.
    """
    return Store.open(arguments.store or default_store(config))


def open_known_store(arguments: argparse.Namespace) -> Store:
    """A store that is there already: the one that was named, else the only one in your home.

    Raises:
        ConfigError: There is none, or there are several.
        DatabaseError: It cannot be used.
    """
    if arguments.store is not None:
        return Store.open(arguments.store, make=False)
    match sorted(_home().glob("inbox-*.sqlite3")):
        case [only]:
            return Store.open(only, make=False)
        case []:
            raise ConfigError(f"found no inbox in {_home()}; name it with --store, or start edge-doctor first")
        case several:
            names = ", ".join(map(str, several))
            raise ConfigError(f"found several inboxes ({names}); say with --store which is meant")


def default_store(config: BrokerConfig) -> Path:
    """Where the inbox of one broker lies when nobody says otherwise: two brokers may know boxes of the same name."""
    host, port = config.host_and_port
    return _home() / f"inbox-{re.sub(r'[^A-Za-z0-9.-]', '_', host)}-{port}.sqlite3"


def _home() -> Path:
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "edge-xray"
