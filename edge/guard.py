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
BLACK: Final = 2
WHITE: Final = 253
"""A pixel up to the one or from the other on is saturated; a JPEG blurs the ends by a level or two."""


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
    scores = {"side_px": float(side_px), **exposure(pixels)}
    contrast = scores["contrast"]
    if side_px < MIN_SIDE_PX:
        return Verdict(scores, f"the shorter side has {side_px} pixels, at least {MIN_SIDE_PX} are needed")
    if contrast < MIN_CONTRAST:
        return Verdict(
            scores, f"the picture is nearly blank (contrast {contrast:.1f}, at least {MIN_CONTRAST:g} needed)"
        )
    return Verdict(scores, None)


def exposure(pixels: npt.NDArray[np.uint8]) -> dict[str, float]:
    """How bright a picture is, how far its gray levels lie apart, and which share of it is black and white.

    Args:
        pixels: `(224, 224, 3) uint8`, gray repeated three times, 0-255.
    """
    gray = pixels[:, :, 0]
    return {
        "brightness": round(float(gray.mean()), 2),
        "contrast": round(float(gray.std(dtype=np.float64)), 2),
        "black": round(float((gray <= BLACK).mean()), 4),
        "white": round(float((gray >= WHITE).mean()), 4),
    }
