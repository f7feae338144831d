"""A chart as values; the macro `chart` of `templates/parts.html.j2` draws it as SVG inside a page.

Drawn by hand and not by a plotting library: so the chart takes the page's colours in light and dark, its words stay
text, every one of them is escaped by the same template, and each chart weighs some kilobytes. Invariant: no label
stands inside the plot, where it could cover something; every mark is named in the legend below.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log1p, sqrt
from typing import Any, ClassVar, Final, Literal

import numpy as np
import numpy.typing as npt

Values = Sequence[float] | npt.NDArray[np.floating[Any]]
FIFTHS: Final = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
_LARGEST_DISC_PX: Final = 9.0
_SMALLEST_DISC_PX: Final = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One axis.

    Attributes:
        label: What is counted, with its unit.
        low: Where it starts.
        high: Where it ends.
        ticks: Where it carries a number.
        scale: `linear`, or `counts`: the logarithm of 1 + x, which shows one image beside hundreds.
    """

    label: str
    low: float = 0.0
    high: float = 1.0
    ticks: tuple[float, ...] = FIFTHS
    scale: Literal["linear", "counts"] = "linear"

    def share(self, value: float) -> float:
        """How far along the axis a value lies, 0-1."""
        bend = log1p if self.scale == "counts" else float
        return (bend(value) - bend(self.low)) / (bend(self.high) - bend(self.low))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Line:
    """Points joined by straight strokes; `colour` 0-5 picks the page's series colour."""

    label: str
    colour: int
    x: Values
    y: Values


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bars:
    """Bars from the axis up, `heights[i]` between `edges[i]` and `edges[i + 1]`."""

    label: str
    colour: int
    edges: Values
    heights: Values


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Dots:
    """Discs whose area grows with `weights`, with whiskers from `low` to `high`."""

    label: str
    colour: int
    x: Values
    y: Values
    weights: Values
    low: Values
    high: Values


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """One point that matters."""

    label: str
    x: float
    y: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A vertical line."""

    label: str
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Zone:
    """A shaded stretch of the x axis."""

    label: str
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Chart:
    """What one chart shows; its methods give the template pixels.

    Attributes:
        title: Above it.
        alt: What it says, for who does not see it.
        x: Axis to the right.
        y: Axis upwards.
        caption: Below it.
        diagonal: What the diagonal stands for; empty for none.
    """

    title: str
    alt: str
    x: Axis
    y: Axis
    lines: tuple[Line, ...] = ()
    bars: tuple[Bars, ...] = ()
    dots: tuple[Dots, ...] = ()
    marks: tuple[Mark, ...] = ()
    rules: tuple[Rule, ...] = ()
    zones: tuple[Zone, ...] = ()
    diagonal: str = ""
    caption: str = ""

    width: ClassVar[int] = 480
    height: ClassVar[int] = 340
    start: ClassVar[int] = 62
    end: ClassVar[int] = 466
    top: ClassVar[int] = 10
    bottom: ClassVar[int] = 286
    depth: ClassVar[int] = 276

    @property
    def x_ticks(self) -> list[tuple[float, str]]:
        """Pixel and text of each number along the bottom."""
        return [(self.across(tick), f"{tick:g}") for tick in self.x.ticks]

    @property
    def y_ticks(self) -> list[tuple[float, str]]:
        """Pixel and text of each number up the side."""
        return [(self.up(tick), f"{tick:g}") for tick in self.y.ticks]

    def across(self, value: float) -> float:
        """Pixel of a value of the x axis."""
        return round(self.start + (self.end - self.start) * self.x.share(float(value)), 2)

    def up(self, value: float) -> float:
        """Pixel of a value of the y axis."""
        return round(self.bottom - self.depth * self.y.share(float(value)), 2)

    def left(self, zone: Zone) -> float:
        """Where a zone starts, in pixels."""
        return self.across(zone.low)

    def breadth(self, zone: Zone) -> float:
        """How wide a zone is, in pixels; never too narrow to be seen."""
        return max(round(self.across(zone.high) - self.across(zone.low), 2), 1.0)

    def path(self, line: Line) -> str:
        """A line's strokes, points that repeat the pixel before them left out."""
        points = [f"{self.across(x)} {self.up(y)}" for x, y in zip(line.x, line.y, strict=True)]
        kept = [point for position, point in enumerate(points) if position == 0 or point != points[position - 1]]
        return f"M{'L'.join(kept)}"

    def blocks(self, bars: Bars) -> str:
        """The outlines of bars that are higher than nothing."""
        edges = [self.across(edge) for edge in bars.edges]
        return "".join(
            f"M{left} {self.bottom}V{self.up(height)}H{right}V{self.bottom}Z"
            for left, right, height in zip(edges[:-1], edges[1:], bars.heights, strict=True)
            if height > 0
        )

    def discs(self, dots: Dots) -> list[tuple[float, float, float]]:
        """Centre and radius of each disc."""
        most = max((float(weight) for weight in dots.weights), default=1.0)
        return [
            (
                self.across(x),
                self.up(y),
                round(max(_LARGEST_DISC_PX * sqrt(float(weight) / most), _SMALLEST_DISC_PX), 2),
            )
            for x, y, weight in zip(dots.x, dots.y, dots.weights, strict=True)
        ]

    def whiskers(self, dots: Dots) -> str:
        """The strokes from each disc's low to its high."""
        return "".join(
            f"M{self.across(x)} {self.up(low)}V{self.up(high)}"
            for x, low, high in zip(dots.x, dots.low, dots.high, strict=True)
        )
