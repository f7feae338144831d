"""Phantoms: seeded synthetic chest radiographs, some with an opacity whose place is known to the pixel.

The demo's model is trained on them and on nothing else: they look like chest films, belong to nobody and show no
disease, so nobody can mistake what it says for a diagnosis. Invariant: a seed always gives the same film, and all that
differs between `opacity=True` and `opacity=False` of one seed is the opacity.

`python -m edge.phantom DIR --count 100` writes a dataset in the layout that `edge-trainer` takes.
"""

import argparse
import io
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from edge.anatomy import Chest, Layer, Plane, clouds, draw_chest, happens, step
from edge.errors import DataError

CLEAR: Final = "clear"
OPACITY: Final = "opacity"
LABELS: Final = (CLEAR, OPACITY)
"""The classes of a phantom dataset; the second is the one that is looked for."""

_LONGER_PX: Final = (320, 700)
_ASPECTS: Final = (1.0, 1.0, 1.22, 0.82, 1.1, 0.9)
_BIT_DEPTHS: Final = (8, 8, 12, 16)
_DRAWN_PX: Final = 320
"""The chest is drawn with at most this many pixels a side; only noise, letters and borders are finer."""
_VISIBLE: Final = 0.3
"""The mask begins where an opacity has this share of its peak."""
_AERATED: Final = 0.95
_INSIDE: Final = 0.06
_OFF_BORDER: Final = 0.1
"""An opacity's centre has this much lung, lies this deep in it (body coordinates), this far from the border."""
_BESIDE_LUNGS: Final = 0.05
"""A letter keeps this distance from the lungs, in body coordinates."""
_GLYPHS: Final = {
    "L": (1, 1, 1, 1, 31),
    "R": (31, 5, 13, 21, 18),
    "E": (31, 21, 21, 21, 17),
    "T": (1, 1, 31, 1, 1),
    "H": (31, 4, 4, 4, 31),
}
"""Five columns of five pixels each, lowest bit at the top."""


@dataclass(frozen=True, slots=True, eq=False)
class Phantom:
    """One synthetic radiograph.

    Attributes:
        seed: What it was made from.
        label: `clear` or `opacity`.
        pixels: `(H, W)`, uint8 where `bit_depth` is 8, else uint16; 0 is black, bone is bright.
        bit_depth: 8, 12 or 16: the pixels lie below `2 ** bit_depth`.
        mask: `(H, W) bool`, where the opacity is; False everywhere for a clear phantom.
        lungs: `(H, W) bool`, where lung is visible.
    """

    seed: int
    label: str
    pixels: npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
    bit_depth: int
    mask: npt.NDArray[np.bool_]
    lungs: npt.NDArray[np.bool_]

    def __post_init__(self) -> None:
        """Refuse a phantom whose mask contradicts its label."""
        if self.label not in LABELS or (self.label == OPACITY) != bool(self.mask.any()):
            raise ValueError(f"{self.label!r} must be one of {LABELS!r}, with a mask exactly if it is {OPACITY!r}")

    def png(self) -> bytes:
        """The film as a grayscale PNG of 8 or 16 bits."""
        buffer = io.BytesIO()
        Image.fromarray(self.pixels).save(buffer, "PNG", compress_level=1)
        return buffer.getvalue()


def phantom(seed: int, *, opacity: bool | None = None) -> Phantom:
    """Make the phantom of a seed.

    Args:
        seed: At least 0.
        opacity: Whether it shows one; None makes every odd seed do so.
    """
    wanted = seed % 2 == 1 if opacity is None else opacity
    # Each stage has its own stream, so that an opacity changes nothing but itself.
    body, lesion, film, noise = (np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(4))
    height_px, width_px = _size(film)
    shrink = min(1, _DRAWN_PX / max(height_px, width_px))
    chest = draw_chest(Plane.draw(round(height_px * shrink), round(width_px * shrink), body), body)
    extra, patch = _opacities(chest, lesion) if wanted else (np.zeros_like(chest.lungs), np.zeros_like(chest.lungs))
    thickness, patch, lungs, depth = (
        _resize(layer, height_px, width_px) for layer in (chest.thickness + extra, patch, chest.lungs, chest.depth)
    )
    bit_depth = int(film.choice(_BIT_DEPTHS))
    brightness = _expose(thickness, depth, film, noise)
    levels = np.rint(brightness * (2**bit_depth - 1))
    visible = lungs > _VISIBLE
    return Phantom(
        seed=seed,
        label=OPACITY if wanted else CLEAR,
        pixels=levels.astype(np.uint8 if bit_depth == min(_BIT_DEPTHS) else np.uint16),
        bit_depth=bit_depth,
        mask=(patch > _VISIBLE) & visible,
        lungs=visible,
    )


def write_dataset(folder: Path, seeds: Iterable[int]) -> tuple[Path, ...]:
    """Write phantoms as `folder/clear/*.png` and `folder/opacity/*.png`, the layout that `edge-trainer` takes.

    Args:
        folder: Made where it is missing; files of the same seeds in it are replaced.
        seeds: Every odd one gives an opacity.

    Returns:
        The files, in the order of the seeds.

    Raises:
        DataError: The folder cannot be written.
    """
    paths = []
    try:
        for label in LABELS:
            (folder / label).mkdir(parents=True, exist_ok=True)
        for seed in seeds:
            film = phantom(seed)
            paths.append(folder / film.label / f"phantom-{seed:06d}.png")
            paths[-1].write_bytes(film.png())
    except OSError as error:
        raise DataError(
            f"cannot write phantoms to {folder}: {error.strerror}; name a folder you may write to"
        ) from error
    return tuple(paths)


def _size(rng: np.random.Generator) -> tuple[int, int]:
    """Height and width in pixels."""
    longer, aspect = int(rng.integers(_LONGER_PX[0], _LONGER_PX[1] + 1)), float(rng.choice(_ASPECTS))
    return round(longer * min(1, 1 / aspect)), round(longer * min(1, aspect))


def _resize(layer: Layer, height_px: int, width_px: int) -> Layer:
    return np.asarray(Image.fromarray(layer).resize((width_px, height_px), Image.Resampling.BICUBIC))


def _opacities(chest: Chest, rng: np.random.Generator) -> tuple[Layer, Layer]:
    """One to three patches inside the lungs: their thickness, and their shape, 0-1."""
    height, width = chest.lungs.shape
    extra, shape = np.zeros_like(chest.lungs), np.zeros_like(chest.lungs)
    rows, columns = (axis.astype(np.float32) for axis in np.mgrid[0:height, 0:width])
    inner = np.minimum(np.minimum(rows, height - rows) / height, np.minimum(columns, width - columns) / width)
    room = np.flatnonzero((chest.lungs > _AERATED) & (chest.depth > _INSIDE) & (inner > _OFF_BORDER))
    for weakest in (0.24, 0.14, 0.14)[: int(rng.integers(1, 4))]:
        row, column = divmod(int(room[int(rng.random() * len(room))]), width)
        radius = rng.uniform(0.085, 0.18) * (height * width) ** 0.5
        dy, dx = (rows - row) * (1 / radius), (columns - column) * (1 / (radius * rng.uniform(0.6, 1.1)))
        distance = np.sqrt(dx * dx + dy * dy) + 0.22 * clouds(extra.shape, 12, rng)
        texture = np.maximum(0.75 + 0.25 * clouds(extra.shape, 40, rng), 0.2)
        patch = step(1 - distance, rng.uniform(0.5, 1.2)) * chest.lungs * step(chest.depth, 0.04)
        shape = np.maximum(shape, patch)
        extra = np.maximum(extra, rng.uniform(weakest, 0.4) * patch * texture)
    return extra, shape


def _expose(thickness: Layer, depth: Layer, film: np.random.Generator, noise: np.random.Generator) -> Layer:
    """Thickness -> the displayed film, `(H, W) float32`, 0-1: exposure, noise, tone, collimator and marker."""
    grain = film.uniform(0.004, 0.03) * np.sqrt(0.15 + np.maximum(thickness, 0))  # fewer photons, more noise
    mottle = clouds(thickness.shape, 120, noise) * 0.4
    noisy = thickness + grain * (noise.standard_normal(thickness.shape, np.float32) + mottle)
    noisy += film.uniform(0, 0.02) * clouds(thickness.shape, 3, noise)  # scatter
    low, high = film.uniform(-0.05, 0.12), film.uniform(1.05, 1.45)
    tone = np.minimum(np.maximum((noisy - low) * (1 / (high - low)), 0), 1)
    bend = film.uniform(-0.35, 0.6)  # a gamma of 0.7 to 1.6, as a parabola
    displayed = tone * (1 + bend * (tone - 1)) * film.uniform(0.75, 1) + film.uniform(0, 0.06)
    return np.minimum(_collimate(_mark(displayed, depth, film), film), 1)


def _mark(film: Layer, depth: Layer, rng: np.random.Generator) -> Layer:
    """Lay a lead letter beside the lungs, on most films."""
    scale = max(1, round(film.shape[0] * rng.uniform(0.006, 0.011)))
    names = "".join(rng.choice(list(_GLYPHS), int(rng.integers(1, 3))))
    top, left = int(rng.uniform(0.03, 0.2) * film.shape[0]), int(rng.uniform(0.03, 0.9) * film.shape[1])
    if happens(0.3, rng):
        return film
    bits = np.array([[*_GLYPHS[name], 0] for name in names]).ravel()
    letters = np.kron((bits[np.newaxis, :] >> np.arange(5)[:, np.newaxis]) & 1, np.ones((scale, scale), np.float32))
    place = np.s_[top : top + letters.shape[0], left : left + letters.shape[1]]
    if film[place].shape != letters.shape or depth[place].max() > -_BESIDE_LUNGS:
        return film
    marked = film.copy()
    marked[place] = np.maximum(marked[place], 0.95 * letters)
    return marked


def _collimate(film: Layer, rng: np.random.Generator) -> Layer:
    """Darken what the collimator kept from the detector, on every other film."""
    borders = rng.uniform(0.0, 0.06, 4) * [happens(0.5, rng) for _ in range(4)] * happens(0.5, rng)
    tilt = rng.uniform(-0.02, 0.02)
    y, x = (np.linspace(0, 1, side, dtype=np.float32) for side in film.shape)
    y, x = y[:, np.newaxis], x[np.newaxis, :]
    edges = (y + tilt * x, x - tilt * y, 1 - y - tilt * x, 1 - x + tilt * y)
    for distance, border in zip(edges, borders.tolist(), strict=True):
        if border > 0:
            film = film * step(distance - border - 0.02, 0.008)
    return film


def main(arguments: Sequence[str] | None = None) -> int:
    """Write a dataset of phantoms; the command's exit code."""
    parser = argparse.ArgumentParser(prog="python -m edge.phantom", description="Write synthetic chest radiographs.")
    parser.add_argument("folder", metavar="DIR", type=Path, help="gets clear/*.png and opacity/*.png, half each")
    parser.add_argument("--count", type=int, default=100, metavar="N", help="how many phantoms (default: 100)")
    parser.add_argument("--first-seed", type=int, default=0, metavar="S", help="seed of the first (default: 0)")
    options: Any = parser.parse_args(arguments)
    if options.count < 1 or options.first_seed < 0:
        parser.error(f"N must be at least 1 and S at least 0, got {options.count} and {options.first_seed}")
    try:
        paths = write_dataset(options.folder, range(options.first_seed, options.first_seed + options.count))
    except DataError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    sys.stdout.write(f"{len(paths)} phantoms in {options.folder}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
