"""`edge-trainer audit`: is it the disease or the source? Read `audit` first.

The same question is put to small models that are told less and less: the whole image, everything but the lungs, a
frame, the exposure, the file's header. Who answers well without the lungs has found something else. Invariant: every
figure but those of `--external` is cross-validated with patients and near-duplicates kept together, and two runs on the
same data differ in their times only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from edge.preprocess import SIDE_PX
from trainer.audit.confounding import Design, design_of, leave_sources_out, source_rows
from trainer.audit.elsewhere import Elsewhere, look_elsewhere
from trainer.audit.look import Look, look_of
from trainer.audit.occlude import FRAME_PX, border_only, lungs_blanked
from trainer.audit.page import Sample, page_of
from trainer.audit.probe import (
    FOLDS,
    Features,
    Question,
    Strongest,
    ask,
    forest,
    linear,
    measure,
    strongest,
    unseen_answers,
)
from trainer.audit.record import Audit, Audited, Name, Probed
from trainer.audit.traits import Table, exposure_traits, file_traits
from trainer.audit.verdict import Area, Observed, judge
from trainer.clock import Clock
from trainer.evaluate import Metrics, positive_label
from trainer.groups import groups_of_patients
from trainer.material import Material, open_data
from trainer.report.page import write_text
from trainer.views import View

DOCUMENT_NAME: Final = "audit.json"
PAGE_NAME: Final = "audit.html"
FAILED: Final = "shortcut"
"""The verdict at which `--gate` fails."""

WHOLE: Final[Name] = "whole-image"
VIEWS: Final[Mapping[Name, View | None]] = {
    WHOLE: None,
    "lungs-blanked": lungs_blanked(),
    "border-only": border_only(),
}
TITLES: Final[Mapping[Name, str]] = {
    WHOLE: "The whole image",
    "lungs-blanked": "The image without its lungs",
    "border-only": "The border of the image",
    "exposure": "Exposure",
    "metadata": "The file's header",
}
_TOLD: Final[Mapping[Name, str]] = {
    WHOLE: "the picture as it is",
    "lungs-blanked": "the picture with two lung-shaped patches painted over it",
    "border-only": f"a frame of {FRAME_PX} of {SIDE_PX} pixels on each side, the rest painted over",
    "exposure": "mean, spread, percentiles, saturated share, brightness of the frame; no picture",
    "metadata": "size, shape, format, colour mode, bits, packing, EXIF and JPEG tables; no picture",
}
_BLIND: Final[tuple[Name, ...]] = ("lungs-blanked", "border-only", "metadata")


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What an audit was asked for.

    Attributes:
        data: DATA.
        out: For `audit.json` and `audit.html`, which are replaced.
        cache: The cache's root.
        weights: `imagenet`, a file, or `none` for no network.
        backbone: A name of `trainer.backbones.BACKBONES`.
        alpha: Its width, where it comes in several.
        positive: The class that is looked for; None for the one that is not healthy.
        external: Another folder of the same classes; None for none.
        skip_bad: Leave unreadable images out instead of stopping.
        seed: Of the folds.
    """

    data: Path
    out: Path
    cache: Path
    weights: str
    backbone: str = "mobilenet"
    alpha: float = 1.0
    positive: str | None = None
    external: Path | None = None
    skip_bad: bool = False
    seed: int = 0


def audit(order: Order) -> Audit:
    """Audit a folder, and write `audit.json` and `audit.html`.

    Raises:
        ConfigError: The weights are missing, the positive class is not clear, or the folder cannot be written.
        DataError: The data is not usable, or too small for the folds.
    """
    clock = Clock()
    with clock.stage("decode"):
        material = open_data(order.data, order.cache, skip_bad=order.skip_bad)
    dataset = material.dataset
    question = ask(material, positive_label(dataset.labels, order.positive), seed=order.seed)
    look = look_of(order.backbone, order.weights, order.cache, alpha=order.alpha)
    with clock.stage("features"):
        seen = {name: look.features(material.pixels, dataset.keys, view, name) for name, view in VIEWS.items()}
    with clock.stage("probes"):
        answers = unseen_answers(question, seen[WHOLE], linear)
        probes = _probes(question, material, answers, seen)
    design = design_of(dataset)
    with clock.stage("sources"):
        left_out = leave_sources_out(question, seen[WHOLE])
    with clock.stage("external"):
        external = _external(order, question, look, seen[WHOLE])
    verdict = judge(_observed(probes, design, external))
    record = Audit(
        **{"verdict" if key == "code" else key: value for key, value in msgspec.structs.asdict(verdict).items()},
        data=_audited(material, question),
        seen_as=look.title,
        folds=FOLDS,
        seed=order.seed,
        probes=probes,
        design=design,
        by_source=source_rows(dataset, answers, dataset.labels),
        left_out=left_out,
        external=external,
        seconds=clock.seconds,
    )
    write_text(msgspec.json.format(msgspec.json.encode(record), indent=2).decode() + "\n", order.out / DOCUMENT_NAME)
    write_text(page_of(record, samples_of(material, question)), order.out / PAGE_NAME)
    return record


def samples_of(material: Material, question: Question) -> tuple[Sample, ...]:
    """What the models saw of one image of each side, the one whose hash comes first, so that nobody chose it."""
    found = []
    for wanted in (True, False):
        position = min(np.flatnonzero(question.is_positive == wanted), key=material.dataset.keys.__getitem__)
        chosen, key = (
            material.pixels.take(slice(position, position + 1)),
            material.dataset.keys[position : position + 1],
        )
        pictures = {TITLES[name]: (view(chosen, key) if view else chosen)[0] for name, view in VIEWS.items()}
        item = material.dataset.items[position]
        found.append(Sample(item.file, item.label, {title: film.astype(np.uint8) for title, film in pictures.items()}))
    return tuple(found)


def _probes(
    question: Question, material: Material, answers: Features, seen: Mapping[Name, Features]
) -> tuple[Probed, ...]:
    whole = measure(question, answers)
    area = _area(TITLES[WHOLE], whole)
    hidden = {name: unseen_answers(question, rows, linear) for name, rows in seen.items() if name != WHOLE}
    found = [_probed(WHOLE, whole, area)]
    found += [_probed(name, measure(question, rows), area) for name, rows in hidden.items()]
    tables: dict[Name, Table] = {
        "exposure": exposure_traits(material.pixels),
        "metadata": file_traits(material.dataset),
    }
    for name, table in tables.items():
        metrics = measure(question, unseen_answers(question, table.values, forest))
        found.append(_probed(name, metrics, area, strongest(question, table)))
    return tuple(found)


def _probed(name: Name, metrics: Metrics, whole: Area, telling: tuple[Strongest, ...] = ()) -> Probed:
    return Probed(
        name=name,
        title=TITLES[name],
        told=_TOLD[name],
        blind=name in _BLIND,
        kept=_area(TITLES[name], metrics).kept_of(whole),
        metrics=metrics,
        strongest=telling,
    )


def _area(title: str, metrics: Metrics) -> Area:
    interval = metrics.ci95["auc"]
    assert metrics.auc is not None  # noqa: S101 - every class has at least an image in each fold
    assert interval is not None  # noqa: S101 - likewise
    return Area(title=title, auc=metrics.auc, ci95=interval)


def _external(order: Order, question: Question, look: Look, whole: Features) -> Elsewhere | None:
    if order.external is None:
        return None
    model = linear().fit(whole, question.targets)
    return look_elsewhere(question, model, look, order.external, order.cache, skip_bad=order.skip_bad)


def _observed(probes: Sequence[Probed], design: Design, external: Elsewhere | None) -> Observed:
    areas = {probe.name: _area(probe.title, probe.metrics) for probe in probes}
    comparable = external is not None and external.metrics.auc is not None
    return Observed(
        whole=areas[WHOLE],
        blind=[areas[name] for name in _BLIND],
        exposure=areas["exposure"],
        elsewhere=_area("Other data", external.metrics) if external and comparable else None,
        inseparable=design.inseparable,
    )


def _audited(material: Material, question: Question) -> Audited:
    dataset = material.dataset
    return Audited(
        name=dataset.root.resolve().name,
        fingerprint=dataset.fingerprint(),
        n=len(dataset.items),
        counts=dataset.counts(),
        positive=question.positive,
        patients=len(groups_of_patients(dataset)) or None,
        duplicates=dataset.duplicates,
        near_duplicates=sum(map(len, material.together)),
        skipped=material.skipped,
    )
