"""Whether a box's heatmaps are those of TensorFlow's gradient tape, and what they cost.

    python tests/benchmarks/heatmap.py RUN/model.keras BUNDLE --data DATA [--cache DIR] [--count 50]

For held-out X-rays, spread evenly over them, and the label that the bundle decides: the heatmap of `edge.explain`
against the HiResCAM of a gradient tape through the refitted head on the same int8 features; and, beside it, against
that of the trainer's float model on its own features. The cost is the heatmap's median time as a share of the
inference's, both taken in turn in one process, one thread.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from converter.material import Material, read_material
from converter.refit import find
from edge.bundle.bundle import read_bundle
from edge.classify import Classifier
from edge.explain import heatmap
from trainer.features import BATCH, forward
from trainer.store import default_cache

Map = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Result:
    """The figures.

    Attributes:
        model: Id of the bundle's model.
        n: Number of X-rays.
        tape_least: Least correlation with the gradient tape's map.
        tape_median: Median of the same.
        float_least: Least correlation with the float model's own map.
        float_median: Median of the same.
        inference_ms: Median.
        heatmap_ms: Median.
        cost: Heatmap over inference.
    """

    model: str
    n: int
    tape_least: float
    tape_median: float
    float_least: float
    float_median: float
    inference_ms: float
    heatmap_ms: float
    cost: float


def measure(model: Path, bundle_file: Path, data: Path, cache: Path, count: int) -> Result:
    """Compare and time."""
    bundle, material = read_bundle(bundle_file), read_material(model, data, cache)
    refitted = find(bundle.card.recipe["refit"]["head_sha256"], material.trained.head, cache)
    if refitted is None:
        sys.exit(f"expected the refitted head in {cache}, found none; convert again with this cache")
    classifier = Classifier(bundle.model, runtime="litert", threads=1)
    head = classifier.head()
    same, own, inference_s, heatmap_s = [], [], [], []
    pictures = spread(material, count)
    float_features = [row for few in batches(pictures) for row in forward(material.trained.trunk, few)]
    for pixels, features in zip(pictures, float_features, strict=True):
        start_s = time.perf_counter()
        output = classifier.run(pixels)
        ran_s = time.perf_counter()
        label = int(output.logits.argmax())
        shown = heatmap(output.features, head, label)
        heatmap_s.append(time.perf_counter() - ran_s)
        inference_s.append(ran_s - start_s)
        same.append(correlation(shown, by_tape(refitted, output.features, label)))
        own.append(correlation(shown, by_tape(material.trained.head, features, label)))
    medians = [1000 * float(np.median(seconds)) for seconds in (inference_s, heatmap_s)]
    return Result(
        model=bundle.model_id,
        n=len(same),
        tape_least=min(same),
        tape_median=float(np.median(same)),
        float_least=min(own),
        float_median=float(np.median(own)),
        inference_ms=medians[0],
        heatmap_ms=medians[1],
        cost=medians[1] / medians[0],
    )


def spread(material: Material, count: int) -> list[npt.NDArray[np.uint8]]:
    """`count` held-out pictures, `(224, 224, 3) uint8` each, from the first to the last."""
    total = len(material.held_out.keys)
    positions = np.unique(np.linspace(0, total - 1, min(count, total)).astype(np.int64))
    return list(material.held_out.pixels.take(positions))


def batches(pictures: list[npt.NDArray[np.uint8]]) -> Iterator[npt.NDArray[np.uint8]]:
    """The pictures in batches that `forward` takes."""
    for start in range(0, len(pictures), BATCH):
        yield np.stack(pictures[start : start + BATCH])


def by_tape(head: Any, features: npt.NDArray[np.float32], label: int) -> Map:
    """HiResCAM by TensorFlow's own differentiation, `(H, W) float32`."""
    watched = tf.constant(features[np.newaxis])
    with tf.GradientTape() as tape:
        tape.watch(watched)
        logit = head(watched)[0, label]
    gradient = tape.gradient(logit, watched).numpy()[0]
    return np.maximum((gradient * features).sum(axis=-1), 0)


def correlation(one: Map, other: Map) -> float:
    """Pearson's; 1 for two maps without any evidence, 0 where only one has some."""
    if not one.any() or not other.any():
        return float(one.any() == other.any())
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


def main() -> None:
    """Print the figures as one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", metavar="MODEL.keras", type=Path)
    parser.add_argument("bundle", metavar="BUNDLE", type=Path)
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--cache", type=Path, default=default_cache())
    parser.add_argument("--count", type=int, default=50)
    options = parser.parse_args()
    result = measure(options.model, options.bundle, options.data, options.cache, options.count)
    rounded = {key: round(value, 6) if isinstance(value, float) else value for key, value in asdict(result).items()}
    json.dump(rounded, sys.stdout, indent=2)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
