"""Probabilities and true labels -> Metrics. Pure arithmetic: the same for a float model and for a bundle.

Positive is the label that is looked for; sensitivity and specificity speak of it, whatever the other classes are.
"""

from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt
from sklearn.metrics import roc_auc_score

from edge.decide import Band, decide, is_inconclusive
from edge.errors import ConfigError
from edge.interval import Interval
from trainer.curves import brier, reliability
from trainer.intervals import FEWEST_DISSENTERS, RESAMPLES, Bootstrap, Sureness

NEGATIVE_NAMES: Final = frozenset({"normal", "clear", "no-finding", "no finding", "no_finding", "negative"})
THRESHOLD: Final = 0.5

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]
Targets = npt.NDArray[np.int64]


class SourceMetrics(msgspec.Struct, frozen=True, kw_only=True):
    """How a model did on the images of one source.

    Attributes:
        source: As the manifest names it; None for images without one.
        counts: Label to number of images.
        accuracy: Share of decisions that are right.
        ci95: Of the accuracy.
        sensitivity: None where the source has no positive image.
        specificity: None where it has no other image.
        inconclusive: Share of images in the band.
    """

    source: str | None
    counts: dict[str, int]
    accuracy: float
    ci95: Interval
    sensitivity: float | None
    specificity: float | None
    inconclusive: float | None


class Metrics(msgspec.Struct, frozen=True, kw_only=True):
    """How a model did on some images. What speaks of probabilities speaks of the positive label's.

    Attributes:
        accuracy: Share of decisions at the threshold that are right, the band left aside.
        auc: Area under the ROC curve; None where one side has no image.
        sensitivity: Share of positive images that are called positive; None where there is none.
        specificity: Share of other images that are not called positive; None where there is none.
        accuracy_outside_band: Share of right decisions outside the band; None where no band was given, or nothing lies
            outside it.
        inconclusive: Share of images in the band; None where no band was given.
        brier: Mean squared error of the probability.
        ece: Expected calibration error, in ten bins of equal width.
        ece_uncalibrated: The same before temperature scaling; None where those probabilities were not given.
        ci95: Each of the first five names above to its 95% interval.
        ci95_method: How the intervals were made, in words.
        ci95_stand_ins: Names of those that are Wilson's instead.
        patients: Number of known patients; None where no image has one.
        images_without_patient: Images whose patient is not known.
        by_source: In the order of their names; empty where no image has a source.
        confusion_matrix: Rows = true, columns = predicted, in the order of `labels`.
        labels: In the order of the model's outputs.
        positive: The label that is looked for.
        threshold: The positive label is decided from this probability on.
        band: Where a picture is called inconclusive instead; None where no band was given.
        n: Number of images.
    """

    accuracy: float
    auc: float | None
    sensitivity: float | None
    specificity: float | None
    accuracy_outside_band: float | None
    inconclusive: float | None
    brier: float
    ece: float
    ece_uncalibrated: float | None
    ci95: dict[str, Interval | None]
    ci95_method: str
    ci95_stand_ins: tuple[str, ...]
    patients: int | None
    images_without_patient: int
    by_source: tuple[SourceMetrics, ...]
    confusion_matrix: tuple[tuple[int, ...], ...]
    labels: tuple[str, ...]
    positive: str
    threshold: float
    band: Band | None
    n: int


def positive_label(labels: Sequence[str], wanted: str | None) -> str:
    """The label that is looked for: the wanted one, or the only one that no healthy picture has.

    Raises:
        ConfigError: The wanted label is not among the labels, or none was named and there is not exactly one candidate.
    """
    if wanted is not None:
        if wanted not in labels:
            raise ConfigError(f"expected --positive to be one of {', '.join(labels)}, got {wanted!r}")
        return wanted
    candidates = [label for label in labels if label.lower() not in NEGATIVE_NAMES]
    if len(candidates) != 1:
        raise ConfigError(
            f"cannot tell which of {', '.join(labels)} is looked for "
            f"(expected all but one to be called {', '.join(sorted(NEGATIVE_NAMES))}); say it with --positive NAME"
        )
    return candidates[0]


def evaluate(
    probabilities: Floats,
    targets: Targets,
    labels: Sequence[str],
    positive: str,
    threshold: float = THRESHOLD,
    *,
    band: Band | None = None,
    uncalibrated: Floats | None = None,
    patients: Sequence[str | None] | None = None,
    sources: Sequence[str | None] | None = None,
) -> Metrics:
    """Compare decisions with the truth.

    Args:
        probabilities: `(n, labels) float32`, n at least 1, after temperature scaling where there is any.
        targets: `(n,)`, index of each image's true label.
        labels: In the order of the columns.
        positive: One of the labels.
        threshold: 0-1.
        band: Where a picture is called inconclusive; None for nowhere, and nothing is said of it.
        uncalibrated: The probabilities before temperature scaling.
        patients: Of each image, None where unknown; without it each image counts as a patient of its own.
        sources: Of each image, None where unknown.
    """
    outcome = _Outcome(probabilities, targets, list(labels).index(positive), threshold, band)
    patients = patients or [None] * len(targets)
    bootstrap = Bootstrap(patients)
    shares, sureness = outcome.shares(), outcome.sureness(bootstrap)
    return Metrics(
        accuracy=float(outcome.right.mean()),
        auc=auc(outcome.scores, outcome.is_positive),
        sensitivity=_share(*shares["sensitivity"]),
        specificity=_share(*shares["specificity"]),
        accuracy_outside_band=_share(*shares["accuracy_outside_band"]),
        inconclusive=outcome.inconclusive(),
        brier=brier(outcome.scores, outcome.is_positive),
        ece=outcome.calibration_error(probabilities),
        ece_uncalibrated=None if uncalibrated is None else outcome.calibration_error(uncalibrated),
        ci95={name: None if sure is None else sure.interval for name, sure in sureness.items()},
        ci95_method=_method(bootstrap, patients),
        ci95_stand_ins=tuple(name for name, sure in sureness.items() if sure and sure.method == "wilson"),
        patients=len(set(patients) - {None}) or None,
        images_without_patient=sum(patient is None for patient in patients),
        by_source=_by_source(outcome, sources or [], patients, labels),
        confusion_matrix=outcome.confusion_matrix(len(labels)),
        labels=tuple(labels),
        positive=positive,
        threshold=threshold,
        band=band,
        n=len(targets),
    )


def auc(scores: Floats, is_positive: Bools) -> float | None:
    """Area under the ROC curve; None where one side has no image."""
    if is_positive.all() or not is_positive.any():
        return None
    return float(roc_auc_score(is_positive, scores))


class _Outcome:
    """Decisions beside the truth.

    Args:
        probabilities: `(n, labels) float32`.
        targets: `(n,)`.
        index: Of the positive label.
        threshold: 0-1.
        band: None where nothing is to be said of one.
    """

    def __init__(
        self, probabilities: Floats, targets: Targets, index: int, threshold: float, band: Band | None
    ) -> None:
        self.targets, self.scores = targets, probabilities[:, index]
        self._index, self._decided = index, decide(probabilities, index, threshold)
        self.right: Bools = self._decided == targets
        self.is_positive: Bools = targets == index
        self._called_positive: Bools = self._decided == index
        self._in_band: Bools | None = None if band is None else is_inconclusive(probabilities, index, band)

    def shares(self) -> dict[str, tuple[Bools, Bools]]:
        """Name to which images are hits, and among which they are counted."""
        everywhere = np.ones(len(self.targets), bool)
        return {
            "accuracy": (self.right, everywhere),
            "sensitivity": (self._called_positive, self.is_positive),
            "specificity": (~self._called_positive, ~self.is_positive),
            "accuracy_outside_band": (self.right, ~(everywhere if self._in_band is None else self._in_band)),
        }

    def sureness(self, bootstrap: Bootstrap) -> dict[str, Sureness | None]:
        """Name of a share, and `auc`, to how sure it is."""
        shares = {name: bootstrap.share(*hits) for name, hits in self.shares().items()}
        return shares | {"auc": bootstrap.area(self.scores, self.is_positive)}

    def confusion_matrix(self, labels: int) -> tuple[tuple[int, ...], ...]:
        """Rows = true, columns = decided."""
        matrix = np.zeros((labels, labels), np.int64)
        np.add.at(matrix, (self.targets, self._decided), 1)
        return tuple(tuple(row) for row in matrix.tolist())

    def calibration_error(self, probabilities: Floats) -> float:
        """Of these probabilities, `(n, labels) float32`, calibrated or not."""
        return reliability(probabilities[:, self._index], self.is_positive).error

    def inconclusive(self, among: Bools | slice = slice(None)) -> float | None:
        """Share of images in the band."""
        return None if self._in_band is None else float(self._in_band[among].mean())


def _share(hits: Bools, among: Bools) -> float | None:
    return float(hits[among].mean()) if among.any() else None


def _by_source(
    outcome: _Outcome, sources: Sequence[str | None], patients: Sequence[str | None], labels: Sequence[str]
) -> tuple[SourceMetrics, ...]:
    names = sorted({source for source in sources if source is not None})
    found = np.array(sources, object)
    return tuple(
        _of_source(outcome, name, found == name, patients, labels)
        for name in ([*names, None] if names and None in sources else names)
    )


def _of_source(
    outcome: _Outcome, source: str | None, own: Bools, patients: Sequence[str | None], labels: Sequence[str]
) -> SourceMetrics:
    shares = {name: (hits, among & own) for name, (hits, among) in outcome.shares().items()}
    sure = Bootstrap([patients[position] for position in np.flatnonzero(own)]).share(
        outcome.right[own], np.ones(int(own.sum()), bool)
    )
    assert sure is not None  # noqa: S101 - a source has an image
    return SourceMetrics(
        source=source,
        counts={label: int((outcome.targets[own] == number).sum()) for number, label in enumerate(labels)},
        accuracy=float(outcome.right[own].mean()),
        ci95=sure.interval,
        sensitivity=_share(*shares["sensitivity"]),
        specificity=_share(*shares["specificity"]),
        inconclusive=outcome.inconclusive(own),
    )


def _method(bootstrap: Bootstrap, patients: Sequence[str | None]) -> str:
    """What the intervals are, in words."""
    alone = sum(patient is None for patient in patients)
    units = f"{bootstrap.units - alone} patients" if alone < len(patients) else ""
    images = f"{alone} images whose patient is not known" if alone else ""
    drawn = " and ".join(filter(None, (units, images)))
    return (
        f"percentiles of {RESAMPLES} resamples of {drawn}; Wilson's interval with their number as n "
        f"where fewer than {FEWEST_DISSENTERS} of them stand on the rarer side, or the AUC is 0 or 1"
    )
