"""The agent's options, for every command that has to know what the agent was told."""

import argparse
import os
from pathlib import Path
from typing import Final

from edge.command_line import LOG_FORMATS, LOG_LEVELS, broker_values
from edge.settings.config import AgentConfig, load

_AGENT_KEYS: Final = (
    "model",
    "trust",
    "allow_unsigned",
    "allow_older",
    "runtime",
    "threads",
    "watch",
    "state",
    "site",
    "device",
    "settle_s",
    "patience_s",
    "receipt_timeout_s",
    "log_level",
    "log_format",
)


def config_of(arguments: argparse.Namespace) -> AgentConfig:
    """What file, environment and options say together.

    Raises:
        ConfigError: Something in it is wrong; the message names source and key.
    """
    file = arguments.config or os.environ.get("EDGE_AGENT_CONFIG")
    flags = {key: getattr(arguments, key, None) for key in _AGENT_KEYS}
    doors = {"page.listen": "page", "dicom.port": "dicom_port", "camera.enabled": "camera"}
    flags |= {key: getattr(arguments, option, None) for key, option in doors.items()}
    flags |= {f"broker.{key}": value for key, value in broker_values(arguments).items()}
    return load(flags, file=Path(file) if file else None, environ=os.environ)


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Which model runs, on whose word, and on what."""
    parser.add_argument("--model", metavar="BUNDLE", help="the bundle that edge-converter made")
    parser.add_argument(
        "--trust", metavar="KEY", action="append", help="run bundles this public key signed: a .pub file, or its line"
    )
    parser.add_argument(
        "--allow-unsigned",
        action="store_const",
        const=True,
        help="also run a bundle that no trusted key signed; every report then says so",
    )
    parser.add_argument("--config", metavar="FILE", help="TOML file (default: $EDGE_AGENT_CONFIG)")
    parser.add_argument(
        "--runtime", choices=("auto", "litert", "tflite-runtime"), help="interpreter (default: the first installed)"
    )
    parser.add_argument("--threads", metavar="N", help="of the interpreter (default: all cores, at most 4)")


def add_agent_options(parser: argparse.ArgumentParser) -> None:
    """Where images come from, and who this box is."""
    parser.add_argument("--watch", metavar="DIR", action="append", help="folder to take images from; may be repeated")
    parser.add_argument("--dicom-port", metavar="P", help="also receive images by DICOM C-STORE on this port")
    parser.add_argument("--camera", action="store_const", const=True, help="also photograph films on a light box")
    parser.add_argument("--state", metavar="DIR", help="folder of the outbox (default: .edge-agent in the watched one)")
    parser.add_argument(
        "--allow-older", action="store_const", const=True, help="run an older version than this box has run before"
    )
    parser.add_argument("--site", help="the clinic's name in topics (default: clinic)")
    parser.add_argument("--device", help="this box's name in topics (default: this machine's name)")
    parser.add_argument("--settle-s", metavar="S", help="read a file once unchanged for this long (default: 1)")
    parser.add_argument("--patience-s", metavar="S", help="set an unreadable file aside after this long (default: 10)")
    parser.add_argument(
        "--receipt-timeout-s", metavar="S", help="send again without a receipt after this (default: 15)"
    )
    parser.add_argument("--page", metavar="HOST:PORT", help="serve the clinic's page there (default: no page)")
    parser.add_argument("--log-level", choices=LOG_LEVELS, help="(default: info)")
    parser.add_argument("--log-format", choices=LOG_FORMATS, help="for people or for programs (default: text)")
