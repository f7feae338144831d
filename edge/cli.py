"""The command `edge-agent`: run the box, or classify images at hand, or see the line work."""

import argparse
import logging
import os
import signal
import sys
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from threading import Event
from typing import Any, Final

import msgspec

from edge.config import AgentConfig, load
from edge.errors import ConfigError, EdgeXrayError, QuarantineError
from edge.messages import NOTICE

LOG_FORMAT: Final = "%(asctime)sZ %(levelname)s %(name)s %(message)s"

_EPILOG: Final = f"""\
exit codes: 0 done, 2 usage, 65 bad input data, 69 broker unreachable, 78 bad configuration.
Every option can also stand in the configuration file or the environment (EDGE_AGENT_*); see docs/configuration.md.
{NOTICE}
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run `edge-agent` and return its exit code."""
    arguments = build_parser().parse_args(argv)
    try:
        code: int = arguments.command(arguments)
    except EdgeXrayError as error:
        print(f"edge-agent: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return code


def build_parser() -> argparse.ArgumentParser:
    """The command line of `edge-agent`."""
    parser = argparse.ArgumentParser(
        prog="edge-agent",
        description="Classify chest X-rays on this box and deliver the findings to a doctor.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(command=_run)
    parser.add_argument("--version", action="version", version=f"edge-agent {version('edge-xray')}")
    _add_model_options(parser)
    _add_agent_options(parser)
    commands = parser.add_subparsers(title="other commands", metavar="COMMAND")
    _add_classify(commands)
    _add_demo(commands)
    return parser


def log_to_stderr(level: str) -> None:
    """Send log lines to stderr, with times in UTC."""
    logging.Formatter.converter = time.gmtime
    logging.basicConfig(stream=sys.stderr, level=level.upper(), format=LOG_FORMAT, datefmt="%Y-%m-%dT%H:%M:%S")


def _add_model_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", metavar="BUNDLE", help="the bundle that edge-converter made")
    parser.add_argument("--config", metavar="FILE", help="TOML file (default: $EDGE_AGENT_CONFIG)")
    parser.add_argument(
        "--runtime", choices=("auto", "litert", "tflite-runtime"), help="interpreter (default: the first installed)"
    )
    parser.add_argument("--threads", metavar="N", help="of the interpreter (default: all cores, at most 4)")


def _add_agent_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--broker", metavar="HOST[:PORT]", help="MQTT broker (port: 1883, with TLS 8883)")
    parser.add_argument("--watch", metavar="DIR", action="append", help="folder to take images from; may be repeated")
    parser.add_argument("--state", metavar="DIR", help="folder of the outbox (default: .edge-agent in the watched one)")
    parser.add_argument("--site", help="the clinic's name in topics (default: clinic)")
    parser.add_argument("--device", help="this box's name in topics (default: this machine's name)")
    parser.add_argument("--settle-s", metavar="S", help="read a file once unchanged for this long (default: 1)")
    parser.add_argument("--patience-s", metavar="S", help="set an unreadable file aside after this long (default: 10)")
    parser.add_argument(
        "--receipt-timeout-s", metavar="S", help="send again without a receipt after this (default: 15)"
    )
    parser.add_argument(
        "--first-contact-s",
        metavar="S",
        help="give up (exit 69) if the broker has never answered for this long; 0 waits for ever (default: 10)",
    )
    parser.add_argument("--mqtt-version", choices=("5", "3.1.1"), help="of the protocol (default: 5)")
    parser.add_argument("--tls", action="store_const", const=True, help="encrypt, and verify the broker")
    parser.add_argument("--ca-file", metavar="PEM", help="certificates to trust instead of the system's")
    parser.add_argument("--cert-file", metavar="PEM", help="this box's certificate")
    parser.add_argument("--key-file", metavar="PEM", help="this box's private key")
    parser.add_argument("--username", help="at the broker")
    parser.add_argument("--password-file", metavar="FILE", help="holds the password at the broker")
    parser.add_argument("--log-level", choices=("debug", "info", "warning", "error"), help="(default: info)")


def _add_classify(commands: Any) -> None:
    parser = commands.add_parser(
        "classify",
        help="classify images at hand, without a broker",
        description=f"Classify images and print one line each. {NOTICE}",
        epilog="exit code 65 if an image could not be read; the others are classified all the same.",
    )
    _add_model_options(parser)
    parser.add_argument("images", nargs="+", metavar="IMAGE", type=Path, help="PNG, JPEG, WebP, TIFF or DICOM file")
    parser.add_argument("--json", action="store_true", help="one JSON document per image")
    parser.add_argument("--heatmap", metavar="DIR", type=Path, help="write each image with where the network looked")
    parser.set_defaults(command=_classify)


def _add_demo(commands: Any) -> None:
    parser = commands.add_parser(
        "demo",
        help="see the whole line work, with synthetic radiographs",
        description="Start a broker, a doctor's end and an agent on this machine, and drop synthetic radiographs.",
    )
    parser.add_argument("--once", action="store_true", help="end when all findings have arrived")
    parser.add_argument("--json", action="store_true", help="print one JSON document at the end")
    parser.add_argument("--count", metavar="N", type=int, default=8, help="synthetic radiographs (default: 8)")
    parser.add_argument("--seed", metavar="N", type=int, default=20_000_000, help="of the first one")
    parser.add_argument("--log-level", choices=("debug", "info", "warning", "error"), default="warning")
    parser.set_defaults(command=_demo)


_FLAG_OF_KEY: Final = {
    "model": "model",
    "runtime": "runtime",
    "threads": "threads",
    "watch": "watch",
    "state": "state",
    "site": "site",
    "device": "device",
    "settle_s": "settle_s",
    "patience_s": "patience_s",
    "receipt_timeout_s": "receipt_timeout_s",
    "log_level": "log_level",
    "broker.address": "broker",
    "broker.first_contact_s": "first_contact_s",
    "broker.version": "mqtt_version",
    "broker.tls": "tls",
    "broker.ca_file": "ca_file",
    "broker.cert_file": "cert_file",
    "broker.key_file": "key_file",
    "broker.username": "username",
    "broker.password_file": "password_file",
}


def _config(arguments: argparse.Namespace) -> AgentConfig:
    file = arguments.config or os.environ.get("EDGE_AGENT_CONFIG")
    flags = {key: getattr(arguments, flag, None) for key, flag in _FLAG_OF_KEY.items()}
    return load(flags, file=Path(file) if file else None, environ=os.environ)


def _run(arguments: argparse.Namespace) -> int:
    from edge.agent import run  # noqa: PLC0415 - `--help` needs no interpreter

    config = _config(arguments)
    if not config.broker.address:
        raise ConfigError("no broker: give --broker HOST, or `address = ...` under [broker] in the configuration file")
    log_to_stderr(config.log_level)
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    run(config, stop)
    return 0


def _classify(arguments: argparse.Namespace) -> int:
    from edge.assess import Assessor  # noqa: PLC0415 - `--help` needs no interpreter
    from edge.bundle import read_bundle  # noqa: PLC0415
    from edge.classify_command import classify_file, text_line  # noqa: PLC0415

    config = _config(arguments)
    assessor = Assessor(read_bundle(config.model_path), runtime=config.runtime, threads=config.threads)
    if arguments.heatmap is not None:
        arguments.heatmap.mkdir(parents=True, exist_ok=True)
    code = 0
    for image in arguments.images:
        result = classify_file(image, assessor, heatmap_dir=arguments.heatmap)
        if result.error is not None:
            code = QuarantineError.exit_code
        print(msgspec.json.encode(result).decode() if arguments.json else text_line(result), flush=True)
    print(f"{assessor.identity.id}, not validated on: {assessor.card.not_validated_on}\n{NOTICE}", file=sys.stderr)
    return code


def _demo(arguments: argparse.Namespace) -> int:
    from edge.demo import run  # noqa: PLC0415 - needs the extra `demo`

    log_to_stderr(arguments.log_level)
    return run(count=arguments.count, first_seed=arguments.seed, once=arguments.once, as_json=arguments.json)


if __name__ == "__main__":
    sys.exit(main())
