"""Two views that hide the lungs: what a network still tells from them, it does not tell by the lungs.

Used by `audit.py`. There are no lung masks for anybody's data, so both places are fixed shares of the picture,
drawn generously; `hidden_share` says how much of real lungs they hide. Invariant: a hidden pixel is `FILL`, whatever
it was, so nothing of it is left.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from edge.preprocess import SIDE_PX

FILL: Final = 128
"""Middle gray, which lies near zero after the arithmetic of most networks."""
FRAME_PX: Final = 16
"""Width of the frame that a border view leaves, of 224 pixels: 7% of a side."""
LUNG: Final = (
    (0.34, 0.02),
    (0.44, 0.01),
    (0.48, 0.06),
    (0.48, 0.76),
    (0.42, 0.90),
    (0.22, 0.97),
    (0.04, 0.98),
    (0.03, 0.75),
    (0.06, 0.50),
    (0.11, 0.28),
    (0.22, 0.08),
)
"""Corners of the left one of two mirrored patches, x and y as shares of the picture's sides.

Drawn around where 284 masks of two collections (JSRT and OpenIST) have lung on at least a few pictures.
"""
COVERAGE: Final = (
    "On 284 X-rays with masks (JSRT, OpenIST) the two patches hide 99.4% of the lungs on average and 88% in the worst "
    "case; 1.0% of the lungs lies in the frame on average and 8% in the worst case."
)
"""How well the two places fit, measured by `tests/trainer/test_occlude.py`."""

Place = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Hidden:
    """Pictures with one place painted over: a `trainer.views.View`.

    Attributes:
        name: What is left, with everything that the place depends on.
        place: `(224, 224) bool`, True where the picture is hidden.
    """

    name: str
    place: Place

    def __call__(self, pixels: npt.NDArray[np.uint8], keys: Sequence[str]) -> npt.NDArray[np.float32]:
        """Paint the place over, `(n, 224, 224, 3) float32, RGB, 0-255`; the same for every key."""
        assert len(keys) == len(pixels)  # noqa: S101 - a view is called with as many keys as pictures
        return np.where(self.place[:, :, np.newaxis], np.float32(FILL), pixels).astype(np.float32)


@cache
def border_only() -> Hidden:
    """Nothing but a frame: collimator, edge of the film, letters at the rim, shoulders; hardly any lung."""
    place = np.zeros((SIDE_PX, SIDE_PX), np.bool_)
    place[FRAME_PX:-FRAME_PX, FRAME_PX:-FRAME_PX] = True
    return Hidden(f"frame of {FRAME_PX} px around {FILL}", place)


@cache
def lungs_blanked() -> Hidden:
    """Everything but two lung-shaped patches: neck, shoulders, arms, the middle, what lies below and around."""
    canvas = Image.new("1", (SIDE_PX, SIDE_PX))
    draw = ImageDraw.Draw(canvas)
    for mirrored in (False, True):
        corners = [((1 - x if mirrored else x) * SIDE_PX, y * SIDE_PX) for x, y in LUNG]
        draw.polygon(corners, fill=1)
    return Hidden(f"lungs {LUNG} under {FILL}", np.asarray(canvas, np.bool_))


def hidden_share(view: Hidden, lungs: Place) -> float:
    """How much of a picture's lungs a view hides, 0-1.

    Args:
        view: What hides.
        lungs: `(H, W) bool`, not empty; any size, for the network sees every picture stretched to 224 x 224.
    """
    mask = Image.fromarray(lungs.astype(np.float32))
    stretched = np.asarray(mask.resize((SIDE_PX, SIDE_PX), Image.Resampling.BILINEAR))
    return float(stretched[view.place].sum() / stretched.sum())
