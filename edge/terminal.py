"""Findings as a person sees them in a terminal: one line each, and a small picture of where the network looked."""

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, TextIO

import numpy as np
import numpy.typing as npt
from PIL import Image

from edge.wire.messages import Report

_SHADES: Final = " ·░▒▓█"
_RESET: Final = "\x1b[0m"
_HOT: Final = np.array([255.0, 110.0, 20.0])


def has_colour(stream: TextIO) -> bool:
    """Whether a stream shows colours: a terminal, and nobody set NO_COLOR."""
    return stream.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"


def finding_line(report: Report, arrived_at: datetime) -> str:
    """One report in one line: when it arrived, from where, what, how sure, by which model."""
    when = arrived_at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    if report.reason is not None:
        what = f"{report.decision.upper()}: {report.reason}"
    else:
        what = f"{report.decision.upper()} {_share(report)}"
    again = " (sent again)" if report.replayed else ""
    return f"{when}  {report.site}/{report.device} #{report.seq}  {what}  [{report.model.id}]{again}"


def _share(report: Report) -> str:
    """How sure the model is of what it decided, or how much speaks for the positive label where it decided nothing."""
    if report.decision in report.probabilities:
        return f"{report.probabilities[report.decision]:.1%}"
    return f"({report.positive} {report.probabilities.get(report.positive, 0):.1%})"


def heatmap_lines(rows: Sequence[Sequence[float]], *, indent: str = "    ") -> list[str]:
    """A heatmap in shades of gray, two characters a cell, darkest where nothing speaks for the decision."""
    return [indent + "".join(_SHADES[round(value * (len(_SHADES) - 1))] * 2 for value in row) for row in rows]


def picture_lines(
    pixels: npt.NDArray[np.uint8], heatmap: Sequence[Sequence[float]] | None, *, width: int = 36, indent: str = "    "
) -> list[str]:
    """A radiograph with its heatmap laid over it, in 24-bit colour half blocks: two pixels a character.

    Args:
        pixels: `(H, W) uint8`.
        heatmap: Rows of numbers 0-1, or None for the bare radiograph.
        width: Characters a line.
        indent: Before each line.
    """
    height = max(2, round(width * pixels.shape[0] / pixels.shape[1] / 2) * 2)
    gray = np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.BOX), np.float64)[:, :, None]
    heat = np.zeros((height, width, 1))
    if heatmap is not None:
        values = Image.fromarray(np.asarray(heatmap, np.float32))
        heat[:, :, 0] = np.clip(np.asarray(values.resize((width, height), Image.Resampling.BICUBIC)), 0, 1)
    weight = 0.6 * heat
    colours = np.rint((1 - weight) * gray + weight * _HOT).astype(int)  # (height, width, 3)
    return [
        indent + "".join(_half_block(*pair) for pair in zip(upper, lower, strict=True)) + _RESET
        for upper, lower in zip(colours[0::2], colours[1::2], strict=True)
    ]


def _half_block(upper: npt.NDArray[np.int64], lower: npt.NDArray[np.int64]) -> str:
    return f"\x1b[38;2;{upper[0]};{upper[1]};{upper[2]}m\x1b[48;2;{lower[0]};{lower[1]};{lower[2]}m▀"
