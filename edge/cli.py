"""The command `edge-agent`: run the box, or classify images at hand, or see the line work."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from edge import completion
from edge.command_line import (
    LOG_LEVELS,
    add_broker_options,
    command_parser,
    log_to_stderr,
    run_command,
    stop_on_signals,
)
from edge.commands import bench, check, config, outbox, quarantine, whois
from edge.errors import ConfigError, QuarantineError
from edge.settings.agent_options import add_agent_options, add_model_options, config_of
from edge.wire.messages import NOTICE

_EPILOG: Final = f"""\
exit codes: 0 done, 1 the outbox cannot be written, 2 usage, 65 bad input data, 69 broker unreachable, 70 the model
decides otherwise on this box than where it was made, 74 the disk is full or fails, 78 bad configuration.
Every option can also stand in the configuration file or the environment (EDGE_AGENT_*); see docs/configuration.md.
{NOTICE}
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run `edge-agent` and return its exit code."""
    # A further thread of NumPy's linear algebra waits for work by spinning, on a core that the network needs, and makes
    # nothing here faster. This is read when NumPy is loaded, which is why nothing above loads it.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    return run_command(build_parser(), argv)


def build_parser() -> argparse.ArgumentParser:
    """The command line of `edge-agent`."""
    parser = command_parser(
        "edge-agent",
        description="Classify chest X-rays on this box and deliver the findings to a doctor.",
        epilog=_EPILOG,
    )
    parser.set_defaults(command=_run)
    add_model_options(parser)
    add_agent_options(parser)
    add_broker_options(parser)
    commands = parser.add_subparsers(title="other commands", metavar="[COMMAND]")
    _add_classify(commands)
    _add_demo(commands)
    check.add(commands)
    bench.add(commands)
    outbox.add(commands)
    quarantine.add(commands)
    whois.add(commands)
    config.add(commands)
    completion.add(commands, build_parser)
    return parser


def _add_classify(commands: Any) -> None:
    parser = commands.add_parser(
        "classify",
        help="classify images at hand, without a broker",
        description=f"Classify images and print one line each. {NOTICE}",
        epilog="exit code 65 if an image could not be read; the others are classified all the same. "
        "No state is kept, so a trusted bundle of any version will do.",
    )
    add_model_options(parser)
    parser.add_argument("images", nargs="+", metavar="IMAGE", type=Path, help="PNG, JPEG, WebP, TIFF or DICOM file")
    parser.add_argument("--json", action="store_true", help="one JSON document per image")
    parser.add_argument("--heatmap", metavar="DIR", type=Path, help="write each image with where the network looked")
    parser.set_defaults(command=_classify)


def _add_demo(commands: Any) -> None:
    parser = commands.add_parser(
        "demo",
        help="see the whole line work, with synthetic radiographs",
        description="Start a broker, a doctor's end and an agent on this machine, with both their pages, and drop "
        "synthetic radiographs.",
    )
    parser.add_argument(
        "--once", action="store_true", help="end when all findings have arrived (default where nobody is at a terminal)"
    )
    parser.add_argument(
        "--no-browser", dest="browser", action="store_false", help="print the pages' addresses, and open nothing"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document at the end")
    parser.add_argument("--count", metavar="N", type=int, default=8, help="synthetic radiographs (default: 8)")
    parser.add_argument("--seed", metavar="N", type=int, default=20_000_000, help="of the first one")
    parser.add_argument("--log-level", choices=LOG_LEVELS, default="warning")
    parser.set_defaults(command=_demo)


def _run(arguments: argparse.Namespace) -> int:
    from edge.agent import run  # noqa: PLC0415 - `--help` needs no interpreter

    config = config_of(arguments)
    if not config.broker.address:
        raise ConfigError("no broker: give --broker HOST, or `address = ...` under [broker] in the configuration file")
    log_to_stderr(config.log_level, config.log_format)
    run(config, stop_on_signals())
    return 0


def _classify(arguments: argparse.Namespace) -> int:
    from edge.assess import Assessor  # noqa: PLC0415 - `--help` needs no interpreter
    from edge.bundle.bundle import read_bundle  # noqa: PLC0415
    from edge.bundle.signature import Trust  # noqa: PLC0415
    from edge.commands.classify import FileError, classify_file, closing_lines, text_line  # noqa: PLC0415

    config = config_of(arguments)
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
    from edge.demo.run import run  # noqa: PLC0415 - needs the extra `demo`

    log_to_stderr(arguments.log_level)
    once = arguments.once or not sys.stdout.isatty()  # nobody is there to read the pages, or to end it
    return run(
        count=arguments.count, first_seed=arguments.seed, once=once, as_json=arguments.json, browser=arguments.browser
    )


if __name__ == "__main__":
    sys.exit(main())
