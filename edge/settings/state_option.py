"""Where the commands that look into a box's state find it: the options that tell, and what comes of them."""

import argparse
import os
from pathlib import Path

from edge.errors import ConfigError
from edge.settings.config import load


def add_state_options(parser: argparse.ArgumentParser) -> None:
    """The options that say where the state lies."""
    parser.add_argument("--state", metavar="DIR", help="the agent's state folder (default: as configured)")
    parser.add_argument("--config", metavar="FILE", help="TOML file (default: $EDGE_AGENT_CONFIG)")


def state_file(arguments: argparse.Namespace, name: str) -> Path:
    """A file in the state folder.

    Raises:
        ConfigError: Nobody says where the folder is, or the file is not in it.
    """
    file = arguments.config or os.environ.get("EDGE_AGENT_CONFIG")
    config = load({"state": arguments.state}, file=Path(file) if file else None, environ=os.environ)
    if not (config.state or os.environ.get("STATE_DIRECTORY") or config.watch):
        raise ConfigError("where is the agent's state? give --state DIR, or the agent's --config FILE")
    path = config.state_dir / name
    if not path.is_file():
        raise ConfigError(f"expected {path}, found nothing; give --state DIR, or the agent's --config FILE")
    return path
