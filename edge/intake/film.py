"""A photograph of a film on a light box -> the film alone, squared up. Pure functions in NumPy and Pillow.

A film lets through at most two thirds of the light that falls on it, so the bare box around it is brighter. What the
bare part encloses and is darker is the film; it may hang from one edge of the box, as films do under a clip. Straight
lines are fitted to its four sides, and the quadrilateral they make is stretched to a rectangle.
"""

from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

from edge.errors import QuarantineError

Gray = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
Points = npt.NDArray[np.float64]

LOOK_SIDE_PX: Final = 400
"""The film is looked for in a picture of this size, and cut out of the whole one."""
BARE_SHARE: Final = 0.75
"""Of the brightest light: what is brighter is the bare box. Clear film has a density of about 0.2, which is 0.63."""
MIN_FILM_SHARE: Final = 0.1
"""Of the picture: a smaller film would give too few pixels."""
MIN_LIGHT: Final = 100
"""Gray levels: below this there is no lit box in the picture."""
MAX_TILT: Final = 0.5
"""Slope of a side; 0.5 is 27 degrees."""
_INSET: Final = 0.006
"""Of each side, cut off so that no rim of the bare box stays."""
_HOW: Final = "put one film on the lit box, straight and smaller than the box, and take the picture again"


class FilmNotFoundError(QuarantineError):
    """The photograph shows no film that can be cut out."""


def film_of(photograph: npt.NDArray[np.uint8]) -> Gray:
    """Find the film, square it up and cut it out.

    Args:
        photograph: `(H, W, 3) uint8 RGB` or `(H, W) uint8`.

    Returns:
        `(h, w) uint8`, as bright as photographed.

    Raises:
        FilmNotFoundError: There is none, or it is too small, too crooked or not whole.
    """
    picture = Image.fromarray(photograph).convert("L")
    scale = max(picture.size) / LOOK_SIDE_PX
    small = np.asarray(picture.resize((round(picture.width / scale), round(picture.height / scale))))
    mask = find_film(small)
    corners = corners_of(mask) * scale  # (4, 2): x, y; clockwise from the upper left
    return _squared_up(picture, corners)


def find_film(small: Gray) -> Mask:
    """Where the film is, `(h, w) bool`, holes and all.

    Raises:
        FilmNotFoundError: Nowhere.
    """
    smooth = np.asarray(Image.fromarray(small).filter(ImageFilter.MedianFilter(3)))
    light = float(np.percentile(smooth, 99))
    bare = _largest(smooth > BARE_SHARE * light)
    film = _largest(_hull(bare) & ~bare)
    if light < MIN_LIGHT or film.mean() < MIN_FILM_SHARE:
        raise FilmNotFoundError(f"expected a film on a light box, found none; {_HOW}")
    return film


def corners_of(mask: Mask) -> Points:
    """The corners of the quadrilateral that a mask fills, `(4, 2)` x and y, clockwise from the upper left.

    Raises:
        FilmNotFoundError: Its sides are too crooked or leave the picture.
    """
    height_px, width_px = mask.shape
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    sides = {
        "left": _line(rows, mask[rows].argmax(1)),
        "right": _line(rows, width_px - 1 - mask[rows, ::-1].argmax(1)),
        "top": _line(columns, mask[:, columns].argmax(0)),
        "bottom": _line(columns, height_px - 1 - mask[::-1, columns].argmax(0)),
    }
    corners = np.array(
        [
            _crossing(sides[upright], sides[level])
            for upright, level in (("left", "top"), ("right", "top"), ("right", "bottom"), ("left", "bottom"))
        ]
    )
    crooked = max(abs(slope) for slope, _ in sides.values()) > MAX_TILT
    outside = (corners < -1).any() or (corners > np.array([width_px, height_px])).any()
    if crooked or outside:
        raise FilmNotFoundError(f"expected a whole film with straight sides, found none; {_HOW}")
    return corners


def _line(along: npt.NDArray[np.int64], edge: npt.NDArray[np.int64]) -> tuple[float, float]:
    """Slope and offset of the side on which most of the edge's points lie; the rest are corners, clips and labels."""
    if len(along) < LOOK_SIDE_PX // 10:
        raise FilmNotFoundError(f"expected a film that fills more of the picture, found a small one; {_HOW}")
    x, y = along.astype(np.float64), edge.astype(np.float64)
    keep = np.abs(y - np.median(y)) <= np.percentile(np.abs(y - np.median(y)), 80)
    slope = offset = 0.0
    for _ in range(8):
        slope, offset = np.polyfit(x[keep], y[keep], 1)
        misses = np.abs(slope * x + offset - y)
        keep = misses <= max(float(np.percentile(misses, 70)), 1.0)
    return float(slope), float(offset)


def _crossing(upright: tuple[float, float], level: tuple[float, float]) -> tuple[float, float]:
    """Where x = a y + b and y = c x + d meet."""
    (a, b), (c, d) = upright, level
    x = (a * d + b) / (1 - a * c)
    return x, c * x + d


def _squared_up(picture: Image.Image, corners: Points) -> Gray:
    centre = corners.mean(0)
    corners = centre + (corners - centre) * (1 - 2 * _INSET)
    sides_px = np.hypot(*(np.roll(corners, -1, 0) - corners).T)  # top, right, bottom, left
    width_px, height_px = round((sides_px[0] + sides_px[2]) / 2), round((sides_px[1] + sides_px[3]) / 2)
    target = np.array([(0, 0), (width_px, 0), (width_px, height_px), (0, height_px)], np.float64)
    rows, values = [], []
    for (x, y), (u, v) in zip(target, corners, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    coefficients = np.linalg.solve(np.array(rows), np.array(values))
    return np.array(
        picture.transform(
            (width_px, height_px), Image.Transform.PERSPECTIVE, tuple(coefficients), Image.Resampling.BICUBIC
        )
    )


def _hull(mask: Mask) -> Mask:
    """The convex hull of a mask, by Andrew's monotone chain over the ends of its rows."""
    rows = np.flatnonzero(mask.any(1))
    ends = np.concatenate([mask[rows].argmax(1), mask.shape[1] - 1 - mask[rows, ::-1].argmax(1)])
    points = sorted(zip(ends.tolist(), np.tile(rows, 2).tolist(), strict=True))
    outline: list[tuple[int, int]] = []
    for way in (points, points[::-1]):
        half: list[tuple[int, int]] = []
        for x, y in way:
            while len(half) > 1 and _turn(half[-2], half[-1], (x, y)) <= 0:
                half.pop()
            half.append((x, y))
        outline += half[:-1]
    height_px, width_px = mask.shape
    picture = Image.new("1", (width_px, height_px))
    ImageDraw.Draw(picture).polygon(outline, fill=1)
    return np.asarray(picture)


def _turn(first: tuple[int, int], second: tuple[int, int], third: tuple[int, int]) -> int:
    """More than 0 where the way over three points turns left."""
    return (second[0] - first[0]) * (third[1] - first[1]) - (second[1] - first[1]) * (third[0] - first[0])


def _connected(mask: Mask, seed: Mask) -> Mask:
    """The part of a mask that a seed reaches through it, going up, down, left and right."""
    reached = mask & seed
    while True:
        grown = reached.copy()
        for _ in range(16):  # looking for a change costs as much as a step
            grown[1:] |= grown[:-1]
            grown[:-1] |= grown[1:]
            grown[:, 1:] |= grown[:, :-1]
            grown[:, :-1] |= grown[:, 1:]
            grown &= mask
        if np.array_equal(grown, reached):
            return reached
        reached = grown


def _largest(mask: Mask) -> Mask:
    """The largest connected part of a mask."""
    rest, best = mask.copy(), np.zeros_like(mask)
    while rest.sum() > best.sum():
        seed = np.zeros_like(mask)
        seed[np.unravel_index(np.flatnonzero(rest)[0], mask.shape)] = True
        part = _connected(rest, seed)
        best = part if part.sum() > best.sum() else best
        rest &= ~part
    return best
