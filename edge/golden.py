"""Does the model decide on this box as it did where it was made? Known inputs, rerun on the box's own processor.

A wrong instruction or a wrong kernel in a runtime gives no error: it gives other answers, or one answer for every
image. So a bundle carries a few pictures with the logits that the converter saw (`golden.json`), and no `Assessor` is
built on a box that answers them otherwise. The pictures are drawn, never taken of a person (docs/adr/0011).
"""

import io
from dataclasses import dataclass
from typing import Annotated, Final, Literal, Self

import msgspec
import numpy as np
import numpy.typing as npt
from PIL import Image

from edge.bundle.bundle import GOLDEN_NAME, Bundle, Card
from edge.classify import Classifier
from edge.decide import decide, is_inconclusive, softmax
from edge.errors import BundleError, OtherAnswersError
from edge.preprocess import SIDE_PX

TOLERANCE: Final = 0.02
"""How far a probability may lie from the one that the converter saw, on any processor and runtime."""
_SPELT: Final = 4
"""Digits of a probability in a message."""


class Vector(msgspec.Struct, frozen=True, kw_only=True):
    """One input and what the model said of it.

    Attributes:
        name: What the picture is, in words.
        picture: PNG, 224 x 224 pixels of 8 bits gray, as it goes into the network; base64 in JSON.
        logits: In the order of the card's labels.
    """

    name: str
    picture: bytes
    logits: Annotated[tuple[float, ...], msgspec.Meta(min_length=2)]

    @property
    def pixels(self) -> npt.NDArray[np.uint8]:
        """The network's input, `(224, 224, 3) uint8, RGB, 0-255`.

        Raises:
            BundleError: The picture is not a PNG of that size.
        """
        try:
            with Image.open(io.BytesIO(self.picture), formats=["PNG"]) as image:
                if (image.size, image.mode) != ((SIDE_PX, SIDE_PX), "L"):  # before anything is unfolded
                    raise BundleError(
                        f"expected golden pictures of {SIDE_PX} x {SIDE_PX} gray pixels, got {image.size} {image.mode}"
                    )
                gray = np.asarray(image)  # (224, 224)
        except (OSError, SyntaxError, ValueError) as error:
            raise BundleError(
                f"the golden picture {self.name!r} cannot be read: {error}; make the bundle anew"
            ) from error
        return np.repeat(gray[:, :, np.newaxis], 3, axis=2)


class Golden(msgspec.Struct, frozen=True, kw_only=True):
    """The bundle's entry `golden.json`.

    Attributes:
        made_with: Runtime and processor that gave the logits, in words.
        vectors: Inputs on both sides of the threshold.
        schema: `xray.golden/1`.
    """

    made_with: str
    vectors: Annotated[tuple[Vector, ...], msgspec.Meta(min_length=1, max_length=64)]
    schema: Literal["xray.golden/1"] = "xray.golden/1"

    @classmethod
    def from_json(cls, content: bytes) -> Self:
        """Read the entry.

        Raises:
            BundleError: It is not one this version reads.
        """
        try:
            return msgspec.json.decode(content, type=cls)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise BundleError(f"{GOLDEN_NAME} is not one this version reads: {error}") from error

    def to_json(self) -> bytes:
        """The entry's bytes."""
        return msgspec.json.encode(self) + b"\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rerun:
    """How a box's answers compare with the converter's.

    Attributes:
        n: Number of inputs.
        differing: How many are decided otherwise.
        max_probability_shift: Largest difference of a probability.
        all_alike: Whether the box gave the same answer to every input, which the converter did not.
        runtime: That ran here.
        made_with: What gave the answers they are compared with.
    """

    n: int
    differing: int
    max_probability_shift: float
    all_alike: bool
    runtime: str
    made_with: str

    @property
    def passed(self) -> bool:
        """Whether the model decides here as it did there."""
        return self.differing == 0 and self.max_probability_shift <= TOLERANCE

    def __str__(self) -> str:
        """What was found, in one sentence."""
        if self.passed:
            return (
                f"{self.n} known pictures are decided as where the model was made, "
                f"no probability differs by more than {self.max_probability_shift:.{_SPELT}f}"
            )
        alike = " Every picture got the same answer." if self.all_alike else ""
        return (
            f"{self.differing} of {self.n} known pictures are decided otherwise than where the model was made "
            f"({self.made_with}), a probability differs by {self.max_probability_shift:.{_SPELT}f} "
            f"(allowed: {TOLERANCE}).{alike}"
        )


def rerun(golden: Golden, classifier: Classifier, card: Card) -> Rerun:
    """Ask the model of this box what it was asked where it was made.

    Raises:
        BundleError: A golden picture cannot be read, or its logits do not fit the card.
    """
    wrong = [vector.name for vector in golden.vectors if len(vector.logits) != len(card.labels)]
    if wrong:
        raise BundleError(
            f"the golden logits of {wrong[0]!r} do not fit the labels {card.labels}; make the bundle anew"
        )
    there = np.array([vector.logits for vector in golden.vectors], np.float32)  # (n, labels)
    here = np.stack([classifier.run(vector.pixels).logits for vector in golden.vectors])
    expected, found = (softmax(logits, card.temperature) for logits in (there, here))
    shifts = np.abs(expected - found)
    return Rerun(
        n=len(there),
        differing=int((decisions(expected, card) != decisions(found, card)).sum()),
        max_probability_shift=float(np.nan_to_num(shifts, nan=1.0).max()),
        all_alike=bool((here == here[0]).all() and (there != there[0]).any()),
        runtime=classifier.runtime,
        made_with=golden.made_with,
    )


def decisions(probabilities: npt.NDArray[np.float32], card: Card) -> npt.NDArray[np.int64]:
    """Index of the decided label, or -1 for `inconclusive`, `(n,) int64`.

    Args:
        probabilities: `(n, labels) float32`.
        card: Threshold and band.
    """
    positive = card.labels.index(card.positive)
    labels = decide(probabilities, positive, card.threshold)
    return np.where(is_inconclusive(probabilities, positive, card.band), -1, labels)


def prove(bundle: Bundle, classifier: Classifier) -> Rerun | None:
    """Refuse to go on where the model decides otherwise than where it was made.

    Returns:
        What was found; None where the bundle is an older one and carries no known inputs.

    Raises:
        OtherAnswersError: The answers differ.
        BundleError: The golden entry cannot be read.
    """
    if bundle.golden is None:
        return None
    found = rerun(Golden.from_json(bundle.golden), classifier, bundle.card)
    if not found.passed:
        raise OtherAnswersError(f"{bundle.model_id} on {found.runtime}: {found} Nothing was assessed; {CURE}")
    return found


CURE: Final = (
    "run `edge-agent check`, install the newest ai-edge-litert (or choose another with --runtime), "
    "and do not use this box until the check passes"
)
"""What to do on a box that answers otherwise."""
