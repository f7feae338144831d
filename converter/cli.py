"""The command `edge-converter`: a trained model in, an int8 bundle that decides the same out."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from edge.command_line import command_parser
from trainer.cli import print_document, run_quietly

_EPILOG: Final = """\
exit codes: 0 done, 1 the int8 model does not decide like the refitted one, 2 usage, 65 bad input data,
78 bad configuration.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run `edge-converter` and return its exit code."""
    return run_quietly(build_parser(), argv)


def build_parser() -> argparse.ArgumentParser:
    """The command line of `edge-converter`."""
    parser = command_parser(
        "edge-converter", description="Turn a model of edge-trainer into an int8 bundle for the box.", epilog=_EPILOG
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_convert(commands)
    _add_parity(commands)
    return parser


def _add_convert(commands: Any) -> None:
    parser = commands.add_parser(
        "convert",
        help="make a bundle",
        description="Quantize the backbone, refit the head on its features, quantize both, compare, write a bundle.",
    )
    parser.set_defaults(command=_convert)
    parser.add_argument("model", metavar="MODEL.keras", type=Path, help="written by edge-trainer")
    parser.add_argument("--out", required=True, metavar="BUNDLE", type=Path, help="the file to write; must not exist")
    parser.add_argument("--seed", type=int, default=0, help="of the calibration sample and the refitting (default: 0)")
    _add_data_options(parser)


def _add_parity(commands: Any) -> None:
    parser = commands.add_parser(
        "parity",
        help="compare a bundle with the models it stands for",
        description="Compare a bundle with the refitted and the float model, on the held-out images of DATA.",
    )
    parser.set_defaults(command=_parity)
    parser.add_argument("model", metavar="MODEL.keras", type=Path, help="written by edge-trainer")
    parser.add_argument("bundle", metavar="BUNDLE", type=Path, help="made from it by edge-converter")
    _add_data_options(parser)


def _add_data_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", required=True, metavar="DATA", type=Path, help="the folder the model was trained on")
    parser.add_argument("--cache", metavar="DIR", type=Path, help="pixels and features (default: ~/.cache/edge-xray)")
    parser.add_argument("--json", action="store_true", help="print one JSON document on stdout")


def _convert(arguments: argparse.Namespace) -> int:
    from converter.convert import Order, convert  # noqa: PLC0415 - TensorFlow takes seconds; --help should not
    from trainer.features import default_cache  # noqa: PLC0415 - likewise

    document = convert(
        Order(
            model=arguments.model,
            data=arguments.data,
            out=arguments.out,
            cache=arguments.cache or default_cache(),
            seed=arguments.seed,
        )
    )
    return print_document(document, arguments)


def _parity(arguments: argparse.Namespace) -> int:
    from converter.convert import parity  # noqa: PLC0415 - TensorFlow takes seconds; --help should not
    from trainer.features import default_cache  # noqa: PLC0415 - likewise

    document = parity(arguments.model, arguments.bundle, arguments.data, arguments.cache or default_cache())
    return print_document(document, arguments)


if __name__ == "__main__":
    sys.exit(main())
