"""How well the demo's bundle reads phantoms it has never seen, and whether it looks at the opacity.

    python tests/benchmarks/demo_model.py [--bundle FILE] [--count 500] [--first-seed 2000000]

Each phantom goes the way of any radiograph: PNG bytes, decoded, assessed. The pointing game (Zhang et al., 2018,
arXiv:1608.00507): of the opacities found, the share whose heatmap has its peak inside the mask, to the pixel, as the
heatmap is drawn over the film. Beside it, more mildly: the share whose peak is in a cell that the mask touches.
"""

import argparse
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from edge.assess import Assessor
from edge.bundle.bundle import read_bundle
from edge.decoding.decode import decode
from edge.phantom import OPACITY, phantom

BUNDLE = Path(__file__).resolve().parents[2] / "edge" / "demo-model.bundle"
FIRST_SEED = 2_000_000
"""Far from the seeds of training, which begin at 0 (see deploy/demo-model.sh)."""


@dataclass(frozen=True, slots=True)
class Result:
    """The figures.

    Attributes:
        model: Id of the bundle's model.
        n: Number of phantoms, half of them with an opacity.
        first_seed: Of the consecutive seeds.
        accuracy: Share of decisions that are the phantom's label.
        sensitivity: The same among phantoms with an opacity.
        specificity: The same among clear ones.
        pointing_game: Share of the found opacities whose mask holds the pixel at which the drawn heatmap peaks.
        chance: The same for a pixel drawn blindly, i.e. the mean share of pixels that the masks hold.
        cell_touched: Share of the found opacities whose mask touches the cell of 7 x 7 in which the heatmap peaks.
        cell_chance: The same for a cell drawn blindly.
    """

    model: str
    n: int
    first_seed: int
    accuracy: float
    sensitivity: float
    specificity: float
    pointing_game: float
    chance: float
    cell_touched: float
    cell_chance: float


def measure(bundle: Path, *, count: int, first_seed: int) -> Result:
    """Assess `count` phantoms of consecutive seeds."""
    assessor = Assessor(read_bundle(bundle))
    found: dict[bool, list[bool]] = {True: [], False: []}
    hits, shares, touches, touch_shares = [], [], [], []
    for seed in range(first_seed, first_seed + count):
        film = phantom(seed)
        finding = assessor.assess(decode(film.png()))
        found[film.label == OPACITY].append(finding.decision == film.label)
        if finding.decision == film.label == OPACITY and finding.heatmap is not None:
            touched = cells(film.mask, finding.heatmap.shape)
            touches.append(bool(touched.flat[finding.heatmap.argmax()]))
            touch_shares.append(float(touched.mean()))
            hits.append(bool(film.mask.flat[drawn(finding.heatmap, film.mask.shape).argmax()]))
            shares.append(float(film.mask.mean()))
    return Result(
        model=assessor.identity.id,
        n=count,
        first_seed=first_seed,
        accuracy=round(float(np.mean(found[True] + found[False])), 4),
        sensitivity=round(float(np.mean(found[True])), 4),
        specificity=round(float(np.mean(found[False])), 4),
        pointing_game=round(float(np.mean(hits)), 4),
        chance=round(float(np.mean(shares)), 4),
        cell_touched=round(float(np.mean(touches)), 4),
        cell_chance=round(float(np.mean(touch_shares)), 4),
    )


def drawn(values: npt.NDArray[np.float32], shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """The heatmap at the size of its film, as `edge.explain.overlay` lays it over."""
    height, width = shape
    return np.asarray(Image.fromarray(values).resize((width, height), Image.Resampling.BICUBIC))


def cells(mask: npt.NDArray[np.bool_], shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """Which cells of the heatmap's grid a mask touches."""
    height, width = shape
    share = Image.fromarray(mask.astype(np.float32)).resize((width, height), Image.Resampling.BOX)
    return np.asarray(share) > 0


def main() -> None:
    """Print the figures as one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, default=BUNDLE)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED)
    options = parser.parse_args()
    json.dump(asdict(measure(options.bundle, count=options.count, first_seed=options.first_seed)), sys.stdout, indent=2)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
