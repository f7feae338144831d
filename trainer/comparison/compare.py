"""The paper's four runs and the methods of its related work on one folder of X-rays. Read `compare` first.

data -> one split per seed -> every method on it -> mean and spread -> compare.json, compare.md and compare.html.
Invariant: within a seed every method learns from the same images and is asked about the same others.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from trainer.comparison.baselines import METHODS
from trainer.comparison.page import as_html, as_markdown
from trainer.comparison.pixel_features import PIXEL_FEATURES
from trainer.comparison.record import PIXELS, Comparison, Data, HeldOut, Run, Summary, summarise
from trainer.comparison.runs import Fits, describe_weights, versions, weights_for
from trainer.evaluate import positive_label
from trainer.material import Material, open_data
from trainer.recipes import PAPER
from trainer.report.page import write_text

JSON_NAME: Final = "compare.json"
PAGE_NAME: Final = "compare.html"
TABLES_NAME: Final = "compare.md"
RUNS_NAME: Final = "runs"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a comparison is asked to do.

    Attributes:
        data: The dataset's folder.
        weights_dir: `imagenet`, `none`, or a folder with one weights file per backbone.
        out: Folder for the results; fits that it holds already are not done again.
        cache: The cache's root.
        seeds: How many times everything is repeated, with seeds from 0 on.
        positive: The label that is looked for; None where the names tell.
        skip_bad: Leave unreadable images out instead of stopping.
    """

    data: Path
    weights_dir: str
    out: Path
    cache: Path
    seeds: int = 1
    positive: str | None = None
    skip_bad: bool = False


def compare(order: Order) -> dict[str, Any]:
    """Compare as ordered and write `compare.json`, `compare.md` and `compare.html`.

    Returns:
        What `compare.json` holds.

    Raises:
        DataError: The data or the weights are not usable.
        ConfigError: The weights folder or the order is not usable, or the results cannot be written.
    """
    files = {recipe.backbone: weights_for(order.weights_dir, recipe.backbone) for recipe in PAPER}
    material = open_data(order.data, order.cache, skip_bad=order.skip_bad)
    labels = material.dataset.labels
    positive = positive_label(labels, order.positive)
    fits = Fits(
        material=material,
        positive=labels.index(positive),
        recipes=PAPER,
        files=files,
        weights={backbone: describe_weights(file) for backbone, file in files.items()},
        cache=order.cache,
        out=order.out / RUNS_NAME,
    )
    comparison = _comparison(fits, range(order.seeds), fits.all_of(range(order.seeds)), positive)
    document = msgspec.json.encode(comparison)
    write_text(msgspec.json.format(document, indent=2).decode() + "\n", order.out / JSON_NAME)
    write_text(as_markdown(comparison), order.out / TABLES_NAME)
    write_text(as_html(comparison), order.out / PAGE_NAME)
    return msgspec.json.decode(document)


def _comparison(fits: Fits, seeds: Sequence[int], runs: Sequence[Run], positive: str) -> Comparison:
    refusal = fits.columns.refusal
    return Comparison(
        labels=fits.material.dataset.labels,
        positive=positive,
        data=_data(fits.material),
        splits=tuple(_held_out(fits, seed) for seed in seeds),
        weights=dict(fits.weights),
        networks=tuple(_summary(runs, recipe.name, None) for recipe in fits.recipes),
        methods=tuple(
            _summary(runs, method.name, features)
            for features in (PIXELS, *fits.backbones)
            for method in METHODS
            if not (method.clinical and refusal)
        ),
        not_run={method.name: refusal for method in METHODS if method.clinical and refusal},
        columns=(*fits.columns.numbers, *fits.columns.categories),
        recipes=tuple(fits.recipes),
        features={PIXELS: PIXEL_FEATURES}
        | dict.fromkeys(fits.backbones, "the last feature map of the frozen network, averaged over its positions"),
        versions=versions(),
        created_at=datetime.now(UTC).replace(microsecond=0),
    )


def _summary(runs: Sequence[Run], method: str, features: str | None) -> Summary:
    return summarise([run for run in runs if (run.method, run.features) == (method, features)])


def _held_out(fits: Fits, seed: int) -> HeldOut:
    split = fits.split(seed)
    return HeldOut(
        seed=seed,
        learned=len(split.train),
        held_out=len(split.held_out),
        patients_on_both_sides=split.patients_on_both_sides,
    )


def _data(material: Material) -> Data:
    dataset = material.dataset
    return Data(
        name=dataset.root.resolve().name,
        fingerprint=dataset.fingerprint(),
        counts=dataset.counts(),
        sources=dataset.sources(),
        duplicates=dataset.duplicates,
        near_duplicates=sum(map(len, material.together)),
        skipped=material.skipped,
    )
