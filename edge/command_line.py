"""What the project's commands share: errors to exit codes, logs to stderr, and the options of the broker."""

import argparse
import logging
import signal
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from threading import Event, Thread
from typing import Any, Final

import msgspec

from edge.errors import EdgeXrayError

LOG_FORMAT: Final = "%(asctime)sZ %(levelname)s %(name)s %(message)s"
_LOG_TIME: Final = "%Y-%m-%dT%H:%M:%S"
PACKAGES: Final = ("edge", "trainer", "converter", "doctor")
_RUN_BY_PYTHON_M: Final = "__main__"
"""What the command's own module is called, and so its log, under `python -m`."""
LOG_LEVELS: Final = ("debug", "info", "warning", "error")
LOG_FORMATS: Final = ("text", "json")

_BROKER_OPTION_OF_KEY: Final = {
    "address": "broker",
    "prefix": "prefix",
    "version": "mqtt_version",
    "tls": "tls",
    "ca_file": "ca_file",
    "cert_file": "cert_file",
    "key_file": "key_file",
    "username": "username",
    "password_file": "password_file",
    "first_contact_s": "first_contact_s",
}


def command_parser(prog: str, *, description: str, epilog: str) -> argparse.ArgumentParser:
    """The parser of one of the project's commands, with `--version`."""
    parser = argparse.ArgumentParser(
        prog=prog, description=description, epilog=epilog, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action=VersionAction)
    return parser


def run_command(
    parser: argparse.ArgumentParser, argv: Sequence[str] | None, *, interrupted: str = "interrupted"
) -> int:
    """Parse, call the `command` that the parser's defaults name, and return the exit code.

    An `EdgeXrayError` becomes one line on stderr and its own exit code; anything else is a defect and shows its trace.
    `interrupted` is what Ctrl-C is answered with.
    """
    arguments = parser.parse_args(argv)
    try:
        code: int = arguments.command(arguments)
    except EdgeXrayError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print(f"{parser.prog}: {interrupted}", file=sys.stderr)
        return 128 + signal.SIGINT
    return code


class VersionAction(argparse.Action):
    """`--version`; looks the version up only when asked, because that costs a tenth of a start."""

    def __init__(self, option_strings: Sequence[str], dest: str, **_: Any) -> None:
        super().__init__(option_strings, dest, nargs=0, help="show the version and exit")

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        """Print the command's name and the distribution's version, and end."""
        from importlib.metadata import version  # noqa: PLC0415 - see above

        sys.stdout.write(f"{parser.prog} {version('edge-xray')}\n")  # parser.exit(message=) would write to stderr
        parser.exit()


class JsonFormatter(logging.Formatter):
    """One JSON document a line: `at`, `level`, `logger`, `message`, a `trace`, and what `extra={"fields": {}}` adds."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON."""
        document: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            document["trace"] = self.formatException(record.exc_info)
        return msgspec.json.encode(document).decode()


def log_to_stderr(level: str, form: str = "text") -> None:
    """Send log lines to stderr, with times in UTC: the project's from `level` on, libraries' from warnings on."""
    logging.Formatter.converter = time.gmtime
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else logging.Formatter(LOG_FORMAT, _LOG_TIME))
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    for package in (*PACKAGES, _RUN_BY_PYTHON_M):
        logging.getLogger(package).setLevel(level.upper())


def stop_on_signals() -> Event:
    """An event that SIGTERM and SIGINT set."""
    stop = Event()

    def end(*_: object) -> None:
        # The signal may have interrupted this thread in the midst of `stop.wait`, with the event's lock held: to wait
        # for that lock here would be to wait for ever.
        if not stop.is_set():
            Thread(target=stop.set, name="stop").start()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    return stop


def add_broker_options(parser: argparse.ArgumentParser, *, required: bool = False) -> None:
    """The options that say how to reach the broker; their defaults are `edge.settings.config.BrokerConfig`'s."""
    group = parser.add_argument_group("broker")
    group.add_argument(
        "--broker", metavar="HOST[:PORT]", required=required, help="MQTT broker (port: 1883, with TLS 8883)"
    )
    group.add_argument("--prefix", help="root of the topic tree (default: xray)")
    group.add_argument("--mqtt-version", choices=("5", "3.1.1"), help="of the protocol (default: 5)")
    group.add_argument("--tls", action="store_const", const=True, help="encrypt, and verify the broker")
    group.add_argument("--ca-file", metavar="PEM", help="certificates to trust instead of the system's")
    group.add_argument("--cert-file", metavar="PEM", help="this end's certificate")
    group.add_argument("--key-file", metavar="PEM", help="this end's private key")
    group.add_argument("--username", help="at the broker")
    group.add_argument("--password-file", metavar="FILE", help="holds the password at the broker")
    group.add_argument(
        "--first-contact-s",
        metavar="S",
        help="give up (exit 69) if the broker has never answered for this long; 0 waits for ever (default: 10)",
    )


def broker_values(arguments: argparse.Namespace) -> dict[str, Any]:
    """Those options as keys of `edge.settings.config.BrokerConfig`; None where not given."""
    return {key: getattr(arguments, option, None) for key, option in _BROKER_OPTION_OF_KEY.items()}
