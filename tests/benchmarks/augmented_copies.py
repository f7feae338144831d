"""How many augmented copies of an image are worth keeping, and whether the images themselves belong between them.

    python tests/benchmarks/augmented_copies.py DATA --weights FILE [--recipe NAME] [--copies K ...] [--seeds N]
                                                [--originals] [--inside]

A run with K copies learns in epoch e from copy e modulo K; with `--originals` a round of K copies is closed by an epoch
of the images as they are. With as many copies as epochs no copy is seen twice: that is augmentation drawn anew in each
epoch. The decisions counted are those of the larger logit, on unaugmented images: the held-out ones of each seed's
random split, or with `--inside` those learned from, in three parts, each judged by a head that has learned from the two
others, so that no held-out image is looked at. Every K has the same splits, starts and orders of images. Beside them
stand the seconds of computing the features of K copies (one copy is timed in an empty cache, then scaled) and of
fitting. Prints one JSON document on stdout, and each seed's fits on stderr when they are done.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import msgspec
import numpy as np
import numpy.typing as npt

from edge.decide import softmax
from trainer.augment import copies_of
from trainer.clock import Clock
from trainer.evaluate import auc, positive_label
from trainer.features import compute_features
from trainer.learn import Learned, Task, learn, unseen_logits
from trainer.material import Material, open_data
from trainer.recipes import RECIPES, Recipe
from trainer.split import draw_split
from trainer.store import default_cache
from trainer.trunk import Trunk, load_trunk


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One seed.

    Attributes:
        copies: K.
        seed: Of split, start and order.
        accuracy: Share of images whose larger logit is that of their label.
        sensitivity: Likewise, among images of the label that is looked for.
        specificity: Likewise, among the others.
        auc: Area under the ROC curve of the label that is looked for.
        fit_s: Seconds of fitting, the features at hand.
    """

    copies: int
    seed: int
    accuracy: float
    sensitivity: float
    specificity: float
    auc: float
    fit_s: float


def with_copies(recipe: Recipe, copies: int, *, originals: bool) -> Recipe:
    """The same recipe with another number of copies, and the images as they are between them or not."""
    augmentation = msgspec.structs.replace(recipe.augmentation, copies=copies, with_originals=originals)
    return msgspec.structs.replace(recipe, augmentation=augmentation)


def task_of(recipe: Recipe, material: Material, trunk: Trunk, cache: Path, seed: int) -> Task:
    """The recipe on the random split of a seed."""
    split = draw_split(material.dataset, "random", test_share=recipe.test_share, seed=seed, together=material.together)
    return Task(recipe, material, split, trunk, cache, seed)


def outcome_of(task: Task, copies: int, *, inside: bool) -> Outcome:
    """Fit, and ask about images that were not learned from."""
    clock, labels = Clock(), task.material.dataset.labels
    logits, targets = cross_fitted(task, clock) if inside else held_out(task, clock)
    positive = labels.index(positive_label(labels, None))
    right, is_positive = logits.argmax(axis=1) == targets, targets == positive
    return Outcome(
        copies=copies,
        seed=task.seed,
        accuracy=float(right.mean()),
        sensitivity=float(right[is_positive].mean()),
        specificity=float(right[~is_positive].mean()),
        auc=float(auc(softmax(logits)[:, positive], is_positive) or np.nan),
        fit_s=clock.seconds["cross-fit" if inside else "fit"],
    )


def held_out(task: Task, clock: Clock) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Logits of the held-out images, `(n, labels)`, and the index of each one's label, `(n,)`."""
    return learn(task, clock).logits(task.split.held_out), task.targets[task.having(task.split.held_out)]


def cross_fitted(task: Task, clock: Clock) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """The same of the images learned from, each part of them asked of a head that has learned from the others."""
    own = compute_features(task.material.pixels, task.material.dataset.keys, task.trunk.model, task.cache)
    return unseen_logits(Learned(task, head=None, model=None, inputs=own), clock)


def seconds_of_one_copy(task: Task) -> float:
    """How long the features of one copy of the images learned from take, compiling included."""
    pixels, learned = task.material.pixels.select(task.learned), task.material.dataset.only(task.split.train)
    assert task.recipe.augmentation is not None
    (copy,) = copies_of(msgspec.structs.replace(task.recipe.augmentation, copies=1))
    with tempfile.TemporaryDirectory() as empty:
        start_s = time.perf_counter()
        compute_features(pixels, learned.keys, task.trunk.model, Path(empty), copy)
        return time.perf_counter() - start_s


def row_of(outcomes: Sequence[Outcome], one_copy_s: float) -> dict[str, Any]:
    """The seeds of one K, drawn together."""
    row: dict[str, Any] = {"copies": outcomes[0].copies, "seeds": len(outcomes)}
    for name in ("accuracy", "sensitivity", "specificity", "auc"):
        values = [getattr(outcome, name) for outcome in outcomes]
        row[name] = {"mean": round(statistics.mean(values), 4), "min": min(values), "max": max(values)}
    row["fit_s"] = round(statistics.median(outcome.fit_s for outcome in outcomes), 1)
    row["features_s"] = round(one_copy_s * outcomes[0].copies, 1)
    return row


def main() -> int:
    """Run the benchmark."""
    augmenting = sorted(name for name, recipe in RECIPES.items() if recipe.augmentation)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", metavar="DATA", type=Path)
    parser.add_argument("--weights", required=True, metavar="imagenet|none|FILE")
    parser.add_argument("--recipe", default="paper-mobilenet-aug", choices=augmenting)
    parser.add_argument("--copies", nargs="+", type=int, default=[1, 2, 4, 8, 50], metavar="K")
    parser.add_argument("--originals", action="store_true", help="close each round with the images as they are")
    parser.add_argument("--inside", action="store_true", help="look at no held-out image")
    parser.add_argument("--seeds", type=int, default=3, metavar="N")
    parser.add_argument("--cache", type=Path, help="pixels and features; none is computed twice")
    arguments = parser.parse_args()
    recipe, cache = RECIPES[arguments.recipe], arguments.cache or default_cache()
    material = open_data(arguments.data, cache, skip_bad=False)
    trunk = load_trunk(recipe.backbone, weights=arguments.weights, alpha=recipe.alpha)
    trunk.model.trainable = False
    one_copy_s = seconds_of_one_copy(task_of(recipe, material, trunk, cache, 0))
    rows = []
    for copies in arguments.copies:
        outcomes = []
        for seed in range(arguments.seeds):
            chosen = with_copies(recipe, copies, originals=arguments.originals)
            task = task_of(chosen, material, trunk, cache, seed)
            outcomes.append(outcome_of(task, copies, inside=arguments.inside))
            print(json.dumps(asdict(outcomes[-1])), file=sys.stderr, flush=True)
        rows.append(row_of(outcomes, one_copy_s))
    figures = {"recipe": recipe.name, "epochs": recipe.epochs, "originals": arguments.originals, "rows": rows}
    machine = {"machine": platform.processor() or platform.machine(), "cores": os.cpu_count()}
    print(json.dumps({**figures, **machine}, indent=2))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
