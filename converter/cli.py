"""The command `edge-converter`: a trained model in, an int8 bundle that decides the same out."""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from converter import guard_command
from edge import completion
from edge.bundle.bundle import MAX_ALLOWED_CHARACTERS
from edge.command_line import command_parser
from trainer.cli import add_cache_option, print_document, run_quietly

if TYPE_CHECKING:
    from converter.keys import SigningKey

log = logging.getLogger(__name__)

_EPILOG: Final = """\
exit codes: 0 done, 1 the int8 model does not decide like the models it stands for, 2 usage, 65 bad input data,
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
    _add_keygen(commands)
    _add_sign(commands)
    _add_golden(commands)
    guard_command.add(commands)
    completion.add(commands, build_parser)
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
    parser.add_argument(
        "--float-out", metavar="TFLITE", type=Path, help="also write the float model, for comparison; must not exist"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the calibration sample and the refitting (default: 0)")
    parser.add_argument(
        "--version", metavar="N", type=_version, help="of the bundle; a box refuses to go back (default: UNIX time)"
    )
    parser.add_argument(
        "--allow",
        metavar="REASON",
        type=_reason,
        help="write the bundle although it fails the gate; the card and every report give the reason",
    )
    _add_key_options(parser, required=False)
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


def _add_keygen(commands: Any) -> None:
    parser = commands.add_parser(
        "keygen",
        help="make a key that signs bundles",
        description="Make an Ed25519 key. The private half signs and stays here; FILE.pub goes to the boxes (--trust).",
    )
    parser.set_defaults(command=_keygen)
    parser.add_argument(
        "--out", required=True, metavar="FILE", type=Path, help="of the private key, or a folder; never overwritten"
    )
    _add_passphrase_option(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON document on stdout")


def _add_sign(commands: Any) -> None:
    parser = commands.add_parser(
        "sign",
        help="sign a bundle that is there already",
        description="Write the same bundle with a signature. The model is not touched.",
    )
    parser.set_defaults(command=_sign)
    parser.add_argument("bundle", metavar="BUNDLE", type=Path, help="made by edge-converter, signed or not")
    parser.add_argument("--out", required=True, metavar="BUNDLE2", type=Path, help="the file to write; must not exist")
    _add_key_options(parser, required=True)
    parser.add_argument("--json", action="store_true", help="print one JSON document on stdout")


def _add_golden(commands: Any) -> None:
    parser = commands.add_parser(
        "golden",
        help="give an older bundle golden vectors",
        description="Write the same bundle with pictures and what its model says of them here, which each box asks its "
        "own processor again before it starts. The model is not touched. A signature does not fit any more: sign anew.",
    )
    parser.set_defaults(command=_golden)
    parser.add_argument("bundle", metavar="BUNDLE", type=Path, help="made by edge-converter")
    parser.add_argument("--out", required=True, metavar="BUNDLE2", type=Path, help="the file to write; must not exist")
    _add_key_options(parser, required=False)
    parser.add_argument("--json", action="store_true", help="print one JSON document on stdout")


def _add_key_options(parser: argparse.ArgumentParser, *, required: bool) -> None:
    parser.add_argument(
        "--key", metavar="KEY", required=required, type=Path, help="private key that signs the bundle (see keygen)"
    )
    _add_passphrase_option(parser)


def _add_passphrase_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--passphrase-file", metavar="FILE", type=Path, help="holds the private key's passphrase")


def _reason(text: str) -> str:
    reason = " ".join(text.split())
    if not 0 < len(reason) <= MAX_ALLOWED_CHARACTERS:
        raise argparse.ArgumentTypeError(f"expected a reason of 1 to {MAX_ALLOWED_CHARACTERS} characters, got {text!r}")
    return reason


def _version(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 2**63:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1 on, got {text!r}")
    return int(text)


def _add_data_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", required=True, metavar="DATA", type=Path, help="the folder the model was trained on")
    add_cache_option(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON document on stdout")


def _convert(arguments: argparse.Namespace) -> int:
    key = None if arguments.key is None else _signing_key(arguments)
    from converter.convert import Order, convert  # noqa: PLC0415 - TensorFlow takes seconds; --help should not

    document = convert(
        Order(
            model=arguments.model,
            data=arguments.data,
            out=arguments.out,
            cache=arguments.cache,
            seed=arguments.seed,
            key=key,
            version=arguments.version,
            float_out=arguments.float_out,
            allow=arguments.allow,
        )
    )
    return print_document(document, arguments)


def _parity(arguments: argparse.Namespace) -> int:
    from converter.examine import examine  # noqa: PLC0415 - TensorFlow takes seconds; --help should not
    from converter.gate import check, sentence  # noqa: PLC0415 - likewise

    found = examine(arguments.model, arguments.bundle, arguments.data, arguments.cache)
    code = print_document(found.document(), arguments)
    log.info("%s", sentence(found.parity))
    check(found.parity)
    return code


def _keygen(arguments: argparse.Namespace) -> int:
    from converter.keys import make_key, read_passphrase  # noqa: PLC0415 - not every command needs cryptography

    made = make_key(arguments.out, passphrase=read_passphrase(arguments.passphrase_file))
    log.info("private key, keep it where only you can read it and in no box: %s", made.private)
    log.info("public key, for --trust on each box: %s", made.public)
    log.info("fingerprint, for people to compare: %s", made.key.fingerprint)
    if not arguments.json:
        print(made.key)
    document = {
        "private_key": str(made.private),
        "public_key": str(made.public),
        "fingerprint": made.key.fingerprint,
        "trust": str(made.key),
    }
    return print_document(document, arguments)


def _sign(arguments: argparse.Namespace) -> int:
    from converter.keys import with_version  # noqa: PLC0415 - not every command needs cryptography
    from edge.bundle.bundle import read_bundle, write_bundle  # noqa: PLC0415 - likewise

    signed = _signing_key(arguments).sign(with_version(read_bundle(arguments.bundle)))
    write_bundle(signed, arguments.out)
    log.info(
        "wrote %s, %s version %d, signed by key %s", arguments.out, signed.model_id, signed.card.version, signed.signer
    )
    document = {
        "bundle": str(arguments.out),
        "model": signed.model_id,
        "version": signed.card.version,
        "signed_by": signed.signer,
    }
    return print_document(document, arguments)


def _golden(arguments: argparse.Namespace) -> int:
    from converter.golden import with_golden  # noqa: PLC0415 - the interpreter takes a while; --help should not
    from converter.keys import with_version  # noqa: PLC0415 - likewise
    from edge.bundle.bundle import read_bundle, write_bundle  # noqa: PLC0415 - likewise

    bundle = with_golden(read_bundle(arguments.bundle))
    if arguments.key is not None:
        bundle = _signing_key(arguments).sign(with_version(bundle))
    write_bundle(bundle, arguments.out)
    log.info("wrote %s, %s, signed by %s", arguments.out, bundle.model_id, bundle.signer or "nobody")
    document = {"bundle": str(arguments.out), "model": bundle.model_id, "signed_by": bundle.signer}
    return print_document(document, arguments)


def _signing_key(arguments: argparse.Namespace) -> "SigningKey":
    from converter.keys import read_key, read_passphrase  # noqa: PLC0415 - not every command needs cryptography

    return read_key(arguments.key, passphrase=read_passphrase(arguments.passphrase_file))


if __name__ == "__main__":
    sys.exit(main())
