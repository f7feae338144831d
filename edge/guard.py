"""Is this a picture the box can assess? If not, it says so instead of naming a class.

Two questions, each with its own sentence for the person at the box. `examine` looks at the picture's own statistics
before the network runs. `Guard.judge` looks at the network's features after it: at their direction, for their length
says more of a film's contrast than of what it shows. Every kind of picture the guard knows, a chest from the front
among them, is a cloud of directions with a centre; a picture far from all of them is none of them (Mahalanobis distance
with a shrunken covariance, as in Lee et al., 2018, arXiv:1807.03888, on normalised features, as in Mueller and Hein's
Mahalanobis++, 2025; and the distance from the space they span). The trainer finds the clouds, the bundle carries them.

Invariant: a refusal always comes with a sentence.
"""

from dataclasses import dataclass
from typing import Final, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from edge.errors import BundleError
from edge.study import Prepared

MIN_SIDE_PX: Final = 96
"""Below this a lung is a few dozen pixels wide, and the network would see little but interpolation."""
MIN_CONTRAST: Final = 8.0
"""Gray levels; the faintest of the 1,000 radiographs the project was measured on has 25."""
BLACK: Final = 2
WHITE: Final = 253
"""A pixel up to the one or from the other on is saturated; a JPEG blurs the ends by a level or two."""
_LEVELS: Final = np.arange(256.0)
_LEAST_LENGTH: Final = np.float32(1e-12)

CHEST: Final = "chest"
"""The kind of picture that is assessed."""
INVERTED: Final = "inverted"
SIDEWAYS: Final = "sideways"
UPSIDE_DOWN: Final = "upside-down"
FRAGMENT: Final = "fragment"
REASONS: Final = {
    INVERTED: "the picture looks like a negative: air should be dark and bone bright; send it not inverted",
    SIDEWAYS: "the picture seems to lie on its side; turn it so that the head is up, and send it again",
    UPSIDE_DOWN: "the picture seems to be upside down; turn it so that the head is up, and send it again",
    FRAGMENT: "the picture seems to show a small part of a chest only; send the whole film",
}
"""Kind of picture to what the person at the box is told."""
STRANGE: Final = (
    "this does not look like a chest X-ray from the front that can be assessed here; check that it is the right picture"
)

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a picture can be assessed.

    Attributes:
        scores: Name to value of what was measured.
        reason: Why it cannot, in a sentence for a person; None where it can.
    """

    scores: dict[str, float]
    reason: str | None


def examine(prepared: Prepared) -> Verdict:
    """Judge one picture by itself: what the network would see of it, and how large it was at its source."""
    side_px = min(prepared.source_width_px, prepared.source_height_px)
    scores = {"side_px": float(side_px), **exposure(prepared.pixels)}
    contrast = scores["contrast"]
    if side_px < MIN_SIDE_PX:
        return Verdict(scores, f"the shorter side has {side_px} pixels, at least {MIN_SIDE_PX} are needed")
    if contrast < MIN_CONTRAST:
        return Verdict(
            scores, f"the picture is nearly blank (contrast {contrast:.1f}, at least {MIN_CONTRAST:g} needed)"
        )
    return Verdict(scores, None)


def both(first: Verdict, second: Verdict) -> Verdict:
    """Two looks at one picture as one verdict; the first reason counts."""
    return Verdict({**first.scores, **second.scores}, first.reason or second.reason)


def exposure(pixels: npt.NDArray[np.uint8]) -> dict[str, float]:
    """How bright a picture is, how far its gray levels lie apart, and which share of it is black and white.

    Args:
        pixels: `(224, 224, 3) uint8`, gray repeated three times, 0-255.
    """
    counts = np.bincount(pixels[:, :, 0].ravel(), minlength=256)  # (256,)
    shares = counts / counts.sum()
    brightness = float(shares @ _LEVELS)
    return {
        "brightness": round(brightness, 2),
        "contrast": round(float(np.sqrt(shares @ (_LEVELS - brightness) ** 2)), 2),
        "black": round(float(shares[: BLACK + 1].sum()), 4),
        "white": round(float(shares[WHITE:].sum()), 4),
    }


def direction(features: Floats) -> Floats:
    """Features averaged over the picture, of length 1, `(..., C) float32`, of feature maps `(..., 7, 7, C)`.

    Where nothing is seen at all, the result is 0.
    """
    means: Floats = features.mean(axis=(-3, -2), dtype=np.float32)
    lengths: Floats = np.linalg.norm(means, axis=-1, keepdims=True)
    return means / np.maximum(lengths, _LEAST_LENGTH)


class Guard(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """The clouds, as the bundle's `guard.json` holds them; arrays are little-endian float32 in base64.

    Attributes:
        of: What is judged; a guard that was fitted on anything else is not read.
        kinds: Names of the clouds, `CHEST` first; K in number.
        margin: How much nearer another centre must be than the chests', in squared distance, for a picture to be of
            that kind; where the network can hardly tell the two apart it is large.
        limits: Of each cloud: the squared distance from its centre, and the squared distance from the space that all
            span, up to which a picture is one of them.
        origin: `(C,)`, a point of that space.
        basis: `(D, C)`, its orthonormal directions.
        whitening: `(D, D)`: behind it every cloud is a ball of radius 1.
        centres: `(K, D)`, behind the whitening.
    """

    of: Literal["directions"]
    kinds: tuple[str, ...]
    margin: float
    limits: tuple[tuple[float, float], ...]
    origin: bytes
    basis: bytes
    whitening: bytes
    centres: bytes

    def __post_init__(self) -> None:
        """Refuse parameters that do not fit together; msgspec turns this into an error of the decoder."""
        if self.kinds[:1] != (CHEST,) or not set(self.kinds[1:]) <= set(REASONS):
            raise ValueError(f"kinds must be {CHEST!r} and then some of {', '.join(REASONS)}, got {self.kinds!r}")
        if len(self.kinds) < 2 or not 0 <= self.margin < np.inf:  # noqa: PLR2004 - chests and something else
            raise ValueError(f"expected two kinds or more and a margin from 0 on, got {self.kinds!r}, {self.margin!r}")
        if len(self.limits) != len(self.kinds) or min(min(pair) for pair in self.limits) <= 0:
            raise ValueError(f"limits must be two positive numbers for each of {self.kinds!r}, got {self.limits!r}")
        rows, columns = len(self.centres) // (4 * len(self.kinds)), len(self.origin) // 4
        sizes = [len(self.origin), len(self.basis), len(self.whitening), len(self.centres)]
        expected = [4 * size for size in (columns, rows * columns, rows * rows, len(self.kinds) * rows)]
        if rows == 0 or columns == 0 or sizes != expected:
            raise ValueError(f"origin, basis, whitening and centres must have {expected} bytes, got {sizes}")

    @classmethod
    def from_json(cls, content: bytes) -> "Guard":
        """Read a bundle's `guard.json`.

        Raises:
            BundleError: It is not one this version reads.
        """
        try:
            return msgspec.json.decode(content, type=cls)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BundleError(f"guard.json is not one this version reads: {error}; convert the model again") from error

    def to_json(self) -> bytes:
        """What goes into a bundle."""
        return msgspec.json.encode(self)

    @property
    def channels(self) -> int:
        """Of the feature maps that are judged."""
        return len(self.origin) // 4

    def judge(self, features: Floats) -> Verdict:
        """Judge one picture by what the network saw in it.

        Args:
            features: `(7, 7, C) float32`.

        Returns:
            `strangeness`, the distance from what the model learned from: up to 1 is within the limit.
        """
        apart, outside = self.distances(direction(features)[np.newaxis])
        shares = self.strangeness(apart, outside)[0]  # (K,)
        scores = {"strangeness": round(float(shares[0]), 4)}
        kind = int(apart[0].argmin()) if lead(apart)[0] > self.margin else 0
        return Verdict(scores, STRANGE if shares[kind] > 1 else REASONS.get(self.kinds[kind]))

    def strangeness(self, apart: Floats, outside: Floats) -> Floats:
        """How far some pictures are from each cloud, as a share of its limit, `(n, K) float32`, from `distances`."""
        limits = np.array(self.limits, np.float32)  # (K, 2)
        shares: Floats = np.sqrt(np.maximum(apart / limits[:, 0], outside[:, np.newaxis] / limits[:, 1]))
        return shares

    def distances(self, directions: Floats) -> tuple[Floats, Floats]:
        """Squared distances of some pictures, from the centres, `(n, K)`, and from the space they span, `(n,)`."""
        size = self.channels
        basis = np.frombuffer(self.basis, "<f4").reshape(-1, size)
        whitening = np.frombuffer(self.whitening, "<f4").reshape(len(basis), len(basis))
        centres = np.frombuffer(self.centres, "<f4").reshape(len(self.kinds), -1)
        moved = directions - np.frombuffer(self.origin, "<f4")  # (n, C)
        inside = moved @ basis.T  # (n, D)
        outside = np.maximum(np.square(moved).sum(axis=1) - np.square(inside).sum(axis=1), 0)
        apart = np.square((inside @ whitening)[:, np.newaxis] - centres).sum(axis=2)  # (n, K)
        return apart, outside


def lead(apart: Floats) -> Floats:
    """How much nearer the nearest other centre is than the chests', `(n,)`, from squared distances, `(n, K)`."""
    ahead: Floats = apart[:, 0] - apart[:, 1:].min(axis=1)
    return ahead
