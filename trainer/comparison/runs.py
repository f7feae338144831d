"""The fits of a comparison: each is done once and kept in a file of its own, so that one cut short goes on.

Invariant: a kept file is used again only if everything that its figures depend on is unchanged: the images and their
split, the recipe or the methods' settings, the weights, and the versions of what computes them.
"""

import logging
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import file_digest, sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from edge.decoding.decode import DECODING
from edge.errors import ConfigError
from edge.preprocess import PREPROCESSING
from trainer.clock import Clock
from trainer.comparison.baselines import METHODS, fit_methods
from trainer.comparison.clinical import ClinicalColumns, choose_columns, encode
from trainer.comparison.pixel_features import PIXEL_FEATURES, pixel_features
from trainer.comparison.record import PIXELS, Run, Score, Weights
from trainer.features import compute_features
from trainer.learn import Task, learn
from trainer.material import Material
from trainer.progress import progress
from trainer.recipes import Recipe
from trainer.report.page import write_text
from trainer.split import Split, draw_split
from trainer.store import Rows
from trainer.trunk import IMAGENET, NONE, Trunk, load_trunk

_PACKAGES: Final = (
    "edge-xray",
    "tensorflow",
    "keras",
    "numpy",
    "scikit-learn",
    "scikit-image",
    "xgboost-cpu",
    "Pillow",
)
_RELATED: Final = "related-work"

log = logging.getLogger(__name__)


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """One file of finished fits.

    Attributes:
        stamp: SHA-256 over everything that the figures depend on.
        runs: The fits.
    """

    stamp: str
    runs: tuple[Run, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fits:
    """Everything that the fits of a comparison share.

    Attributes:
        material: The images.
        positive: Index of the label that is looked for.
        recipes: The networks', all with one share of held-out images.
        files: Each backbone's weights: `imagenet`, `none`, or a file.
        weights: The same, by name and hash.
        cache: The cache's root.
        out: Folder of the kept files.
    """

    material: Material
    positive: int
    recipes: Sequence[Recipe]
    files: Mapping[str, str]
    weights: Mapping[str, Weights]
    cache: Path
    out: Path
    _trunks: dict[str, Trunk] = field(default_factory=dict)

    def all_of(self, seeds: Sequence[int]) -> list[Run]:
        """Every fit of these seeds, done now where no file holds it."""
        jobs = [(recipe, seed) for seed in seeds for recipe in (*self.recipes, None)]
        kept = {job: self._kept(*job) for job in jobs}
        todo = [job for job in jobs if kept[job] is None]
        if len(todo) < len(jobs):
            log.info("%d of %d fits are kept in %s and are not done again", len(jobs) - len(todo), len(jobs), self.out)
        for recipe, seed in progress(todo, total=len(todo), what="compare", unit="fit"):
            start_s = time.perf_counter()
            runs = self._methods(seed) if recipe is None else (self._network(recipe, seed),)
            kept[recipe, seed] = self._keep(recipe, seed, runs)
            _say(runs, time.perf_counter() - start_s)
        return [run for runs in kept.values() for run in runs or ()]

    def split(self, seed: int) -> Split:
        """The paper's random split; the same for every method of a seed."""
        dataset, together = self.material.dataset, self.material.together
        return draw_split(dataset, "random", test_share=self.recipes[0].test_share, seed=seed, together=together)

    @property
    def columns(self) -> ClinicalColumns:
        """What a joint model may read beside the image."""
        return choose_columns(self.material.dataset)

    @property
    def backbones(self) -> dict[str, Recipe]:
        """Backbone to a recipe that has it."""
        return {recipe.backbone: recipe for recipe in self.recipes}

    def _network(self, recipe: Recipe, seed: int) -> Run:
        clock, split = Clock(), self.split(seed)
        task = Task(recipe, self.material, split, self._trunk(recipe), self.cache, seed)
        logits = learn(task, clock).logits(split.held_out)
        score = Score.of(logits, task.targets[task.having(split.held_out)], self.positive)
        return Run(method=recipe.name, features=None, seed=seed, score=score, seconds=clock.seconds)

    def _methods(self, seed: int) -> tuple[Run, ...]:
        dataset, columns = self.material.dataset, self.columns
        targets, learned = dataset.targets(dataset.labels), np.isin(dataset.keys, self.split(seed).train)
        records = [item.clinical for item in dataset.items]
        clinical = None if columns.refusal else encode(records, columns, learned)
        runs = []
        for name in (PIXELS, *self.backbones):
            for fitted in fit_methods(self._features(name), clinical, targets, learned, seed=seed):
                score = Score.of(fitted.scores, targets[~learned], self.positive)
                seconds = {"fit": fitted.seconds}
                runs.append(Run(method=fitted.method.name, features=name, seed=seed, score=score, seconds=seconds))
        return tuple(runs)

    def _features(self, name: str) -> npt.NDArray[np.float32]:
        """A feature set of all images, `(n, features) float32`."""
        pixels, keys = self.material.pixels, self.material.dataset.keys
        if name == PIXELS:
            return pixel_features(pixels, keys, self.cache)
        return averaged(compute_features(pixels, keys, self._trunk(self.backbones[name]).model, self.cache))

    def _trunk(self, recipe: Recipe) -> Trunk:
        if recipe.backbone not in self._trunks:
            weights = self.files[recipe.backbone]
            self._trunks[recipe.backbone] = load_trunk(recipe.backbone, weights=weights, alpha=recipe.alpha)
        return self._trunks[recipe.backbone]

    def _path(self, recipe: Recipe | None, seed: int) -> Path:
        return self.out / f"{recipe.name if recipe else _RELATED}-seed{seed}.json"

    def _kept(self, recipe: Recipe | None, seed: int) -> tuple[Run, ...] | None:
        path = self._path(recipe, seed)
        try:
            kept = msgspec.json.decode(path.read_bytes(), type=Kept)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.MsgspecError) as error:
            log.warning("%s cannot be read and is done again: %s", path, error)
            return None
        return kept.runs if kept.stamp == self._stamp(recipe, seed) else None

    def _keep(self, recipe: Recipe | None, seed: int, runs: tuple[Run, ...]) -> tuple[Run, ...]:
        document = msgspec.json.encode(Kept(stamp=self._stamp(recipe, seed), runs=runs))
        write_text(msgspec.json.format(document, indent=2).decode() + "\n", self._path(recipe, seed))
        return runs

    def _stamp(self, recipe: Recipe | None, seed: int) -> str:
        own: Any = recipe
        backbones = self.backbones if recipe is None else (recipe.backbone,)
        if recipe is None:
            alphas = [recipe.alpha for recipe in self.backbones.values()]
            clinical = [[item.sha256, dict(item.clinical)] for item in self.material.dataset.items]
            own = [PIXEL_FEATURES, alphas, clinical, [repr(method.build(seed)) for method in METHODS]]
        weights = [self.weights[backbone] for backbone in backbones]
        split, data = self.split(seed), self.material.dataset.fingerprint()
        everything = [DECODING, PREPROCESSING, data, split, self.positive, weights, versions(), own]
        return sha256(msgspec.json.encode(everything, order="deterministic")).hexdigest()


def averaged(features: Rows) -> npt.NDArray[np.float32]:
    """Each channel's mean over the map: `(n, H, W, C) float32` -> `(n, C) float32`."""
    return np.concatenate([batch.mean(axis=(1, 2)) for batch in features.batches(32)])


def versions() -> dict[str, str]:
    """Of everything that the figures depend on."""
    return {package: version(package) for package in _PACKAGES}


def weights_for(where: str, backbone: str) -> str:
    """A backbone's weights.

    Args:
        where: `imagenet`, `none`, or a folder with one file per backbone, named after it.
        backbone: A name of `trainer.backbones.BACKBONES`.

    Returns:
        `imagenet`, `none`, or the file's path.

    Raises:
        ConfigError: The folder is missing, or does not hold exactly one file of this backbone.
    """
    if where in {IMAGENET, NONE}:
        return where
    folder = Path(where)
    if not folder.is_dir():
        raise ConfigError(f"expected --weights-dir to be imagenet, none or a folder, found no folder {where}")
    mine = re.compile(rf"{re.escape(backbone)}(?![a-z0-9]).*\.h5", re.IGNORECASE)
    found = sorted(path for path in folder.iterdir() if mine.fullmatch(path.name))
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise ConfigError(
            f"expected one weights file of {backbone} in {folder}, such as {backbone}_imagenet_notop.weights.h5, "
            f"found {names}; keep exactly one there"
        )
    return str(found[0])


def describe_weights(weights: str) -> Weights:
    """Name and hash of what `weights_for` returned."""
    if weights in {IMAGENET, NONE}:
        return Weights(name=weights, sha256=None)
    with Path(weights).open("rb") as file:
        return Weights(name=Path(weights).name, sha256=file_digest(file, "sha256").hexdigest())


def _say(runs: Sequence[Run], seconds: float) -> None:
    if len(runs) == 1:
        run = runs[0]
        log.info("%s, seed %d: %d of %d wrong (%.0f s)", run.method, run.seed, run.score.wrong, run.score.n, seconds)
    else:
        wrong = [run.score.wrong for run in runs]
        of, seed = runs[0].score.n, runs[0].seed
        log.info(
            "related work, seed %d: %d fits, %d to %d of %d wrong (%.0f s)",
            *(seed, len(runs), min(wrong), max(wrong), of, seconds),
        )
