"""Training images and the int8 model -> the guard that the bundle carries, fitted on what the box will see.

With it come the card's deciles: how bright and how strange pictures were when the model learned.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from converter.material import Part
from converter.reference import reference
from converter.refit import INTERPRETER, int8_features
from edge.bundle.bundle import TRAINED_ON_DIGITS, Bundle, read_bundle
from edge.classify import Classifier
from edge.errors import DataError
from edge.guard import Floats, direction, exposure
from trainer.dataset import read_dataset
from trainer.features import decode_images
from trainer.guard import Fitted, fit_guard, spoiled
from trainer.progress import progress

MOST_IMAGES: Final = 1000
"""Training images that the guard learns from, where there are more."""
MOST_SPOILED: Final = 150
"""Of them, those that are also shown to it spoiled in each way."""
_BATCH: Final = 32


@dataclass(frozen=True, slots=True)
class Guarding:
    """What the guard's fitting adds to a bundle.

    Attributes:
        guard: Content of `guard.json`.
        reference: Deciles for the card.
    """

    guard: bytes
    reference: dict[str, tuple[float, ...]]


def guarding(model: bytes, learned: Part, cache: Path) -> Guarding:
    """Fit the guard on the features that a model file gives in the real interpreter.

    Args:
        model: Content of a `.tflite` with the bundle's backbone; the head does not matter.
        learned: The images that the bundle's model learned from.
        cache: The cache's root.

    Raises:
        DataError: There are too few images.
    """
    chosen = _sample(learned, MOST_IMAGES)
    chests = np.concatenate([direction(rows) for rows in int8_features(model, chosen, cache).batches(_BATCH)])
    fitted = _fitted(model, chosen, chests)
    scores = (
        {**exposure(image[0]), "strangeness": float(strangeness)}
        for image, strangeness in zip(chosen.pixels.batches(1), fitted.strangeness, strict=True)
    )
    return Guarding(fitted.guard.to_json(), reference(scores))


def with_guard(bundle: Bundle, found: Guarding) -> Bundle:
    """The bundle with a guard in place of any that it had; unsigned, because it is another one."""
    card = msgspec.structs.replace(bundle.card, reference=found.reference)
    return replace(bundle, card=card, guard=found.guard, signature=None, signer=None)


def guard_again(path: Path, data: Path, cache: Path) -> Bundle:
    """A bundle with a guard fitted anew on those images of DATA that its model learned from.

    Raises:
        ConfigError: There is no such bundle.
        BundleError: The bundle is not what the converter wrote.
        DataError: DATA holds too few images that the model learned from, or an unreadable one.
    """
    bundle = read_bundle(path)
    digits, width = bundle.card.trained_on, TRAINED_ON_DIGITS
    known = frozenset(digits[start : start + width] for start in range(0, len(digits), width))
    dataset = read_dataset(data)
    learned = dataset.only(key for key in dataset.keys if key[:width] in known)
    if not learned.items:
        raise DataError(f"{bundle.model_id} learned from none of the images in {data}; name the data it learned from")
    learned, pixels = decode_images(learned, cache, skip_bad=False)
    part = Part(learned, pixels, learned.targets(bundle.card.labels))
    return with_guard(bundle, guarding(bundle.model, part, cache))


def _fitted(model: bytes, chosen: Part, chests: Floats) -> Fitted:
    classifier = Classifier(model, runtime=INTERPRETER)
    kinds: list[str] = []
    others: list[Floats] = []
    some = _sample(chosen, MOST_SPOILED)
    for film in progress(_films(some), total=len(some.keys), what="spoiled films", unit="film"):
        for kind, picture in spoiled(film, np.random.default_rng(len(kinds))):
            kinds.append(kind)
            others.append(direction(classifier.run(np.repeat(picture[:, :, np.newaxis], 3, axis=2)).features))
    return fit_guard(chests, np.stack(others), kinds)


def _films(part: Part) -> Iterator[npt.NDArray[np.uint8]]:
    return (image[0, :, :, 0] for image in part.pixels.batches(1))


def _sample(part: Part, most: int) -> Part:
    """Up to so many of the images, drawn evenly, in their order."""
    chosen = np.zeros(len(part.keys), np.bool_)
    chosen[np.random.default_rng(0).permutation(len(chosen))[:most]] = True
    keys = [key for key, taken in zip(part.keys, chosen, strict=True) if taken]
    return Part(part.images.only(keys), part.pixels.select(chosen), part.targets[chosen])
