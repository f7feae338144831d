"""Values -> one HTML page that needs nothing else: the frame of every page the trainer writes.

A page extends `templates/page.html.j2`, which holds the frame and, in `templates/parts.html.j2`, the parts: sections,
tables, facts, charts, confusion matrices. Invariants: a page loads nothing and runs no script, and its content security
policy says so to the browser; every text is escaped on its way into it, for file names and labels are anybody's words.
"""

import base64
import io
import os
from contextlib import suppress
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import jinja2
import numpy as np
import numpy.typing as npt
from markupsafe import Markup
from PIL import Image

from edge.errors import ConfigError

UNKNOWN: Final = "\N{EN DASH}"
"""What stands where a figure could not be measured."""
_STYLE_NAME: Final = "page.css"
_JPEG_QUALITY: Final = 82


def render(template: str, **content: Any) -> str:
    """Fill a template of `templates/`; a name it uses and is not given is an error.

    Args:
        template: Its file name. `*.html.j2` is escaped as HTML, anything else is left as it is.
        content: What it speaks of.
    """
    return _environment().get_template(template).render(**content)


def write_text(text: str, path: Path) -> None:
    """Write a page so that the final name holds either all of it or nothing.

    Raises:
        ConfigError: The folder cannot be written.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}; free some space or name another --out") from error
    finally:
        with suppress(OSError):  # it is gone where all went well, and its folder may be none
            partial.unlink()


def picture(pixels: npt.NDArray[np.uint8]) -> str:
    """An image inside the page, as a `data:` address for `src`.

    Args:
        pixels: `(H, W) uint8` or `(H, W, 3) uint8, RGB`.
    """
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=_JPEG_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def percent(share: float | None, decimals: int = 1) -> str:
    """0.985 -> `98.5%`; 1 -> `100%`."""
    return UNKNOWN if share is None else f"{100 * share:.{0 if share in {0, 1} else decimals}f}%"


def number(value: float | None, decimals: int = 3) -> str:
    """0.98512 -> `0.985`; a whole number keeps its digits, in groups of three."""
    if value is None:
        return UNKNOWN
    return f"{value:,}" if isinstance(value, int) else f"{value:.{decimals}f}"


def between(interval: tuple[float, float] | None, *, shares: bool = True) -> str:
    """(0.95, 0.9933) -> `95.0% to 99.3%`, or with `shares` false `0.950 to 0.993`."""
    if interval is None:
        return UNKNOWN
    return " to ".join(percent(end) if shares else number(float(end)) for end in interval)


@cache
def _environment() -> jinja2.Environment:
    loader = jinja2.PackageLoader("trainer.report")
    environment = jinja2.Environment(
        loader=loader,
        autoescape=jinja2.select_autoescape(enabled_extensions=["html.j2"], default_for_string=True, default=False),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"percent": percent, "number": number, "between": between, "picture": picture}
    style = loader.get_source(environment, _STYLE_NAME)[0]
    digest = base64.b64encode(sha256(style.encode()).digest()).decode()
    environment.globals |= {
        "style": Markup(style),  # noqa: S704 - a file of this package
        "policy": f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'",
    }
    return environment
