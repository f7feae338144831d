"""`edge-converter guard`: give a bundle that is there already a guard."""

import argparse
import logging
from pathlib import Path
from typing import Any

from trainer.cli import add_cache_option, print_document

log = logging.getLogger(__name__)


def add(commands: Any) -> None:
    """Add the subcommand."""
    parser = commands.add_parser(
        "guard",
        help="give an older bundle a guard",
        description="Write the same bundle with what its model's training images look like, so that a box can tell a "
        "picture that is no chest X-ray. The model is not touched. A signature does not fit any more: sign anew.",
    )
    parser.set_defaults(command=_guard)
    parser.add_argument("bundle", metavar="BUNDLE", type=Path, help="made by edge-converter")
    parser.add_argument("--out", required=True, metavar="BUNDLE2", type=Path, help="the file to write; must not exist")
    parser.add_argument("--data", required=True, metavar="DATA", type=Path, help="the folder the model was trained on")
    add_cache_option(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON document on stdout")


def _guard(arguments: argparse.Namespace) -> int:
    from converter.guard import guard_again  # noqa: PLC0415 - TensorFlow takes seconds; --help should not
    from edge.bundle.bundle import write_bundle  # noqa: PLC0415 - likewise

    bundle = guard_again(arguments.bundle, arguments.data, arguments.cache)
    write_bundle(bundle, arguments.out)
    log.info("wrote %s, %s, with a guard, signed by nobody", arguments.out, bundle.model_id)
    return print_document({"bundle": str(arguments.out), "model": bundle.model_id}, arguments)
