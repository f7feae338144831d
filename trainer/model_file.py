"""`model.keras`: one file that carries the trained network and everything the converter has to know about it.

A `.keras` file is a zip archive; Keras reads its own entries by name and leaves others alone. Ours is `training.json`.
Invariant: the network takes raw RGB, 0-255, and gives probabilities; the split it was trained with travels with it.
"""

import os
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Self

import keras
import msgspec

from edge.errors import ConfigError, DataError
from edge.preprocess import SIDE_PX
from trainer.dataset import Dataset
from trainer.evaluate import Metrics
from trainer.operating_point import OperatingPoint
from trainer.recipes import Recipe
from trainer.split import Split
from trainer.trunk import Origin

MODEL_NAME: Final = "model.keras"
ENTRY: Final = "training.json"
SCHEMA: Final = "xray.training/2"
_HDF5: Final = b"\x89HDF\r\n\x1a\n"


class DataSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What a model was trained and evaluated on, without a path or a file name.

    Attributes:
        name: The folder's own name.
        fingerprint: SHA-256 over all images' hashes and labels.
        counts: Label to number of different images.
        duplicates: Files left out because their bytes repeat another's.
        skipped: Unreadable files left out.
        sources: Label to source to number of images, as far as the manifest says.
    """

    name: str
    fingerprint: str
    counts: dict[str, int]
    duplicates: int
    skipped: int
    sources: dict[str, dict[str, int]]

    @classmethod
    def of(cls, dataset: Dataset, *, skipped: int) -> Self:
        """Summarise a dataset of which unreadable files were left out already."""
        return cls(
            name=dataset.root.resolve().name,
            fingerprint=dataset.fingerprint(),
            counts=dataset.counts(),
            duplicates=dataset.duplicates,
            skipped=skipped,
            sources=dataset.sources(),
        )


class Training(msgspec.Struct, frozen=True, kw_only=True):
    """How a model came to be.

    Attributes:
        created_at: Aware UTC.
        recipe: The training choices.
        seed: Of everything random.
        labels: In the order of the model's outputs.
        positive: The label that is looked for.
        features: Height, width and channels of the last feature map.
        split: Which images were learned from and which held out.
        data: What they were.
        weights: Of the backbone, before any training here.
        operating_point: From logits to a decision.
        metrics: On the held-out images, at the operating point.
        versions: Package to version.
        seconds: Stage to seconds.
    """

    created_at: datetime
    recipe: Recipe
    seed: int
    labels: tuple[str, ...]
    positive: str
    features: tuple[int, int, int]
    split: Split
    data: DataSummary
    weights: Origin
    operating_point: OperatingPoint
    metrics: Metrics
    versions: dict[str, str]
    seconds: dict[str, float]
    schema: str = SCHEMA

    def __post_init__(self) -> None:
        """Refuse a description of another version."""
        if self.schema != SCHEMA:
            raise ValueError(f"schema must be {SCHEMA!r}, got {self.schema!r}")


@dataclass(frozen=True, slots=True, eq=False)
class TrainedModel:
    """A network and how it came to be.

    Attributes:
        trunk: `(n, 224, 224, 3) float32, RGB, 0-255` -> `(n, 7, 7, C) float32`.
        head: `(n, 7, 7, C) float32` -> logits, `(n, labels) float32`.
        training: How they came to be.
    """

    trunk: Any
    head: Any
    training: Training


def write_model(trained: TrainedModel, path: Path) -> None:
    """Write `model.keras` so that the final name holds either all of it or nothing.

    Raises:
        ConfigError: The folder cannot be written.
    """
    pixels = keras.Input(trained.trunk.input_shape[1:], name="pixels")
    probabilities = keras.layers.Softmax(name="probabilities")(trained.head(trained.trunk(pixels)))
    partial = path.with_name(f".{os.getpid()}.{path.name}")  # Keras insists on the suffix
    try:
        keras.Model(pixels, probabilities, name=trained.training.recipe.name).save(partial)
        with zipfile.ZipFile(partial, "a", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(ENTRY, msgspec.json.format(msgspec.json.encode(trained.training), indent=2))
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}; free some space or name another folder") from error
    finally:
        partial.unlink(missing_ok=True)


def read_model(path: Path) -> TrainedModel:
    """Read what `write_model` wrote.

    Raises:
        ConfigError: There is no such file.
        DataError: The file is damaged, or no model of this trainer.
    """
    training = read_training(path)
    try:
        model = keras.models.load_model(path, compile=False)
        trained = TrainedModel(model.get_layer("trunk"), model.get_layer("head"), training)
    except (ValueError, TypeError, OSError, KeyError, zipfile.BadZipFile) as error:
        raise DataError(f"Keras cannot load {path} ({str(error)[:200]}); train it again with this version") from error
    _check_shapes(trained, path)
    return trained


def read_training(path: Path) -> Training:
    """Read how a model came to be, without loading the network.

    Raises:
        ConfigError: There is no such file.
        DataError: The file is damaged, or no model of this trainer.
    """
    if not path.is_file():
        raise ConfigError(f"expected a model at {path}, found none; make one with `edge-trainer train`")
    try:
        with zipfile.ZipFile(path) as archive:
            content = archive.read(ENTRY)
    except (zipfile.BadZipFile, KeyError, OSError) as error:
        raise DataError(
            f"expected a model.keras written by edge-trainer at {path}, got {_kind_of(path)}; "
            "train it with edge-trainer"
        ) from error
    try:
        return msgspec.json.decode(content, type=Training)
    except msgspec.DecodeError as error:
        raise DataError(f"{ENTRY} in {path} is not one this version reads ({error}); train the model again") from error


def _check_shapes(trained: TrainedModel, path: Path) -> None:
    """Whether the network is one for this box's pictures and this training's labels."""
    expected, found = (SIDE_PX, SIDE_PX, 3), tuple(trained.trunk.input_shape[1:])
    if found != expected:
        raise DataError(
            f"expected a network for pictures of {_times(expected)} in {path}, got one for {_times(found)}; "
            "train it with edge-trainer"
        )
    labels, outputs = trained.training.labels, trained.head.output_shape[-1]
    if outputs != len(labels):
        raise DataError(
            f"expected a network with {len(labels)} outputs ({', '.join(labels)}) in {path}, got one with {outputs}; "
            "train it with edge-trainer"
        )


def _kind_of(path: Path) -> str:
    """What a file is that `write_model` did not write, in words."""
    with path.open("rb") as file:
        if file.read(len(_HDF5)) == _HDF5:
            return "an HDF5 file (.h5), as Keras 2 wrote its models, without recipe, labels and split"
    try:
        with zipfile.ZipFile(path) as archive:
            layers = msgspec.json.decode(archive.read("config.json"))["config"]["layers"]
    except (zipfile.BadZipFile, KeyError, TypeError, OSError, msgspec.DecodeError):
        return "something else"
    facts = [layer.get("config", {}) for layer in layers]
    shapes = [fact["batch_shape"][1:] for fact in facts if fact.get("batch_shape")]
    units = [fact["units"] for fact in facts if "units" in fact]
    takes = f" for pictures of {_times(shapes[0])}" if shapes else ""
    gives = f" with {units[-1]} classes" if units else ""
    return f"a Keras model of another program{takes}{gives}, without recipe, labels and split"


def _times(shape: Sequence[int | None]) -> str:
    return " x ".join("any" if size is None else str(size) for size in shape)
