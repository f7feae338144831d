"""The layers behind the backbone, and how they learn. The converter refits a head by the same function.

Invariant: the same features, labels, start and seed give the same head.
"""

import gc
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import keras
import numpy as np
import numpy.typing as npt

from trainer.progress import progress
from trainer.store import Rows

PAPER_UNITS: Final = (512, 256)
"""Hidden layers of the paper's head."""
BATCH_NORM_MOMENTUM: Final = 0.9
"""Of the running mean and variance, where the backbone learns too."""
_BATCH: Final = 32
"""Images in memory at one time, where it is not the recipe that says."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long and how fast a head learns.

    Attributes:
        epochs: Passes over the features.
        batch: Images per step.
        learning_rate: Adam's (Kingma and Ba, 2015, arXiv:1412.6980).
        seed: Of the order in which images are seen.
    """

    epochs: int
    batch: int
    learning_rate: float
    seed: int


def root_mean_square(features: Rows) -> float:
    """How large features are, over all images, positions and channels."""
    batches = _batches(features, what="measuring")
    squares = sum(float(np.square(rows, dtype=np.float64).sum()) for rows in batches)
    return float(np.sqrt(squares / (len(features) * np.prod(features.row_shape)))) or 1.0


def build_head(
    kind: str, features_shape: tuple[int, int, int], labels: int, *, seed: int, features_rms: float = 1.0
) -> Any:
    """A head with random weights: `(n, 7, 7, C) float32` -> logits, `(n, labels) float32`.

    Args:
        kind: `paper` or `gap`.
        features_shape: Height, width and channels of the feature map.
        labels: Number of classes.
        seed: Of the weights (Glorot uniform, Keras' default).
        features_rms: How large the features are that it will learn from; the first layer starts smaller by this factor.
    """
    pooling = {"paper": keras.layers.Flatten, "gap": keras.layers.GlobalAveragePooling2D}[kind]
    units = PAPER_UNITS if kind == "paper" else ()
    hidden = [
        keras.layers.Dense(count, activation="relu", kernel_initializer=_glorot(seed, position), name=f"dense_{count}")
        for position, count in enumerate(units)
    ]
    logits = keras.layers.Dense(labels, kernel_initializer=_glorot(seed, len(units)), name="logits")
    head = keras.Sequential([keras.Input(features_shape), pooling(name=kind), *hidden, logits], name="head")
    head.set_weights(_first_scaled(head.get_weights(), 1 / features_rms))
    return head


def fit_head(
    head: Any,
    versions: Sequence[Rows],
    targets: npt.NDArray[np.int64],
    schedule: Schedule,
    *,
    what: str,
    features_rms: float | None = None,
) -> Any:
    """Fit a copy of a head by categorical cross-entropy on one-hot labels.

    The features are brought to a root mean square of 1 while it learns, and the factor is folded into the first layer
    afterwards, so the head's layers stay the published ones. Adam's steps do not depend on the size of the gradient: on
    VGG19's features, some of which are near 100, the first few would throw the weights far beyond any use.

    Args:
        head: The start, as `build_head` returns it; it is left as it is.
        versions: The images' features, each `(n, 7, 7, C) float32`: as they are, or of augmented copies, or both.
            Epoch e learns from entry e modulo their number.
        targets: `(n,)`, index of each image's label.
        schedule: How long and how fast.
        what: Said beside the progress bar.
        features_rms: What `root_mean_square` says of the first version; measured where not given.

    Returns:
        The fitted copy.
    """
    rms = features_rms or root_mean_square(versions[0])
    learning, inputs = keras.models.clone_model(head), list(versions)
    learning.set_weights(_first_scaled(head.get_weights(), rms))
    if isinstance(head.layers[0], keras.layers.GlobalAveragePooling2D):  # it learns nothing: done once, not each epoch
        inputs = [_pooled(rows) for rows in versions]
        learning = keras.Sequential([keras.Input(inputs[0].row_shape), *learning.layers[1:]])
    _compile(learning, rate=schedule.learning_rate, fuse=True)
    _fit(learning, inputs, targets, schedule, scale=1 / rms, what=what)
    fitted = keras.models.clone_model(head)
    fitted.set_weights(_first_scaled(learning.get_weights(), 1 / rms))
    del learning  # with Adam's moments it is three times the head; Keras ties it into rings that only this call undoes
    gc.collect()
    return fitted


def fit_whole(
    trunk: Any, head: Any, pixels: Rows, targets: npt.NDArray[np.int64], schedule: Schedule, *, what: str
) -> Any:
    """Fit backbone and head together, in place, at a rate that falls to 0 along half a cosine.

    BatchNorm learns the data's statistics: over ten steps instead of Keras' hundred, for these runs are short.

    Args:
        trunk: Pixels -> features.
        head: Features -> logits.
        pixels: `(n, 224, 224, 3) uint8, RGB, 0-255`.
        targets: `(n,)`, index of each image's label.
        schedule: How long and how fast.
        what: Said beside the progress bar.

    Returns:
        The two as one model: pixels -> logits.
    """
    whole = keras.Model(trunk.input, head(trunk.output))
    for layer in trunk.get_layer("backbone").layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = BATCH_NORM_MOMENTUM
    steps = schedule.epochs * -(-len(pixels) // schedule.batch)
    rate = keras.optimizers.schedules.CosineDecay(schedule.learning_rate, steps)
    _compile(whole, rate=rate, fuse=False)
    _fit(whole, [pixels], targets, schedule, scale=1, what=what)
    return whole


def fit_blocks(
    upper: Any, head: Any, versions: Sequence[Rows], targets: npt.NDArray[np.int64], schedule: Schedule, *, what: str
) -> Any:
    """Fit the last blocks of a backbone together with a head that has learned already, in place.

    BatchNorm stays in inference mode: its statistics come from far more images than there are here.

    Args:
        upper: What enters the blocks -> features.
        head: Features -> logits.
        versions: What enters the blocks, each `(n, H, W, C) float32`, as in `fit_head`.
        targets: `(n,)`, index of each image's label.
        schedule: How long and how fast.
        what: Said beside the progress bar.

    Returns:
        The two as one model: what enters the blocks -> logits.
    """
    for layer in upper.layers:
        layer.trainable = not isinstance(layer, keras.layers.BatchNormalization)
    whole = keras.Model(upper.input, head(upper.output))
    _compile(whole, rate=schedule.learning_rate, fuse=False)
    _fit(whole, versions, targets, schedule, scale=1, what=what)
    return whole


def logits_of(model: Any, rows: Rows) -> npt.NDArray[np.float32]:
    """What a head says of features, or a whole network of pixels, `(n, labels) float32`."""
    batches = _batches(rows, what="asking")
    return np.concatenate([np.asarray(model(chunk.astype(np.float32), training=False)) for chunk in batches])


def _pooled(features: Rows) -> Rows:
    """Each image's features averaged over its positions, `(n, C) float32`, in memory."""
    means = np.concatenate([rows.mean(axis=(1, 2)) for rows in _batches(features, what="pooling")])
    return Rows(means, np.arange(len(means)))


def _batches(rows: Rows, *, what: str) -> Iterator[npt.NDArray[Any]]:
    return progress(rows.batches(_BATCH), total=-(-len(rows) // _BATCH), what=what, unit="batch")


def _first_scaled(weights: list[npt.NDArray[np.float32]], factor: float) -> list[npt.NDArray[np.float32]]:
    """A head's weights with the first kernel multiplied by a factor."""
    return [weights[0] * np.float32(factor), *weights[1:]]


def _glorot(seed: int, position: int) -> Any:
    return keras.initializers.GlorotUniform(seed=seed * 16 + position)


class OneDeviceAdam(keras.optimizers.Adam):  # type: ignore[misc]  # Keras has no types
    """Adam (Kingma and Ba, 2015) that gives its memory back.

    Keras sums the gradients over devices, also where there is one, by a function that TensorFlow registers for ever,
    and with it all weights and moments: 300 MB for each of the paper's heads.
    """

    def _all_reduce_sum_gradients(self, grads_and_vars: Any) -> Any:
        return grads_and_vars


def _compile(model: Any, *, rate: Any, fuse: bool) -> None:
    model.compile(
        optimizer=OneDeviceAdam(rate),
        loss=keras.losses.CategoricalCrossentropy(from_logits=True),
        jit_compile=fuse,  # XLA fuses Adam into one pass over the weights; its convolutions are slower than oneDNN's
    )


def _fit(
    model: Any,
    versions: Sequence[Rows],
    targets: npt.NDArray[np.int64],
    schedule: Schedule,
    *,
    scale: float,
    what: str,
) -> None:
    onehot = keras.utils.to_categorical(targets, model.output_shape[-1])
    generator = np.random.default_rng(schedule.seed)
    for epoch in progress(range(schedule.epochs), total=schedule.epochs, what=what, unit="epoch"):
        rows = versions[epoch % len(versions)]
        order = generator.permutation(len(rows))
        for start in range(0, len(order), schedule.batch):
            chosen = order[start : start + schedule.batch]
            model.train_on_batch(rows.take(chosen) * np.float32(scale), onehot[chosen])
