"""`edge-agent bench`: how fast is the model on this box, and is int8 faster than float here?"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from edge.errors import ConfigError
from edge.settings.agent_options import add_model_options, config_of

if TYPE_CHECKING:
    from edge.bench import Speed

_ONE_THREAD: Final = 1
"""What compares between machines and runtimes; the agent itself takes up to four."""


def add(commands: Any) -> None:
    """Add the command `bench` to the agent's commands."""
    parser = commands.add_parser(
        "bench",
        help="how fast is the model on this box?",
        description="Time the bundle's model in every runtime that is installed, beside another model if one is named, "
        "in one interleaved run. It says where the other one is faster: int8 does not pay on every board.",
        epilog="--threads is 1 unless given. `edge-converter convert --float-out FILE` writes a float model to compare "
        "with.",
    )
    add_model_options(parser)
    parser.add_argument("--against", metavar="TFLITE", type=Path, help="another model that takes the same image")
    parser.add_argument("--rounds", metavar="N", type=_count, default=50, help="runs of each model (default: 50)")
    parser.add_argument("--max-s", metavar="S", type=float, default=120.0, help="begin no round later (default: 120)")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    parser.set_defaults(command=_bench)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1 on, got {text!r}")
    return int(text)


def _bench(arguments: argparse.Namespace) -> int:
    from edge.bench import Speed, machine, measure  # noqa: PLC0415 - `--help` needs no interpreter
    from edge.bundle.bundle import read_bundle  # noqa: PLC0415
    from edge.bundle.signature import Trust  # noqa: PLC0415
    from edge.classify import installed_runtimes  # noqa: PLC0415

    config = config_of(arguments)
    bundle = read_bundle(config.model_path, Trust.of(config.trust, allow_unsigned=config.allow_unsigned))
    threads = config.threads or _ONE_THREAD
    figures, times_faster = measure(
        bundle.model,
        None if arguments.against is None else _content(arguments.against),
        runtimes=installed_runtimes() if config.runtime == "auto" else [config.runtime],
        threads=threads,
        rounds=arguments.rounds,
        max_s=arguments.max_s,
    )
    speed = Speed(
        model=bundle.model_id,
        other=None if arguments.against is None else arguments.against.name,
        machine=machine(),
        threads=threads,
        figures=figures,
        times_faster=times_faster,
    )
    print(msgspec.json.encode(speed).decode() if arguments.json else "\n".join(lines(speed)))
    return 0


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"cannot read the model to compare with, {path}: {error.strerror}; mind name and mode"
        ) from error


def lines(speed: "Speed") -> list[str]:
    """The figures for a person."""
    other = "" if speed.other is None else f", the other is {speed.other}"
    said = [f"{speed.machine}, threads: {speed.threads}", f"the bundle's is {speed.model}{other}", ""]
    said.append(f"{'model':<14}{'runtime':<24}{'XNNPACK':<9}{'median ms':>10}{'p95 ms':>10}{'n':>6}")
    said += [
        f"{each.model:<14}{each.runtime:<24}{'yes' if each.xnnpack else 'no':<9}"
        f"{each.p50_ms:>10.2f}{each.p95_ms:>10.2f}{each.n:>6}"
        for each in speed.figures
    ]
    if speed.times_faster:
        said.append("")
    said += [
        f"{runtime}: the bundle's model is {ratio:.2f} times as fast as the other"
        + ("; the other is FASTER here" if runtime in speed.slower_in else "")
        for runtime, ratio in speed.times_faster.items()
    ]
    return said
