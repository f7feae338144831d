"""How much faster a frozen backbone trains from features kept on disk than by a plain Keras `fit`.

    python tests/benchmarks/training_speed.py DATA --weights-dir DIR [--recipe NAME ...] [--epochs N]

Both start from the same decoded pixels, weights, head and order of images. Ours computes every feature anew, in an
empty cache, fits the head for all of the recipe's epochs and predicts the held-out images. Plain is `fit` of backbone
and head as one frozen model, which predicts them too: a few epochs are timed and scaled to the recipe's number, the
first, which compiles, counted once. Beside the seconds stands how often the two decide the same on the held-out images
after the same few epochs: our head is then fitted for as many. The two see features that differ in their last bits, as
the same convolutions are compiled into different graphs; so a third way is Keras' `fit` of the head, for all epochs, on
the very floats ours learned from, and how often that decides like ours. Prints one JSON document.
"""

import argparse
import json
import math
import os
import platform
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import msgspec
import numpy as np
import numpy.typing as npt

from trainer.clock import Clock
from trainer.features import compute_features
from trainer.heads import build_head, root_mean_square
from trainer.learn import Task, learn
from trainer.material import open_data
from trainer.recipes import RECIPES
from trainer.split import draw_split
from trainer.store import Rows, default_cache
from trainer.trunk import load_trunk


@dataclass(frozen=True, slots=True, eq=False)
class Timed:
    """One way of training: its decisions on the held-out images, and how long it took."""

    decisions: npt.NDArray[np.int64]
    seconds: float


class InOrder(keras.utils.PyDataset):
    """The training images, or their features, in the order our own fitting sees them, one epoch after the other."""

    def __init__(self, rows: npt.NDArray[Any], targets: npt.NDArray[np.int64], *, batch: int, seed: int) -> None:
        super().__init__()
        self._rows, self._onehot, self._batch = rows, keras.utils.to_categorical(targets), batch
        self._generator = np.random.default_rng(seed)
        self._order = np.arange(len(rows))  # of the batches that Keras looks at before it begins

    def __len__(self) -> int:
        """Batches of an epoch."""
        return math.ceil(len(self._rows) / self._batch)

    def __getitem__(self, index: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """One batch: rows and one-hot labels."""
        chosen = self._order[index * self._batch : (index + 1) * self._batch]
        return self._rows[chosen].astype(np.float32), self._onehot[chosen]

    def on_epoch_begin(self) -> None:
        """Shuffle here: `fit` also ends an epoch before the first one, and would shuffle once too often."""
        self._order = self._generator.permutation(len(self._rows))


class EpochSeconds(keras.callbacks.Callback):
    """How long each epoch took."""

    def __init__(self) -> None:
        super().__init__()
        self.each: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002 - Keras passes both
        """Start the watch."""
        self._start_s = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002 - Keras passes both
        """Stop the watch."""
        self.each.append(time.perf_counter() - self._start_s)


def ours(task: Task) -> Timed:
    """Train as the trainer does; the cache of the task decides whether features are computed or found."""
    start_s = time.perf_counter()
    logits = learn(task, Clock()).logits(task.split.held_out)
    return Timed(logits.argmax(axis=1), time.perf_counter() - start_s)


def plain(task: Task, rms: float, *, epochs: int) -> Timed:
    """Train backbone and head as one model with Keras' own `fit`, and scale its time to the recipe's epochs."""
    recipe, pixels = task.recipe, task.material.pixels
    scale = keras.layers.Rescaling(1 / rms)  # as our fitting does it; see ADR 5
    model = compiled(task, task.trunk.model, scale)
    seconds = EpochSeconds()
    learned = pixels.select(task.learned).take(slice(None))
    images = InOrder(learned, task.targets[task.learned], batch=recipe.batch, seed=task.seed)
    model.fit(images, epochs=epochs, shuffle=False, callbacks=[seconds], verbose=0)
    held_out = pixels.select(task.having(task.split.held_out)).take(slice(None)).astype(np.float32)
    start_s = time.perf_counter()
    decisions = model.predict(held_out, batch_size=recipe.batch, verbose=0).argmax(axis=1)
    predicted_s = time.perf_counter() - start_s
    later = seconds.each[1:] or seconds.each
    scaled_s = sum(seconds.each) + (recipe.epochs - epochs) * sum(later) / len(later)
    return Timed(decisions, scaled_s + predicted_s)


def plain_on_features(task: Task, features: Rows, rms: float) -> npt.NDArray[np.int64]:
    """Decisions on the held-out images of a head that Keras' own `fit` has learned from our features, all epochs."""
    model = compiled(task, fuse=True, features_rms=rms)
    scale = np.float32(1 / rms)
    learned = features.select(task.learned).take(slice(None)) * scale
    rows = InOrder(learned, task.targets[task.learned], batch=task.recipe.batch, seed=task.seed)
    model.fit(rows, epochs=task.recipe.epochs, shuffle=False, verbose=0)
    held_out = features.select(task.having(task.split.held_out)).take(slice(None)) * scale
    decisions: npt.NDArray[np.int64] = model.predict(held_out, verbose=0).argmax(axis=1)
    return decisions


def compiled(task: Task, *below: Any, fuse: bool = False, features_rms: float = 1.0) -> Any:
    """The recipe's fresh head behind what is given, ready for `fit`.

    Given our features' size and fused into one step by XLA, it starts from our head's very floats and rounds like it;
    else the start differs in the last bit and so does each sum, which 1,250 steps of Adam carry apart.
    """
    recipe, labels = task.recipe, len(task.material.dataset.labels)
    shape = task.trunk.features_shape
    head = build_head(recipe.head, shape, labels, seed=task.seed, features_rms=features_rms)
    first, *others = head.get_weights()
    head.set_weights([first * features_rms, *others])  # as `fit_head` begins
    model = keras.Sequential([*below, head])
    model.compile(
        optimizer=keras.optimizers.Adam(recipe.learning_rate),
        loss=keras.losses.CategoricalCrossentropy(from_logits=True),
        jit_compile=fuse,
    )
    return model


def measure(task: Task, *, epochs: int) -> dict[str, Any]:
    """Time both ways and compare their decisions after the same few epochs."""
    full = ours(task)
    few = msgspec.structs.replace(task.recipe, epochs=epochs)
    short = ours(Task(few, task.material, task.split, task.trunk, task.cache, task.seed))
    features = cached_features_of(task)
    rms = root_mean_square(features.select(task.learned))
    slow = plain(task, rms, epochs=epochs)
    return {
        "ours_s": round(full.seconds, 1),
        "plain_s": round(slow.seconds, 1),
        "plain_epochs_timed": epochs,
        "times_faster": round(slow.seconds / full.seconds, 1),
        "ours_second_run_s": round(short.seconds, 1),
        "decisions_equal_after_the_timed_epochs": float((short.decisions == slow.decisions).mean()),
        "decisions_equal_on_the_same_features": float(
            (full.decisions == plain_on_features(task, features, rms)).mean()
        ),
        "held_out": len(slow.decisions),
    }


def cached_features_of(task: Task) -> Rows:
    """All images' features, found in the task's cache."""
    return compute_features(task.material.pixels, task.material.dataset.keys, task.trunk.model, task.cache)


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", metavar="DATA", type=Path)
    parser.add_argument("--weights-dir", required=True, type=Path, help="holds BACKBONE_*.h5 for each backbone")
    parser.add_argument("--recipe", nargs="+", default=["paper-vgg19", "paper-mobilenet"], choices=sorted(RECIPES))
    parser.add_argument("--epochs", type=int, default=2, help="of the plain fit that are timed (default: 2)")
    parser.add_argument("--cache", type=Path, help="where decoded pixels are, or will be, kept")
    arguments = parser.parse_args()
    material = open_data(arguments.data, arguments.cache or default_cache(), skip_bad=False)
    figures: dict[str, Any] = {"machine": platform.processor() or platform.machine(), "cores": os.cpu_count()}
    for name in arguments.recipe:
        recipe = RECIPES[name]
        (weights,) = arguments.weights_dir.glob(f"{recipe.backbone}*.h5")
        trunk = load_trunk(recipe.backbone, weights=str(weights))
        split = draw_split(material.dataset, "random", test_share=0.2, seed=0, together=material.together)
        with tempfile.TemporaryDirectory() as cache:
            figures[name] = measure(Task(recipe, material, split, trunk, Path(cache), 0), epochs=arguments.epochs)
    print(json.dumps(figures, indent=2))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
