"""Small datasets of made-up pictures."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def write_dataset(root: Path, *, per_class: int, classes: tuple[str, ...] = ("covid", "normal")) -> Path:
    """Noise under a bright square in the upper left (the first class) or the lower right (the others)."""
    generator = np.random.default_rng(7)
    side = 48
    for number, name in enumerate(classes):
        (root / name).mkdir(parents=True, exist_ok=True)
        for position in range(per_class):
            pixels = generator.integers(0, 90, (side, side)).astype(np.uint8)
            corner = slice(4, side // 2) if number == 0 else slice(side // 2, side - 4)
            pixels[corner, corner] += np.uint8(150)
            Image.fromarray(pixels).save(root / name / f"{position:03}.png")
    return root


@pytest.fixture
def dataset_root(tmp_path: Path) -> Path:
    """Ten pictures of each of two classes."""
    return write_dataset(tmp_path / "films", per_class=10)
