"""A finished model -> golden vectors: pictures on both sides of its threshold, with the logits seen here.

The pictures are phantoms and what a darkroom can do to them, never an X-ray of a person (docs/adr/0011). Some are taken
close to the threshold, where an error of the box would show first, but none so close that the harmless rounding of
a runtime that nobody has tried could decide it otherwise.
"""

import io
import platform
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from edge.bundle.bundle import Bundle, Card
from edge.classify import DISTRIBUTIONS, Classifier
from edge.decide import softmax
from edge.decoding.decode import decode
from edge.errors import GateError
from edge.golden import TOLERANCE, Golden, Vector, decisions
from edge.phantom import phantom
from edge.preprocess import SIDE_PX, preprocess

COUNT: Final = 8
FIRST_SEED: Final = 9_000_000
"""Far from the seeds of training and examining the demo's model."""
PHANTOMS: Final = 24
ROUNDING: Final = 0.04
"""How far the rounding of a runtime that nobody has tried may move the distance of two logits, as a share of the
largest: the most that was measured between two of them before they were made to agree (docs/adr/0017)."""
_GRAYS: Final = 32
"""Gray levels of a golden picture: a quarter of the bytes of 256, and the network is no less busy."""


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A picture that could become a golden vector.

    Attributes:
        name: What it is, in words.
        gray: `(224, 224) uint8`.
    """

    name: str
    gray: npt.NDArray[np.uint8]


def with_golden(bundle: Bundle) -> Bundle:
    """The bundle with golden vectors of its model, in place of any that it had; unsigned, because it is another one.

    Raises:
        GateError: The model gives one answer to everything that is drawn for it.
    """
    golden = golden_vectors(bundle.model, bundle.card).to_json()
    return replace(bundle, golden=golden, signature=None, signer=None)


def golden_vectors(model: bytes, card: Card, *, runtime: str = "litert") -> Golden:
    """Choose golden vectors for a model and note what it says of them here.

    Args:
        model: Content of the `.tflite`.
        card: Of the same bundle.
        runtime: That gives the logits.

    Raises:
        GateError: The model gives one answer to everything that is drawn for it.
    """
    classifier = Classifier(model, runtime=runtime)
    pool = list(candidates())
    logits = np.stack([classifier.run(np.repeat(each.gray[:, :, np.newaxis], 3, axis=2)).logits for each in pool])
    vectors = tuple(
        Vector(name=pool[k].name, picture=_png(pool[k].gray), logits=tuple(float(value) for value in logits[k]))
        for k in choose(logits, card, count=COUNT)
    )
    runs_on = f"{classifier.runtime} {version(DISTRIBUTIONS[classifier.runtime])} on {platform.machine()}"
    return Golden(made_with=runs_on, vectors=vectors)


def candidates() -> Iterator[Candidate]:
    """Phantoms, and each as a darkroom could turn it out; the same ones at every call."""
    for seed in range(FIRST_SEED, FIRST_SEED + PHANTOMS):
        plain = preprocess(decode(phantom(seed).png()))[:, :, 0] / np.float32(255)  # (224, 224)
        clouds = _stretched(np.random.default_rng(seed).random((7, 7), np.float32))
        for name, picture in (
            ("as it is", plain),
            ("negative", 1 - plain),
            ("dark", plain**2.2),
            ("bright", plain**0.45),
            ("under clouds", (plain + clouds) / 2),
            ("clouds alone", clouds),
            ("coarse", _stretched(_shrunk(plain, 20))),
            ("behind bars", plain / 4 + _bars(period_px=8 + 4 * (seed % 5))),
        ):
            yield Candidate(f"phantom {seed}, {name}", _with_few_grays(picture))


def choose(logits: npt.NDArray[np.float32], card: Card, *, count: int) -> list[int]:
    """Which candidates to take: of each decision, `inconclusive` among them, as many, from near a limit to far away.

    Args:
        logits: `(n, labels) float32`.
        card: Threshold, band and temperature.
        count: How many to take.

    Returns:
        Positions, in order.

    Raises:
        GateError: All that are safe to take have the same decision.
    """
    probabilities = softmax(logits, card.temperature)  # (n, labels)
    decided = decisions(probabilities, card)
    safe = _safe(logits, probabilities, card)
    groups = [np.flatnonzero(safe & (decided == decision)) for decision in np.unique(decided[safe])]
    if len(groups) < 2:  # noqa: PLR2004 - a decision needs another one beside it
        raise GateError(
            f"expected a model that decides drawn pictures both ways, got one answer for {int(safe.sum())} of "
            f"{len(logits)}: no golden vectors can tell a box that works from one that does not; train it anew"
        )
    closest_first = [group[np.argsort(np.ptp(logits[group], axis=1), kind="stable")] for group in groups]
    share = -(-count // len(groups))
    return sorted(int(k) for group in closest_first for k in group[_spread(len(group), share)])


def _safe(logits: npt.NDArray[np.float32], probabilities: npt.NDArray[np.float32], card: Card) -> npt.NDArray[np.bool_]:
    """Which candidates stay within the tolerance, and on their side, when a runtime rounds otherwise, `(n,) bool`."""
    moved = ROUNDING * float(np.ptp(logits, axis=1).max())
    positive = card.labels.index(card.positive)
    push = np.zeros(logits.shape[1], np.float32)
    push[positive] = moved
    safe = np.ones(len(logits), np.bool_)
    for direction in (push, -push):
        pushed = softmax(logits + direction, card.temperature)
        safe &= np.abs(pushed - probabilities).max(axis=1) <= TOLERANCE
        safe &= decisions(pushed, card) == decisions(probabilities, card)
    return safe


def _spread(length: int, count: int) -> npt.NDArray[np.int64]:
    """Positions from the first to the last of a list, all different, denser at its beginning."""
    positions = np.arange(min(count, length))
    steps = np.rint(np.linspace(0, 1, len(positions)) ** 2 * (length - len(positions))).astype(np.int64)
    return positions + steps


def _shrunk(picture: npt.NDArray[np.float32], side_px: int) -> npt.NDArray[np.float32]:
    return np.asarray(Image.fromarray(picture).resize((side_px, side_px), Image.Resampling.BOX))


def _stretched(picture: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return np.asarray(Image.fromarray(picture).resize((SIDE_PX, SIDE_PX), Image.Resampling.BICUBIC))


def _bars(*, period_px: int) -> npt.NDArray[np.float32]:
    """Bright horizontal bars, `(224, 1) float32`, 0 or 0.7."""
    rows = np.arange(SIDE_PX)[:, np.newaxis]
    return (0.7 * (rows // (period_px // 2) % 2)).astype(np.float32)


def _with_few_grays(picture: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    levels = np.rint(np.clip(picture, 0, 1) * (_GRAYS - 1))
    return np.rint(levels * (255 / (_GRAYS - 1))).astype(np.uint8)


def _png(gray: npt.NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(gray).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
