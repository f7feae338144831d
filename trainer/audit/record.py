"""What an audit found: the values that `audit.json` holds and `audit.html` shows."""

from typing import Literal

import msgspec

from trainer.audit.confounding import Design, LeftOut, SourceRow
from trainer.audit.elsewhere import Elsewhere
from trainer.audit.probe import Strongest
from trainer.audit.verdict import Code
from trainer.evaluate import Metrics

Name = Literal["whole-image", "lungs-blanked", "border-only", "exposure", "metadata"]


class Probed(msgspec.Struct, frozen=True, kw_only=True):
    """One probe and how well it answered.

    Attributes:
        name: In files.
        title: For people.
        told: What it was told, in words.
        blind: Whether that says nothing of the lungs.
        kept: Share of the whole image's advantage over chance that it has, by AUC, at least 0.
        metrics: Of all images, each asked of a model that saw neither it nor its patient.
        strongest: The figures that tell most by themselves; empty for pictures.
    """

    name: Name
    title: str
    told: str
    blind: bool
    kept: float
    metrics: Metrics
    strongest: tuple[Strongest, ...] = ()


class Audited(msgspec.Struct, frozen=True, kw_only=True):
    """The data that was audited.

    Attributes:
        name: Of its folder.
        fingerprint: SHA-256 over contents and labels.
        n: Number of images.
        counts: Label to number of images.
        positive: The class that is looked for.
        patients: Number of patients; None where none is named.
        duplicates: Files left out because their bytes repeat those of another.
        near_duplicates: Images that show the same film as another one.
        skipped: Unreadable files left out.
    """

    name: str
    fingerprint: str
    n: int
    counts: dict[str, int]
    positive: str
    patients: int | None
    duplicates: int
    near_duplicates: int
    skipped: int


class Audit(msgspec.Struct, frozen=True, kw_only=True):
    """The whole record.

    Attributes:
        verdict: `shortcut`, `suspicious`, `clean` or `cannot-tell`.
        sentence: In plain words.
        reasons: The figures that it follows from.
        rules: How it follows.
        data: What was audited.
        seen_as: What a model is told of a picture.
        folds: Of the cross-validation, patients and near-duplicates kept together.
        seed: Of the folds.
        probes: The whole image first, then less and less.
        design: How classes and sources go together.
        by_source: What each source's images were called from the whole image.
        left_out: Each source, asked about by a model that never saw it.
        external: Other data; None where none was given.
        seconds: By stage.
    """

    verdict: Code
    sentence: str
    reasons: tuple[str, ...]
    rules: tuple[str, ...]
    data: Audited
    seen_as: str
    folds: int
    seed: int
    probes: tuple[Probed, ...]
    design: Design
    by_source: tuple[SourceRow, ...]
    left_out: tuple[LeftOut, ...]
    external: Elsewhere | None
    seconds: dict[str, float]
