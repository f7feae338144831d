"""Where a key of a TOML text stands, for any text; and how quickly a right one is read."""

import time
import tomllib
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st

from edge.settings.config import load
from edge.settings.sources import lines_of

EXAMPLE = Path(__file__).parents[3] / "deploy" / "systemd" / "config.example.toml"
VALUES = st.sampled_from(
    ["1", '"a # b"', "[\n  1,\n  2, # two\n]", '"""\nc = 3\n[d]\n"""', "{ x = 1 }", "true", '"\u2028"']
)
NOISE = st.lists(st.sampled_from(["", "# a comment", "   ", "\t# [section]"]), max_size=3)


@st.composite
def texts(draw: st.DrawFn) -> tuple[str, dict[str, int]]:
    """A TOML text, and the line on which each of its keys stands."""
    lines: list[str] = []
    at: dict[str, int] = {}
    for section in ["", *draw(st.lists(st.sampled_from(["a", "b", "b.c"]), unique=True, max_size=3))]:
        lines += draw(NOISE)
        if section:
            lines.append(f"[{section}]")
        for key in draw(st.lists(st.sampled_from(["k", "l", "m"]), unique=True, max_size=3)):
            lines += draw(NOISE)
            at[f"{section}.{key}" if section else key] = len(lines) + 1
            lines += f"{key} = {draw(VALUES)}".split("\n")
    return "\n".join(lines), at


@given(texts())
@example(("a = 1", {"a": 1}))
def test_each_key_is_found_on_its_line(text_and_lines: tuple[str, dict[str, int]]):
    """Whatever stands between, and however many lines a value takes."""
    text, at = text_and_lines
    tomllib.loads(text)

    found = lines_of(text)

    assert {key: found[key] for key in at} == at


def test_a_right_file_costs_next_to_nothing():
    """Lines are looked for only where somebody has to be told: the complete example takes no tenth of a second."""
    load({}, file=EXAMPLE)  # once, so that nothing is imported below

    start_s = time.perf_counter()
    load({}, file=EXAMPLE)

    assert time.perf_counter() - start_s < 0.1
