"""What goes into a page comes out as text, and a page loads nothing."""

import re
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from edge.errors import ConfigError
from trainer.report.chart import Axis, Bars, Chart, Dots, Line, Mark, Rule, Zone
from trainer.report.page import _environment, between, number, percent, picture, write_text

PARTS = "{% extends 'page.html.j2' %}{% import 'parts.html.j2' as parts %}"
PAGE = PARTS + "{% block title %}{{ title }}{% endblock %}{% block content %}{{ parts.chart(chart) }}{% endblock %}"
HOSTILE = "<script>alert('x')</script>"


def page_of(chart: Chart) -> str:
    """A page with one chart."""
    return _environment().from_string(PAGE).render(title=HOSTILE, chart=chart)


def every_mark(label: str) -> Chart:
    """A chart with one of each, all of them named alike."""
    return Chart(
        title=label,
        alt=label,
        x=Axis(label=label),
        y=Axis(label=label, high=100, ticks=(0, 1, 10, 100), scale="counts"),
        lines=(Line(label=label, colour=0, x=[0, 0, 0.5], y=[0, 0, 100]),),
        bars=(Bars(label=label, colour=1, edges=[0, 0.5, 1], heights=[0, 10]),),
        dots=(Dots(label=label, colour=2, x=[0.5], y=[10], weights=[4], low=[1], high=[100]),),
        marks=(Mark(label=label, x=0.5, y=1),),
        rules=(Rule(label=label, at=0.5),),
        zones=(Zone(label=label, low=0.4, high=0.4),),
        diagonal=label,
        caption=label,
    )


def test_every_word_is_escaped():
    """Titles, labels of axes and marks, captions: none of them is believed."""
    page = page_of(every_mark(HOSTILE))

    assert "<script" not in page
    assert page.count("&lt;script&gt;") >= 12


def test_the_policy_names_the_page_s_own_style_and_nothing_else():
    """The hash in the policy is that of the one style element, and no element has a style of its own."""
    page = page_of(every_mark("a"))

    style = re.search("<style>(.*?)</style>", page, re.DOTALL)
    digest = b64encode(sha256(style[1].encode()).digest()).decode()
    assert f"style-src &#39;sha256-{digest}&#39;" in page
    assert "default-src &#39;none&#39;" in page
    assert " style=" not in page


def test_a_chart_puts_its_values_where_the_axes_say():
    """Ends of the axes lie on the frame; points that fall together are drawn once; bars of no height are not drawn."""
    chart = every_mark("a")

    assert (chart.across(0), chart.across(1), chart.up(0), chart.up(100)) == (62, 466, 286, 10)
    assert chart.up(1) == pytest.approx(286 - 276 * np.log(2) / np.log(101), abs=0.01)
    assert chart.path(chart.lines[0]) == "M62.0 286.0L264.0 10.0"
    assert chart.blocks(chart.bars[0]).count("M") == 1
    assert chart.breadth(chart.zones[0]) == 1


def test_figures_are_written_as_people_read_them():
    """A perfect score has no decimals, and what is not known is no number."""
    assert [percent(value) for value in (0.985, 1, 1.0, 0, None)] == ["98.5%", "100%", "100%", "0%", "\N{EN DASH}"]
    assert (number(12345), number(0.98512), number(None)) == ("12,345", "0.985", "\N{EN DASH}")
    assert between((0.95, 0.9933)) == "95.0% to 99.3%"
    assert between((0.95, 1.0), shares=False) == "0.950 to 1.000"


@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 3)])
def test_a_picture_travels_inside_the_page(shape: tuple[int, ...]):
    """Gray or coloured, its address holds its bytes."""
    assert picture(np.zeros(shape, np.uint8)).startswith("data:image/jpeg;base64,")


def test_a_page_that_cannot_be_written_leaves_nothing(tmp_path: Path):
    """The message names the file and the way out."""
    blocked = tmp_path / "file"
    blocked.write_text("in the way")

    with pytest.raises(ConfigError, match="name another --out"):
        write_text("page", blocked / "report.html")
    assert list(tmp_path.iterdir()) == [blocked]
