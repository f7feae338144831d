"""Does the shipped file decide like the models it stands for? Measured in the real interpreter, on held-out images.

Two comparisons: with the refitted model (float head on the int8 backbone's features), which is what the file is meant
to be, and with the trainer's float model, which is what it replaces.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from converter.material import Material, Part
from converter.refit import INTERPRETER
from edge.bundle.bundle import Parity
from edge.classify import Classifier
from edge.decide import decide, softmax
from trainer.evaluate import auc
from trainer.features import compute_features
from trainer.heads import logits_of
from trainer.model_file import TrainedModel
from trainer.progress import progress


@dataclass(frozen=True, slots=True, eq=False)
class Probabilities:
    """What three models say of the held-out images, calibrated as on the box, `(n, labels) float32` each.

    Attributes:
        shipped: The int8 file, in the interpreter.
        refitted: The refitted float head on the int8 file's own features.
        trained: The trainer's float model.
    """

    shipped: npt.NDArray[np.float32]
    refitted: npt.NDArray[np.float32]
    trained: npt.NDArray[np.float32]


def predict(model: bytes, refitted: Any, trained: TrainedModel, held_out: Part, cache: Path) -> Probabilities:
    """Ask all three models.

    Args:
        model: Content of the shipped `.tflite`.
        refitted: The refitted head.
        trained: The trainer's float model.
        held_out: The images.
        cache: Where the float features are kept.
    """
    classifier = Classifier(model, runtime=INTERPRETER)
    shipped, again = [], []
    for images in progress(held_out.pixels.batches(1), total=len(held_out.keys), what="comparing", unit="image"):
        output = classifier.run(images[0])
        shipped.append(output.logits)
        again.append(np.asarray(refitted(output.features[np.newaxis], training=False))[0])
    features = compute_features(held_out.pixels, held_out.keys, trained.trunk, cache)
    logits = (np.stack(shipped), np.stack(again), logits_of(trained.head, features))
    return Probabilities(*(softmax(each, trained.training.operating_point.temperature) for each in logits))


def compare(probabilities: Probabilities, targets: npt.NDArray[np.int64], positive: int, threshold: float) -> Parity:
    """Condense three models' probabilities to the figures of the card.

    Args:
        probabilities: Of the same images.
        targets: `(n,)`, index of each image's true label.
        positive: Index of the label that is looked for.
        threshold: That label is decided from this probability on, 0-1.
    """
    shipped, refitted, trained = (
        decide(each, positive, threshold)
        for each in (probabilities.shipped, probabilities.refitted, probabilities.trained)
    )
    areas = [auc(p[:, positive], targets == positive) for p in (probabilities.trained, probabilities.shipped)]
    return Parity(
        n=len(targets),
        agreement=float((shipped == refitted).mean()),
        max_probability_shift=float(np.abs(probabilities.shipped - probabilities.refitted).max()),
        float_agreement=float((shipped == trained).mean()),
        accuracy_drop=float((trained == targets).mean() - (shipped == targets).mean()),
        auc_drop=(areas[0] or 0.0) - (areas[1] or 0.0),
    )


def measure(shipped: bytes, head: Any, material: Material, cache: Path) -> tuple[Parity, Probabilities]:
    """Ask all three models about the held-out images and compare their decisions at the operating point.

    Args:
        shipped: Content of the shipped `.tflite`.
        head: The refitted head.
        material: The trainer's model and the held-out images.
        cache: Where the float features are kept.
    """
    training = material.trained.training
    probabilities = predict(shipped, head, material.trained, material.held_out, cache)
    positive = training.labels.index(training.positive)
    threshold = training.operating_point.threshold
    return compare(probabilities, material.held_out.targets, positive, threshold), probabilities
