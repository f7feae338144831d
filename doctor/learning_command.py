"""`edge-doctor statistics` and `edge-doctor export`: what the doctors' answers teach, in a terminal and as files."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from doctor.learning.answered import CAVEAT
from doctor.learning.export import Format, export
from doctor.learning.overview import Overview, overview
from doctor.learning.performance import Performance, Share
from doctor.learning.records import Selection, exhibits
from doctor.place import add_store_option, open_known_store
from edge.errors import ConfigError
from edge.wire.messages import NOTICE


def add(commands: Any) -> None:
    """Add both commands to the command line."""
    statistics = commands.add_parser(
        "statistics",
        help="how right the models are, by the readers' answers",
        description="Agreement, sensitivity and specificity by clinic, model and month, from the readers' answers, "
        "with 95% intervals; alarms where a clinic's images drift; models compared on the same images.",
        epilog=CAVEAT,
    )
    _add_selection(statistics)
    statistics.add_argument("--json", action="store_true", help="one JSON document")
    statistics.set_defaults(command=_statistics)
    out = commands.add_parser(
        "export",
        help="write answered reports as a dataset to train on, DICOM, FHIR, JSON or CSV",
        description="Write answered reports to a new folder. `dataset` is what edge-trainer takes: a folder per class, "
        "and a manifest with patient tokens and the clinic as source, so that it can be split by either.",
        epilog=f"{NOTICE} Previews may show what was burned into the image: look at them before you hand them on.",
    )
    out.add_argument("data", metavar="DATA", type=Path, help="the new folder")
    out.add_argument(
        "--format", choices=[kind.value for kind in Format], default=Format.DATASET.value, help="(default: dataset)"
    )
    _add_selection(out)
    out.set_defaults(command=_export)


def _add_selection(parser: argparse.ArgumentParser) -> None:
    add_store_option(parser)
    parser.add_argument("--site", metavar="NAME", help="one clinic only")
    parser.add_argument("--days", metavar="N", type=int, help="reports of the last N days only")


def _selection(arguments: argparse.Namespace) -> Selection:
    if arguments.days is None:
        return Selection(arguments.site)
    if arguments.days < 1:
        raise ConfigError(f"--days must be 1 or more, got {arguments.days}")
    return Selection(arguments.site, datetime.now(UTC) - timedelta(days=arguments.days))


def _statistics(arguments: argparse.Namespace) -> int:
    with open_known_store(arguments) as store:
        found = overview(store, _selection(arguments), now=datetime.now(UTC))
    if arguments.json:
        print(msgspec.json.encode(as_document(found)).decode())
    else:
        print("\n".join(text_lines(found)))
    return 0


def _export(arguments: argparse.Namespace) -> int:
    with open_known_store(arguments) as store:
        done = export(exhibits(store, _selection(arguments)), Format(arguments.format), arguments.data)
    print(f"{done.written} answered reports written to {arguments.data}")
    for reason, count in done.left_out.items():
        print(f"{count} left out: {reason}", file=sys.stderr)
    return 0


def as_document(found: Overview) -> dict[str, Any]:
    """An overview as one JSON document."""
    return {
        "by_clinic": [_row(row) for row in found.by_clinic],
        "by_month": [_row(row) for row in found.by_month],
        "comparisons": [asdict(pair) | {"p_value": pair.p_value} for pair in found.comparisons],
        "alarms": [
            {"site": one.site, "device": one.device, "model": one.model, **asdict(one.alarm)} for one in found.alarms
        ],
        "caveat": CAVEAT,
        "notice": NOTICE,
    }


def text_lines(found: Overview) -> list[str]:
    """An overview for a terminal."""
    if not found.by_clinic:
        return ["Nobody has answered a report yet.", NOTICE]
    lines = _table(found.by_clinic)
    if len(found.by_month) > len(found.by_clinic):
        lines += ["", *_table(found.by_month)]
    lines += [
        f"{pair.first} against {pair.second} on {pair.n} images: only the first right {pair.only_first}, only the "
        f"second {pair.only_second} (p = {pair.p_value:.2g})"
        for pair in found.comparisons
    ]
    lines += [f"DRIFT {one.site}/{one.device} {one.model}: {one.alarm.text}" for one in found.alarms]
    return [*lines, "", CAVEAT, NOTICE]


def _table(rows: Sequence[Performance]) -> list[str]:
    head = [*rows[0].group, "answered", "cannot judge", "undecided", "agreement", "sensitivity", "specificity"]
    cells = [
        [
            *row.group.values(),
            str(row.answered),
            str(row.cannot_judge),
            str(row.undecided),
            *(share_text(share) for share in (row.agreement, row.sensitivity, row.specificity)),
        ]
        for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(head, *cells, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in (head, *cells)
    ]


def share_text(share: Share | None) -> str:
    """A share with its interval and what it was counted on, `0.87 (0.74-0.94, n 46)`."""
    if share is None:
        return "-"
    low, high = share.ci95
    return f"{share.value:.2f} ({low:.2f}-{high:.2f}, n {share.n})"


def _row(row: Performance) -> dict[str, Any]:
    shares = {"agreement": row.agreement, "sensitivity": row.sensitivity, "specificity": row.specificity}
    counts = {"answered": row.answered, "cannot_judge": row.cannot_judge, "undecided": row.undecided}
    return {
        **{str(name): value for name, value in row.group.items()},
        **counts,
        **{name: _share(share) for name, share in shares.items()},
    }


def _share(share: Share | None) -> dict[str, Any] | None:
    return None if share is None else asdict(share) | {"value": share.value, "ci95": share.ci95}
