"""The command `edge-trainer`: a folder of X-rays in, a model and its evaluation out."""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from edge import completion
from edge.command_line import command_parser, log_to_stderr, run_command
from trainer.backbones import BACKBONES
from trainer.native_log import without_chatter
from trainer.progress import interruptible
from trainer.recipes import RECIPES
from trainer.split import HOW
from trainer.store import default_cache

_EPILOG: Final = """\
exit codes: 0 done, 1 a gate failed, 2 usage, 65 bad input data, 78 bad configuration.
DATA is a folder with one folder of pictures per class, optionally with manifest.csv (file,label[,patient,source]).
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run `edge-trainer` and return its exit code."""
    return run_quietly(build_parser(), argv)


def build_parser() -> argparse.ArgumentParser:
    """The command line of `edge-trainer`."""
    parser = command_parser(
        "edge-trainer",
        description="Train a classifier of chest X-rays and evaluate it on held-out ones.",
        epilog=_EPILOG,
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_train(commands)
    _add_evaluate(commands)
    _add_audit(commands)
    _add_compare(commands)
    completion.add(commands, build_parser)
    return parser


def run_quietly(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> int:
    """Run a command with TensorFlow's chatter kept off the terminal."""
    with without_chatter(), interruptible():
        log_to_stderr("info")
        return run_command(parser, argv, interrupted="interrupted; what is in the cache will not be computed again")


def print_document(document: dict[str, Any], arguments: argparse.Namespace) -> int:
    """Print a command's outcome where `--json` asked for it, and return the exit code."""
    if arguments.json:
        print(msgspec.json.encode(document).decode())
    return 0


def _add_data(parser: argparse.ArgumentParser) -> None:
    """The images, and what every command that reads them takes beside them."""
    parser.add_argument("data", metavar="DATA", type=Path, help="folder with one folder of pictures per class")
    add_cache_option(parser)
    parser.add_argument("--skip-bad", action="store_true", help="leave unreadable images out instead of stopping")
    parser.add_argument("--json", action="store_true", help="print one JSON document on stdout")


def add_cache_option(parser: argparse.ArgumentParser) -> None:
    """Where a command of trainer or converter keeps what it has computed once."""
    parser.add_argument(
        "--cache",
        metavar="DIR",
        type=Path,
        default=default_cache(),
        help="pixels and features (default: ~/.cache/edge-xray)",
    )


def _add_train(commands: Any) -> None:
    parser = commands.add_parser("train", help="train a model", description="Train a model and evaluate it.")
    parser.set_defaults(command=_train)
    parser.add_argument("--recipe", required=True, choices=sorted(RECIPES), help="the training choices")
    parser.add_argument("--weights", required=True, metavar="imagenet|none|FILE", help="of the backbone, without top")
    parser.add_argument("--out", required=True, metavar="DIR", type=Path, help="for model.keras and metrics.json")
    parser.add_argument("--seed", type=int, default=0, help="of the split and everything else random (default: 0)")
    _add_positive(parser)
    parser.add_argument("--split", choices=HOW, help="how to hold images out (default: as the recipe says)")
    parser.add_argument("--held-out-source", metavar="NAME", help="the source to hold out, with --split source")
    _add_target(parser, "--target-sensitivity", 0.95, "the threshold reaches this sensitivity on validation images")
    _add_target(parser, "--target-accuracy", 0.98, "outside the inconclusive band this share is right there")
    _add_data(parser)


def _add_positive(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--positive", metavar="NAME", help="the class looked for (default: the one not healthy)")


def _add_target(parser: argparse.ArgumentParser, name: str, default: float, what: str) -> None:
    parser.add_argument(name, metavar="SHARE", type=_share, default=default, help=f"{what} (default: {default})")


def _share(text: str) -> float:
    value = float(text)  # argparse says what it expected where this fails
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"expected a share between 0 and 1, such as 0.95, got {text}")
    return value


def _add_evaluate(commands: Any) -> None:
    parser = commands.add_parser(
        "evaluate",
        help="evaluate a model or a bundle",
        description="Evaluate a model or a bundle on the images of DATA that it was not trained on.",
    )
    parser.set_defaults(command=_evaluate)
    parser.add_argument("model", metavar="MODEL_OR_BUNDLE", type=Path, help="model.keras or a bundle")
    parser.add_argument("--out", required=True, metavar="DIR", type=Path, help="for metrics.json")
    _add_data(parser)


def _add_audit(commands: Any) -> None:
    parser = commands.add_parser(
        "audit",
        help="is it the disease or the source?",
        description="Ask whether the classes of DATA can be told apart without looking at the lungs.",
    )
    parser.set_defaults(command=_audit)
    parser.add_argument("--out", required=True, metavar="DIR", type=Path, help="for audit.html and audit.json")
    parser.add_argument("--weights", default="none", metavar="imagenet|none|FILE", help="none: no network (default)")
    parser.add_argument("--backbone", default="mobilenet", choices=sorted(BACKBONES), help="(default: mobilenet)")
    parser.add_argument("--external", metavar="DIR", type=Path, help="also ask the model about other data")
    _add_positive(parser)
    parser.add_argument("--seed", type=int, default=0, help="of the folds (default: 0)")
    parser.add_argument("--gate", action="store_true", help="exit 1 if a shortcut is found")
    _add_data(parser)


def _add_compare(commands: Any) -> None:
    parser = commands.add_parser(
        "compare",
        help="the paper's four runs and the methods of its related work, side by side",
        description="Run the paper's four recipes and the methods of its related work on the same images and splits. "
        "A comparison cut short goes on where it was when called again with the same DIR.",
    )
    parser.set_defaults(command=_compare)
    parser.add_argument(
        "--weights-dir", required=True, metavar="imagenet|none|DIR", help="with a file per backbone, without top"
    )
    parser.add_argument("--out", required=True, metavar="DIR", type=Path, help="for compare.html, .md, .json and runs/")
    parser.add_argument(
        "--seeds", type=_at_least_one, default=1, metavar="N", help="repeat with seeds 0 to N-1 (default: 1)"
    )
    _add_positive(parser)
    _add_data(parser)


def _at_least_one(text: str) -> int:
    if int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected 1 or more, got {text}")
    return int(text)


def _train(arguments: argparse.Namespace) -> int:
    from trainer.train import Order, train  # noqa: PLC0415 - TensorFlow takes seconds; --help should not

    document = train(
        Order(
            data=arguments.data,
            recipe=RECIPES[arguments.recipe],
            weights=arguments.weights,
            out=arguments.out,
            cache=arguments.cache,
            seed=arguments.seed,
            split=arguments.split,
            held_out_source=arguments.held_out_source,
            positive=arguments.positive,
            target_sensitivity=arguments.target_sensitivity,
            target_accuracy=arguments.target_accuracy,
            skip_bad=arguments.skip_bad,
        )
    )
    _say(document, arguments.out / "model.keras")
    return print_document(document, arguments)


def _evaluate(arguments: argparse.Namespace) -> int:
    from trainer.examine import examine  # noqa: PLC0415 - TensorFlow takes seconds; --help should not

    document = examine(
        arguments.model,
        arguments.data,
        out=arguments.out,
        cache=arguments.cache,
        skip_bad=arguments.skip_bad,
    )
    _say(document, arguments.out / "metrics.json")
    return print_document(document, arguments)


def _audit(arguments: argparse.Namespace) -> int:
    from trainer.audit.audit import FAILED, PAGE_NAME, Order, audit  # noqa: PLC0415 - TensorFlow takes seconds

    record = audit(
        Order(
            data=arguments.data,
            out=arguments.out,
            cache=arguments.cache,
            weights=arguments.weights,
            backbone=arguments.backbone,
            positive=arguments.positive,
            external=arguments.external,
            skip_bad=arguments.skip_bad,
            seed=arguments.seed,
        )
    )
    log = logging.getLogger(__name__)
    log.info("%s: %s Wrote %s", record.verdict, record.sentence, arguments.out / PAGE_NAME)
    print_document(msgspec.to_builtins(record), arguments)
    return 1 if arguments.gate and record.verdict == FAILED else 0


def _compare(arguments: argparse.Namespace) -> int:
    from trainer.comparison.compare import PAGE_NAME, Order, compare  # noqa: PLC0415 - TensorFlow takes seconds; --help should not

    document = compare(
        Order(
            data=arguments.data,
            weights_dir=arguments.weights_dir,
            out=arguments.out,
            cache=arguments.cache,
            seeds=arguments.seeds,
            positive=arguments.positive,
            skip_bad=arguments.skip_bad,
        )
    )
    logging.getLogger(__name__).info("wrote %s", arguments.out / PAGE_NAME)
    return print_document(document, arguments)


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


if __name__ == "__main__":
    sys.exit(main())
