"""The synthetic chest behind a phantom: where body, lungs, bones and vessels lie, and how much each absorbs.

Used by `edge.phantom` alone. Everything is drawn in body coordinates: x runs from -1 at the image's left to 1 (the
flanks lie near 0.9), y from -1 (throat) to 1 (belly), and the image's left is the patient's right, as films are hung.
Layers are `(H, W) float32`, radiological thickness relative to the whole chest's. Pixels see only arithmetic and square
roots, which every processor rounds alike, and no exponentials or sines, so a seed's film is the same anywhere.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Layer = npt.NDArray[np.float32]
"""`(H, W) float32`."""

_RIBS: Final = 14
_SIDES: Final = (-1, 1)


@dataclass(frozen=True, slots=True, eq=False)
class Plane:
    """Body coordinates of each pixel.

    Attributes:
        x: `(H, W) float32`, about -1 to 1, left to right.
        y: `(H, W) float32`, about -1 to 1, top to bottom.
    """

    x: Layer
    y: Layer

    @classmethod
    def draw(cls, height_px: int, width_px: int, rng: np.random.Generator) -> "Plane":
        """Lay a slightly turned, shifted and scaled patient on the detector."""
        aspect = (width_px / height_px) ** 0.5
        zoom, turn = rng.uniform(0.85, 1.08), rng.uniform(-0.06, 0.06)
        column = np.linspace(-1, 1, width_px)[np.newaxis, :] * zoom * aspect + rng.uniform(-0.08, 0.08)
        row = np.linspace(-1, 1, height_px)[:, np.newaxis] * zoom / aspect + rng.uniform(-0.08, 0.08)
        return cls(x=(column + turn * row).astype(np.float32), y=(row - turn * column).astype(np.float32))


@dataclass(frozen=True, slots=True, eq=False)
class Chest:
    """One patient without any opacity.

    Attributes:
        thickness: `(H, W) float32`, 0 in the air beside the body, about 1 in the middle of the chest.
        lungs: `(H, W) float32`, 0-1, how much of each pixel is aerated lung not hidden by heart or diaphragm.
        depth: `(H, W) float32`, signed distance from the nearest border of a lung, positive inside.
    """

    thickness: Layer
    lungs: Layer
    depth: Layer


def step(distance: Layer, width: float) -> Layer:
    """Smooth step from 0 to 1 (cubic), `width` wide, centred where the distance is 0."""
    t = _unit(distance * (1 / width) + 0.5)
    return t * t * (3 - 2 * t)


def _unit(values: Layer) -> Layer:
    return np.minimum(np.maximum(values, 0), 1)


def bump(distance: Layer) -> Layer:
    """Smooth bump: 1 at 0, falling to 0 at a distance of 1 either way."""
    t = np.maximum(1 - distance * distance, 0)
    return t * t


def happens(share: float, rng: np.random.Generator) -> bool:
    """Draw whether something is there that a share of all films has."""
    return rng.random() < share


def clouds(shape: tuple[int, ...], cells: float, rng: np.random.Generator) -> Layer:
    """Smooth noise of about zero mean and unit variance, `cells` cells along the longer side."""
    per_px = cells / max(shape)
    grid = rng.standard_normal([int(side * per_px) + 4 for side in shape])
    rows, columns = (_cubic(np.arange(side) * per_px, size) for side, size in zip(shape, grid.shape, strict=True))
    return (1.4 * (rows @ grid @ columns.T)).astype(np.float32)  # summed in float64: libraries differ in the order


def _cubic(at: npt.NDArray[np.float64], size: int) -> npt.NDArray[np.float64]:
    """`(len(at), size)` weights of the cubic B-spline on a unit grid."""
    distance = np.abs(at[:, np.newaxis] + 1 - np.arange(size)[np.newaxis, :])
    near, far = np.maximum(1 - distance, 0), np.maximum(2 - distance, 0)
    return (far * far * far - 4 * near * near * near) / 6


def draw_chest(plane: Plane, rng: np.random.Generator) -> Chest:
    """Draw one patient."""
    soft = _body(plane, rng)
    middle, heart = _mediastinum(plane, rng)
    depth = np.minimum(_lung_depth(plane, middle, rng), 0.03 - heart)
    lungs = step(depth, rng.uniform(0.03, 0.06))
    air = lungs * (0.55 + 0.45 * step(depth - 0.08, 0.3))
    bones = _spine(plane, rng) + _ribs(plane, depth, rng) + _shoulders(plane, rng)
    inner = _vessels(plane, rng) * lungs + _belly(plane, depth, rng) + 0.06 * step(heart, 0.3) - _airway(plane, rng)
    inner += bones + _breasts(plane, rng)
    tissue: Layer = soft * (1 - rng.uniform(0.5, 0.68) * air)
    dense: Layer = step(soft - 0.2, 0.2) * inner
    return Chest(thickness=tissue + dense, lungs=lungs, depth=depth)


def _body(plane: Plane, rng: np.random.Generator) -> Layer:
    """Torso, shoulders and neck: what is left of the beam's way through soft tissue."""
    waist, neck = rng.uniform(0.84, 1.0), rng.uniform(0.26, 0.36)
    shoulder, slope = rng.uniform(-0.86, -0.72), rng.uniform(0.2, 0.38)
    side = np.abs(plane.x)
    flank = waist + 0.5 * step(-plane.y - rng.uniform(0.05, 0.3), 0.6) - side  # the arms hang from the shoulders
    above = plane.y - shoulder - slope * (side - neck)  # shoulders fall outwards
    throat = neck - side
    inside = np.minimum(flank, np.maximum(above, throat))
    round_ = _unit(inside * (1 / rng.uniform(0.25, 0.45)))
    full = np.sqrt(round_ * (2 - round_))
    return step(inside, 0.02) * (0.3 + 0.7 * full) * (0.9 + 0.12 * plane.y)


def _lung_depth(plane: Plane, middle: Layer, rng: np.random.Generator) -> Layer:
    """Signed distance from the nearest lung border, the two lungs joined."""
    depth = np.full_like(plane.x, -1)
    apex, base, wide = rng.uniform(-0.8, -0.68), rng.uniform(0.38, 0.62), rng.uniform(0.62, 0.76)
    wobble = 0.012 * clouds(plane.x.shape, 9, rng)
    for side in _SIDES:
        across = side * plane.x
        top, bottom = apex + rng.uniform(-0.03, 0.03), base + rng.uniform(-0.04, 0.04) + 0.03 * side
        half = 0.5 * (wide + rng.uniform(-0.03, 0.03))
        rise = np.maximum(0.3 - plane.y, 0) / (0.3 - top)
        dx = (across - half * rng.uniform(0.94, 1.04)) / half
        round_ = np.sqrt(dx * dx + rise * rise)
        square = np.sqrt(np.sqrt(dx * dx * dx * dx + rise * rise * rise * rise))
        chest_wall = half * (1 - 0.75 * round_ - 0.25 * square) + 0.05 * np.maximum(plane.y, 0)
        dome = (across - rng.uniform(0.26, 0.36)) / rng.uniform(0.4, 0.5)
        floor = bottom + 0.1 - rng.uniform(0.16, 0.28) * np.maximum(1 - dome * dome, -0.2) - plane.y
        depth = np.maximum(depth, np.minimum(np.minimum(chest_wall, floor), across - middle) + wobble)
    return depth


def _mediastinum(plane: Plane, rng: np.random.Generator) -> tuple[Layer, Layer]:
    """Half width of the mediastinum without the heart, and the signed distance from the heart's border."""
    x, y = plane.x, plane.y
    knob = rng.uniform(0.03, 0.09) * bump((y + rng.uniform(0.3, 0.42)) / 0.14) * step(x, 0.1)
    hilum = rng.uniform(0.02, 0.06) * bump((y + rng.uniform(0.0, 0.12)) / 0.22)
    middle = rng.uniform(0.09, 0.14) + 0.05 * np.maximum(-y - 0.45, 0) + knob + hilum
    size, tall = rng.uniform(0.26, 0.36), rng.uniform(0.75, 1.0)
    dx, dy = x - rng.uniform(0.05, 0.14), y - rng.uniform(0.3, 0.42)
    lean = dx - rng.uniform(0.2, 0.45) * dy  # the apex points down and to the image's right
    return middle, size - np.sqrt(lean * lean + tall * tall * dy * dy)


def _spine(plane: Plane, rng: np.random.Generator) -> Layer:
    """Vertebral bodies, discs between them, and the sternum's haze."""
    bend, spacing = rng.uniform(-0.03, 0.03), rng.uniform(0.13, 0.17)
    side = np.abs(plane.x - bend * plane.y)
    level = (plane.y / spacing + rng.uniform(0, 1)) % 1 - 0.5
    disc = bump(level / 0.28)
    column = step(rng.uniform(0.075, 0.1) - side, 0.06)
    return rng.uniform(0.05, 0.15) * column * (1 - 0.35 * disc) + 0.1 * bump(side / rng.uniform(0.18, 0.3))


def _ribs(plane: Plane, depth: Layer, rng: np.random.Generator) -> Layer:
    """Posterior ribs falling outwards, and fainter anterior ribs falling inwards."""
    cage = step(depth + 0.11, 0.05)  # ribs run on into the chest wall
    layer = np.zeros_like(plane.x)
    spacing = rng.uniform(0.125, 0.16)
    strength = rng.uniform(0.035, 0.1)
    for side in _SIDES:
        out = np.maximum(side * plane.x, 0)
        behind = plane.y + 0.1 * out - rng.uniform(0.5, 0.75) * out * out * out - rng.uniform(-0.03, 0.03)
        layer += strength * _rib_bands(behind / spacing, rng) * step(out - 0.08, 0.05)
        front = plane.y + rng.uniform(0.5, 0.7) * (out - 0.45) - 0.5 * (out - 0.5) * (out - 0.5)
        weight = rng.uniform(0.4, 0.75) * strength * step(out - rng.uniform(0.26, 0.36), 0.12)
        layer += weight * _rib_bands(front / (spacing * 1.1) + rng.uniform(0, 1), rng)
    return layer * cage


def _rib_bands(level: Layer, rng: np.random.Generator) -> Layer:
    """One band for each whole number of `level`, with denser edges, each of its own width and weight."""
    number = np.floor(level)
    index = np.clip(number + _RIBS // 2, 0, _RIBS - 1).astype(np.intp)
    half = rng.uniform(0.2, 0.27, _RIBS).astype(np.float32)[index]
    weight = rng.uniform(0.75, 1.2, _RIBS).astype(np.float32)[index]
    distance = half - np.abs(level - number - 0.5)
    return weight * step(distance, 0.12) * (0.7 + 0.5 * bump((distance - 0.05) / 0.07))


def _shoulders(plane: Plane, rng: np.random.Generator) -> Layer:
    """Collar bones, shoulder blades and the heads of the upper arms."""
    layer = np.zeros_like(plane.x)
    weight, level = rng.uniform(0.07, 0.14), rng.uniform(-0.66, -0.56)
    for side in _SIDES:
        out = side * plane.x
        tilt, curl = rng.uniform(0.12, 0.34), rng.uniform(0.25, 0.6)
        centre = level - tilt * (out - 0.1) + curl * (out - 0.15) * (out - 0.45) * (out - 0.8)
        half = 0.032 + 0.03 * bump((out - 0.1) / 0.15)
        distance = half - np.abs(plane.y - centre)
        bone = step(distance, 0.02) * (0.7 + 0.4 * bump((distance - 0.008) / 0.012))
        layer += weight * bone * step(out - 0.09, 0.03) * step(0.88 - out, 0.06)
        blade = out - rng.uniform(0.62, 0.78) - 0.2 * (plane.y + 0.4)
        layer += 0.4 * weight * step(blade, 0.03) * step(0.32 - blade, 0.1) * bump((plane.y + 0.38) / 0.5)
        dx, dy = out - rng.uniform(0.94, 1.04), plane.y + rng.uniform(0.56, 0.66)
        layer += weight * step(0.13 - np.sqrt(dx * dx + dy * dy), 0.03)
    return layer


def _vessels(plane: Plane, rng: np.random.Generator) -> Layer:
    """Branching lines that leave the hila, and the fine texture between them."""
    layer = rng.uniform(0.008, 0.022) * clouds(plane.x.shape, 60, rng) + 0.014 * clouds(plane.x.shape, 24, rng)
    weight = rng.uniform(0.03, 0.09)
    for side in _SIDES:
        dx, dy = side * plane.x - rng.uniform(0.12, 0.18), plane.y + rng.uniform(-0.02, 0.1)
        radius = np.sqrt(dx * dx + dy * dy) + 1e-6
        turn = dy / (radius + np.abs(dx))  # rises with the angle, without a tangent
        layer += rng.uniform(0.05, 0.14) * bump(radius / rng.uniform(0.16, 0.26))
        for branches, start, reach in ((2.5, 0.0, 0.5), (5.0, 0.1, 0.65), (9.0, 0.2, 0.8)):
            bend = rng.uniform(-0.8, 0.8) * radius + 0.2 * radius * clouds(plane.x.shape, 10, rng)
            level = (turn + bend) * branches + rng.uniform(0, 1)
            width = 0.012 + 0.016 * np.maximum(reach - radius, 0)
            line = bump((level - np.floor(level) - 0.5) * radius / (branches * width))
            fade = step(radius - start, 0.1) * np.maximum(1 - radius * (1 / reach), 0)
            layer += weight * line * fade * (0.8 + 0.5 * clouds(plane.x.shape, 14, rng))
    return layer


def _breasts(plane: Plane, rng: np.random.Generator) -> Layer:
    """Soft tissue in front of the lower lungs, on both sides alike, in half of all patients."""
    if happens(0.5, rng):
        return np.zeros_like(plane.x)
    weight, radius, level = rng.uniform(0.03, 0.12), rng.uniform(0.26, 0.36), rng.uniform(0.1, 0.28)
    dx, dy = np.abs(plane.x) - rng.uniform(0.4, 0.5), plane.y - level
    return weight * step(radius - np.sqrt(dx * dx + dy * dy), 0.16) * step(dy + 0.12, 0.5)


def _belly(plane: Plane, depth: Layer, rng: np.random.Generator) -> Layer:
    """Liver and spleen below the diaphragm, gas in the stomach."""
    below = step(plane.y - 0.25, 0.2) * step(-depth - 0.01, 0.06)
    layer = rng.uniform(0.05, 0.16) * below
    if happens(0.6, rng):
        dx, dy = plane.x - rng.uniform(0.3, 0.5), plane.y - rng.uniform(0.68, 0.8)
        gas = step(rng.uniform(0.06, 0.13) - np.sqrt(dx * dx + 1.6 * dy * dy), 0.05)
        layer = layer - rng.uniform(0.1, 0.25) * gas * below
    return layer


def _airway(plane: Plane, rng: np.random.Generator) -> Layer:
    """Trachea and main bronchi: dark in the bright middle."""
    split, drift = rng.uniform(-0.26, -0.16), rng.uniform(-0.04, 0.05)
    trachea = step(0.042 - np.abs(plane.x + drift * plane.y), 0.03) * step(split - plane.y, 0.06)
    fall = np.abs(plane.x) - rng.uniform(0.9, 1.3) * (plane.y - split)
    bronchi = step(0.03 - np.abs(fall), 0.03) * step(0.16 - np.abs(plane.x), 0.05) * step(plane.y - split + 0.02, 0.04)
    return rng.uniform(0.07, 0.14) * np.maximum(trachea, 0.7 * bronchi)
