"""Radiograph -> Finding: preprocess, guard, classify, guard, calibrate and decide, explain, in this order.

The guard looks twice: at the picture, and at what the network saw in it.

An inconclusive picture's heatmap is that of the label it leans to.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from edge.bundle.bundle import Bundle
from edge.classify import Classifier
from edge.decide import INCONCLUSIVE, decide, is_inconclusive, softmax
from edge.errors import BundleError
from edge.explain import heatmap, placed, unit_peak
from edge.golden import prove
from edge.guard import Guard, both, examine
from edge.preprocess import prepare
from edge.study import NOT_ASSESSABLE, Finding, Prepared, Radiograph
from edge.wire.messages import ModelIdentity

log = logging.getLogger(__name__)

_DIGITS: Final = 6
"""Decimals of a probability: what float32 logits can carry."""


class Assessor:
    """A loaded bundle, ready for radiographs.

    Args:
        bundle: A verified bundle.
        runtime: A runtime's name, or `auto`.
        threads: Processor threads of the interpreter; None for all cores, at most four.

    Raises:
        ConfigError: The runtime is not installed.
        BundleError: The runtime cannot load the model, or model and card do not fit.
        OtherAnswersError: The model decides otherwise on this box than where it was made (`edge.golden`).
    """

    def __init__(self, bundle: Bundle, *, runtime: str = "auto", threads: int | None = None) -> None:
        self.card: Final = bundle.card
        self._classifier = Classifier(bundle.model, runtime=runtime, threads=threads)
        self._head = self._classifier.head()
        self._guard = _guard_of(bundle)
        self.rerun: Final = prove(bundle, self._classifier)
        self.identity: Final = ModelIdentity(
            id=bundle.model_id,
            sha256=bundle.card.model_sha256,
            signed=bundle.signer is not None,
            runtime=self._classifier.runtime,
            validated_on=bundle.card.validated_on,
            not_validated_on=bundle.card.not_validated_on,
            allowed=bundle.card.allowed,
        )

    def assess(self, radiograph: Radiograph) -> Finding:
        """Say what the model sees in one radiograph, or why it cannot be assessed."""
        timings_ms: dict[str, float] = {}
        with _timed(timings_ms, "preprocess"):
            prepared = prepare(radiograph)
        finding = self.judge(prepared)
        return replace(finding, timings_ms={**timings_ms, **finding.timings_ms})

    def judge(self, prepared: Prepared) -> Finding:
        """Say what the model sees in one radiograph that was prepared elsewhere, or why it cannot be assessed."""
        timings_ms: dict[str, float] = {}
        with _timed(timings_ms, "guard"):
            verdict = examine(prepared)
        if verdict.reason is not None:
            return Finding(NOT_ASSESSABLE, {}, None, verdict.scores, verdict.reason, timings_ms)
        with _timed(timings_ms, "classify"):
            output = self._classifier.run(prepared.pixels)
        if self._guard is not None:
            with _timed(timings_ms, "guard"):
                verdict = both(verdict, self._guard.judge(output.features))
        if verdict.reason is not None:
            return Finding(NOT_ASSESSABLE, {}, None, verdict.scores, verdict.reason, timings_ms)
        card, probabilities = self.card, softmax(output.logits, self.card.temperature)  # (labels,)
        positive = card.labels.index(card.positive)
        label = int(decide(probabilities, positive, card.threshold))
        decision = INCONCLUSIVE if is_inconclusive(probabilities, positive, card.band) else card.labels[label]
        with _timed(timings_ms, "explain"):
            where = unit_peak(placed(heatmap(output.features, self._head, label), card.ahead_cells))
        shares = (round(float(share), _DIGITS) for share in probabilities)
        named = dict(zip(card.labels, shares, strict=True))
        return Finding(decision, named, where, verdict.scores, None, timings_ms)


def _guard_of(bundle: Bundle) -> Guard | None:
    if bundle.guard is None:
        log.warning(
            "%s carries no guard: a picture that is no chest gets a class like any other; convert the model again",
            bundle.model_id,
        )
        return None
    guard = Guard.from_json(bundle.guard)
    if guard.channels != bundle.card.features[-1]:
        raise BundleError(
            f"expected a guard of {bundle.card.features[-1]} channels, as the card says, got {guard.channels}; "
            "convert the model again"
        )
    return guard


@contextmanager
def _timed(timings_ms: dict[str, float], stage: str) -> Iterator[None]:
    start_s = time.perf_counter()
    yield
    earlier_ms = timings_ms.get(stage, 0.0)  # the guard looks twice
    timings_ms[stage] = round(earlier_ms + (time.perf_counter() - start_s) * 1000, 2)
