"""The command `edge-agent`: run the box, or classify images at hand, or see the line work."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from edge import completion, config_command
from edge.command_line import (
    LOG_FORMATS,
    LOG_LEVELS,
    add_broker_options,
    broker_values,
    command_parser,
    log_to_stderr,
    run_command,
    stop_on_signals,
)
from edge.config import AgentConfig, load
from edge.errors import ConfigError, QuarantineError
from edge.messages import NOTICE

_EPILOG: Final = f"""\
exit codes: 0 done, 1 a check failed (the model decides otherwise on this box than where it was made), 2 usage,
65 bad input data, 69 broker unreachable, 78 bad configuration.
Every option can also stand in the configuration file or the environment (EDGE_AGENT_*); see docs/configuration.md.
{NOTICE}
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run `edge-agent` and return its exit code."""
    return run_command(build_parser(), argv)


def build_parser() -> argparse.ArgumentParser:
    """The command line of `edge-agent`."""
    parser = command_parser(
        "edge-agent",
        description="Classify chest X-rays on this box and deliver the findings to a doctor.",
        epilog=_EPILOG,
    )
    parser.set_defaults(command=_run)
    _add_model_options(parser)
    _add_agent_options(parser)
    add_broker_options(parser)
    commands = parser.add_subparsers(title="other commands", metavar="COMMAND")
    _add_classify(commands)
    _add_demo(commands)
    config_command.add(commands)
    completion.add(commands, build_parser)
    return parser


def _add_model_options(parser: argparse.ArgumentParser) -> None:
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


def _add_agent_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--watch", metavar="DIR", action="append", help="folder to take images from; may be repeated")
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
    parser.add_argument("--log-level", choices=LOG_LEVELS, help="(default: info)")
    parser.add_argument("--log-format", choices=LOG_FORMATS, help="for people or for programs (default: text)")


def _add_classify(commands: Any) -> None:
    parser = commands.add_parser(
        "classify",
        help="classify images at hand, without a broker",
        description=f"Classify images and print one line each. {NOTICE}",
        epilog="exit code 65 if an image could not be read; the others are classified all the same. "
        "No state is kept, so a trusted bundle of any version will do.",
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
    parser.add_argument("--log-level", choices=LOG_LEVELS, default="warning")
    parser.set_defaults(command=_demo)


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


def _config(arguments: argparse.Namespace) -> AgentConfig:
    file = arguments.config or os.environ.get("EDGE_AGENT_CONFIG")
    flags = {key: getattr(arguments, key, None) for key in _AGENT_KEYS}
    flags |= {f"broker.{key}": value for key, value in broker_values(arguments).items()}
    return load(flags, file=Path(file) if file else None, environ=os.environ)


def _run(arguments: argparse.Namespace) -> int:
    from edge.agent import run  # noqa: PLC0415 - `--help` needs no interpreter

    config = _config(arguments)
    if not config.broker.address:
        raise ConfigError("no broker: give --broker HOST, or `address = ...` under [broker] in the configuration file")
    log_to_stderr(config.log_level, config.log_format)
    run(config, stop_on_signals())
    return 0


def _classify(arguments: argparse.Namespace) -> int:
    from edge.assess import Assessor  # noqa: PLC0415 - `--help` needs no interpreter
    from edge.bundle import read_bundle  # noqa: PLC0415
    from edge.classify_command import FileError, classify_file, closing_lines, text_line  # noqa: PLC0415
    from edge.signature import Trust  # noqa: PLC0415

    config = _config(arguments)
    trust = Trust.of(config.trust, allow_unsigned=config.allow_unsigned)
    assessor = Assessor(read_bundle(config.model_path, trust), runtime=config.runtime, threads=config.threads)
    if arguments.heatmap is not None:
        arguments.heatmap.mkdir(parents=True, exist_ok=True)
    code = 0
    for image in arguments.images:
        result = classify_file(image, assessor, heatmap_dir=arguments.heatmap)
        if isinstance(result, FileError):
            code = QuarantineError.exit_code
        print(msgspec.json.encode(result).decode() if arguments.json else text_line(result), flush=True)
    print("\n".join(closing_lines(assessor)), file=sys.stderr)
    return code


def _demo(arguments: argparse.Namespace) -> int:
    from edge.demo import run  # noqa: PLC0415 - needs the extra `demo`

    log_to_stderr(arguments.log_level)
    return run(count=arguments.count, first_seed=arguments.seed, once=arguments.once, as_json=arguments.json)


if __name__ == "__main__":
    sys.exit(main())
