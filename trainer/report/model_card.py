"""Metrics -> `model-card.md`: what a person should know before running the model (Mitchell et al., 2019, FAT*).

Plain Markdown under the paper's own headings. Every name that comes from outside is escaped, so that a class or a
source cannot write headings, links or HTML into the card.
"""

import html
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from trainer.report.limits import limits
from trainer.report.page import between, number, percent, render, write_text

MODEL_CARD_NAME: Final = "model-card.md"
_SPECIAL: Final = re.compile(r"([\\`*_{}\[\]|~$])")
_BREAKS: Final = re.compile(r"\s+")


def write_model_card(document: Mapping[str, Any], path: Path) -> None:
    """Write the card; what is there under its name is replaced.

    Args:
        document: What `metrics.json` of a training run holds.
        path: Of the card.

    Raises:
        ConfigError: The folder cannot be written.
    """
    write_text(model_card_of(document), path)


def model_card_of(document: Mapping[str, Any]) -> str:
    """The card's text; the argument is that of `write_model_card`."""
    return render(
        "model-card.md.j2",
        it=document,
        point=document.get("operating_point"),
        limits=limits(document),
        measures=_measures(document),
        md=escaped,
        percent=percent,
        number=number,
        between=between,
    )


def escaped(text: object) -> str:
    """A text that Markdown shows as it is, on one line and not at its beginning."""
    return html.escape(_SPECIAL.sub(r"\\\1", _BREAKS.sub(" ", str(text)).strip()), quote=False)


def _measures(document: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Name, value and 95% interval of each measure."""
    shares = {
        "Accuracy": "accuracy",
        "Sensitivity": "sensitivity",
        "Specificity": "specificity",
        "Accuracy outside the band": "accuracy_outside_band",
    }
    ends = document["ci95"]
    return [
        *((name, percent(document[key]), between(ends[key])) for name, key in shares.items()),
        ("Area under the ROC curve", number(document["auc"]), between(ends["auc"], shares=False)),
        ("Inconclusive", percent(document["inconclusive"]), ""),
        ("Brier score", number(document["brier"]), ""),
        ("Expected calibration error", number(document["ece"]), ""),
    ]
