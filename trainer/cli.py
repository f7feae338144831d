"""The command `edge-trainer`: a folder of X-rays in, a model and its evaluation out."""

import argparse
import logging
import signal
import sys
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import msgspec

from edge.errors import EdgeXrayError
from trainer.native_log import without_chatter
from trainer.recipes import RECIPES

LOG_FORMAT: Final = "%(asctime)sZ %(levelname)s %(message)s"

_EPILOG: Final = """\
exit codes: 0 done, 2 usage, 65 bad input data, 78 bad configuration.
DATA is a folder with one folder of pictures per class, optionally with manifest.csv (file,label[,patient,source]).
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run `edge-trainer` and return its exit code."""
    return run_command(build_parser(), argv)


def build_parser() -> argparse.ArgumentParser:
    """The command line of `edge-trainer`."""
    parser = argparse.ArgumentParser(
        prog="edge-trainer",
        description="Train a classifier of chest X-rays and evaluate it on held-out ones.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"edge-trainer {version('edge-xray')}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_train(commands)
    _add_evaluate(commands)
    return parser


def run_command(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> int:
    """Parse, run the chosen command with TensorFlow kept quiet, and turn errors into a sentence and an exit code."""
    arguments = parser.parse_args(argv)
    with without_chatter():
        log_to_stderr()
        try:
            document = arguments.command(arguments)
        except EdgeXrayError as error:
            print(f"{parser.prog}: {error}", file=sys.stderr)
            return error.exit_code
        except KeyboardInterrupt:
            print(f"{parser.prog}: interrupted; what is in the cache will not be computed again", file=sys.stderr)
            return 128 + signal.SIGINT
    if arguments.json:
        print(msgspec.json.encode(document).decode())
    return 0


def log_to_stderr() -> None:
    """Send this project's log lines to stderr, with times in UTC, and those of libraries from warnings on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter(LOG_FORMAT, datefmt="%Y-%m-%dT%H:%M:%S"))
    handler.formatter.converter = time.gmtime  # type: ignore[union-attr]  # it was set in the line above
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    for package in ("edge", "trainer", "converter"):
        logging.getLogger(package).setLevel(logging.INFO)


def add_common_options(parser: argparse.ArgumentParser) -> None:
    """Options that every command of trainer and converter takes."""
    parser.add_argument("--cache", metavar="DIR", type=Path, help="pixels and features (default: ~/.cache/edge-xray)")
    parser.add_argument("--skip-bad", action="store_true", help="leave unreadable images out instead of stopping")
    parser.add_argument("--json", action="store_true", help="print one JSON document on stdout")


def _add_train(commands: Any) -> None:
    parser = commands.add_parser("train", help="train a model", description="Train a model and evaluate it.")
    parser.set_defaults(command=_train)
    parser.add_argument("data", metavar="DATA", type=Path, help="folder with one folder of pictures per class")
    parser.add_argument("--recipe", required=True, choices=sorted(RECIPES), help="the training choices")
    parser.add_argument("--weights", required=True, metavar="imagenet|none|FILE", help="of the backbone, without top")
    parser.add_argument("--out", required=True, metavar="DIR", type=Path, help="for model.keras and metrics.json")
    parser.add_argument("--seed", type=int, default=0, help="of the split and everything else random (default: 0)")
    parser.add_argument("--positive", metavar="NAME", help="the class looked for (default: the one not healthy)")
    add_common_options(parser)


def _add_evaluate(commands: Any) -> None:
    parser = commands.add_parser(
        "evaluate",
        help="evaluate a model or a bundle",
        description="Evaluate a model or a bundle on the images of DATA that it was not trained on.",
    )
    parser.set_defaults(command=_evaluate)
    parser.add_argument("model", metavar="MODEL_OR_BUNDLE", type=Path, help="model.keras or a bundle")
    parser.add_argument("data", metavar="DATA", type=Path, help="folder with one folder of pictures per class")
    parser.add_argument("--out", required=True, metavar="DIR", type=Path, help="for metrics.json")
    add_common_options(parser)


def _train(arguments: argparse.Namespace) -> dict[str, Any]:
    from trainer.features import default_cache  # noqa: PLC0415 - TensorFlow takes seconds; --help should not
    from trainer.train import Order, train  # noqa: PLC0415 - likewise

    document = train(
        Order(
            data=arguments.data,
            recipe=RECIPES[arguments.recipe],
            weights=arguments.weights,
            out=arguments.out,
            cache=arguments.cache or default_cache(),
            seed=arguments.seed,
            positive=arguments.positive,
            skip_bad=arguments.skip_bad,
        )
    )
    _say(document, arguments.out / "model.keras")
    return document


def _evaluate(arguments: argparse.Namespace) -> dict[str, Any]:
    from trainer.examine import examine  # noqa: PLC0415 - TensorFlow takes seconds; --help should not
    from trainer.features import default_cache  # noqa: PLC0415 - likewise

    document = examine(
        arguments.model,
        arguments.data,
        out=arguments.out,
        cache=arguments.cache or default_cache(),
        skip_bad=arguments.skip_bad,
    )
    _say(document, arguments.out / "metrics.json")
    return document


def _say(document: dict[str, Any], written: Path) -> None:
    low, high = document["ci95"]["accuracy"]
    logging.getLogger(__name__).info(
        "accuracy %.3f (95%% %.3f to %.3f) on %d held-out images; wrote %s",
        document["accuracy"],
        low,
        high,
        document["n"],
        written,
    )
