"""Is this a picture the box can assess? If not, it says so instead of naming a class.

Invariant: a refusal always comes with a sentence for the person at the box. What is judged here are the picture's own
statistics; whether it shows a chest at all is not judged yet.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from edge.study import Radiograph

MIN_SIDE_PX: Final = 96
"""Below this a lung is a few dozen pixels wide, and the network would see little but interpolation."""
MIN_CONTRAST: Final = 8.0
"""Gray levels; the faintest of the 1,000 radiographs the project was measured on has 25."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a picture can be assessed.

    Attributes:
        scores: Name to value of what was measured.
        reason: Why it cannot, in a sentence for a person; None where it can.
    """

    scores: dict[str, float]
    reason: str | None


def examine(radiograph: Radiograph, pixels: npt.NDArray[np.uint8]) -> Verdict:
    """Judge one picture.

    Args:
        radiograph: As decoded; its source size counts.
        pixels: `(224, 224, 3) uint8`, what the network would see.
    """
    side_px = min(radiograph.source_width_px, radiograph.source_height_px)
    contrast = float(np.std(pixels[:, :, 0], dtype=np.float64))
    scores = {"side_px": float(side_px), "contrast": round(contrast, 2)}
    if side_px < MIN_SIDE_PX:
        return Verdict(scores, f"the shorter side has {side_px} pixels, at least {MIN_SIDE_PX} are needed")
    if contrast < MIN_CONTRAST:
        return Verdict(
            scores, f"the picture is nearly blank (contrast {contrast:.1f}, at least {MIN_CONTRAST:g} needed)"
        )
    return Verdict(scores, None)
