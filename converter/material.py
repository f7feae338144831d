"""MODEL.keras and DATA -> Material: the trained network and the very images it was trained and evaluated on.

Invariant: which image is on which side is the trainer's split and nothing else, so calibration and refitting never see
a held-out image.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge.errors import DataError
from trainer.dataset import Dataset, read_dataset
from trainer.features import decode_images
from trainer.model_file import TrainedModel, read_model
from trainer.store import Rows


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """One side of the split.

    Attributes:
        images: The images.
        pixels: `(n, 224, 224, 3) uint8, RGB, 0-255`.
        targets: `(n,) int64`, index of each image's label in the model's labels.
    """

    images: Dataset
    pixels: Rows
    targets: npt.NDArray[np.int64]

    @property
    def keys(self) -> list[str]:
        """SHA-256 of the images, in order."""
        return self.images.keys


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """What a conversion works with.

    Attributes:
        trained: The network and how it came to be.
        learned: The images that it learned from.
        held_out: The images that it was evaluated on.
    """

    trained: TrainedModel
    learned: Part
    held_out: Part


def read_material(model: Path, data: Path, cache: Path) -> Material:
    """Read a model and find its images again.

    Raises:
        ConfigError: There is no such model.
        DataError: The model is not the trainer's, or DATA is not what it was trained on.
    """
    trained = read_model(model)
    split, labels = trained.training.split, trained.training.labels
    dataset = read_dataset(data)
    absent = {*split.train, *split.held_out}.difference(dataset.keys)
    if absent:
        raise DataError(
            f"expected the data that {model} was trained on ({trained.training.data.name}) at {data}, "
            f"but {len(absent)} of its {len(split.train) + len(split.held_out)} images are not there; name that folder"
        )
    dataset, pixels = decode_images(dataset.only([*split.train, *split.held_out]), cache, skip_bad=False)
    if {item.label for item in dataset.items} != set(labels):
        raise DataError(f"the model knows {', '.join(labels)}, {data} has other labels; name the data it learned from")
    learned, targets = np.isin(dataset.keys, split.train), dataset.targets(labels)
    return Material(
        trained,
        learned=Part(dataset.only(split.train), pixels.select(learned), targets[learned]),
        held_out=Part(dataset.only(split.held_out), pixels.select(~learned), targets[~learned]),
    )
