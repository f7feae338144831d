"""The command `edge-doctor`: read the clinics' reports."""

import argparse
import logging
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from threading import Event

import msgspec

from doctor.inbox import Inbox
from doctor.store import Store, Stored
from edge.config import BrokerConfig
from edge.errors import EdgeXrayError
from edge.messages import NOTICE
from edge.terminal import finding_line, has_colour, heatmap_lines


def main(argv: Sequence[str] | None = None) -> int:
    """Run `edge-doctor` and return its exit code."""
    arguments = build_parser().parse_args(argv)
    logging.Formatter.converter = time.gmtime
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)sZ %(levelname)s %(message)s")
    try:
        code: int = arguments.command(arguments)
    except EdgeXrayError as error:
        print(f"edge-doctor: {error}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # whoever read us has gone: not an error of ours
        return 0
    return code


def build_parser() -> argparse.ArgumentParser:
    """The command line of `edge-doctor`."""
    parser = argparse.ArgumentParser(
        prog="edge-doctor",
        description=f"Read the clinics' reports. {NOTICE}",
        epilog="exit codes: 0 done, 1 the store cannot be used, 2 usage, 69 broker unreachable, 78 bad configuration.",
    )
    parser.add_argument("--version", action="version", version=f"edge-doctor {version('edge-xray')}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    watch = commands.add_parser(
        "watch",
        help="print each report once, as it arrives",
        description=f"Print each report once, as it arrives, and send the clinic the receipt. {NOTICE}",
    )
    _add_broker_options(watch)
    watch.add_argument("--json", action="store_true", help="one JSON document per report")
    watch.add_argument("--store", metavar="FILE", type=Path, help="the inbox (default: one per broker, in your home)")
    watch.set_defaults(command=_watch)
    return parser


def _add_broker_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--broker", metavar="HOST[:PORT]", required=True, help="MQTT broker (port: 1883, TLS 8883)")
    parser.add_argument("--prefix", default="xray", help="root of the topic tree (default: xray)")
    parser.add_argument("--mqtt-version", choices=("5", "3.1.1"), default="5", help="of the protocol (default: 5)")
    parser.add_argument("--tls", action="store_true", help="encrypt, and verify the broker")
    parser.add_argument("--ca-file", metavar="PEM", help="certificates to trust instead of the system's")
    parser.add_argument("--cert-file", metavar="PEM", help="this inbox's certificate")
    parser.add_argument("--key-file", metavar="PEM", help="this inbox's private key")
    parser.add_argument("--username", help="at the broker")
    parser.add_argument("--password-file", metavar="FILE", help="holds the password at the broker")
    parser.add_argument(
        "--first-contact-s",
        metavar="S",
        type=float,
        default=10.0,
        help="give up (exit 69) if the broker has not answered once for this long; 0 waits for ever (default: 10)",
    )


def _watch(arguments: argparse.Namespace) -> int:
    config = BrokerConfig(
        address=arguments.broker,
        tls=arguments.tls,
        ca_file=arguments.ca_file,
        cert_file=arguments.cert_file,
        key_file=arguments.key_file,
        username=arguments.username,
        password_file=arguments.password_file,
        version=arguments.mqtt_version,
        prefix=arguments.prefix,
        first_contact_s=arguments.first_contact_s,
    )
    path = arguments.store or default_store(config)
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    print(f"{NOTICE} Reports are kept in {path}.", file=sys.stderr)
    with Store(path) as store:
        Inbox(config, store, _print_json if arguments.json else _text_printer()).run(stop)
    return 0


def default_store(config: BrokerConfig) -> Path:
    """Where the inbox of one broker lies when nobody says otherwise: two brokers may know boxes of the same name."""
    base = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    host, port = config.host_and_port
    return base / "edge-xray" / f"inbox-{re.sub(r'[^A-Za-z0-9.-]', '_', host)}-{port}.sqlite3"


def _print_json(stored: Stored) -> None:
    print(msgspec.json.encode(stored.report).decode(), flush=True)


def _text_printer() -> Callable[[Stored], None]:
    bold, plain = ("\x1b[1m", "\x1b[0m") if has_colour(sys.stdout) else ("", "")

    def show(stored: Stored) -> None:
        lines = [bold + finding_line(stored.report, stored.stored_at) + plain]
        if stored.report.heatmap is not None:
            lines += heatmap_lines(stored.report.heatmap)
        print("\n".join(lines), flush=True)

    return show


if __name__ == "__main__":
    sys.exit(main())
