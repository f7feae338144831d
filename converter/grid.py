"""Int8's grid of values, as a head learns on it: what the file will round is rounded already while it learns.

The forward pass sees the rounded kernel, the backward pass the plain one (the straight-through estimator, Bengio et
al., 2013, arXiv:1308.3432), so a head settles on weights that lose nothing when they are written.
"""

from typing import Any, Final

import keras
import numpy as np
import numpy.typing as npt

STEPS: Final = 127
"""Between 0 and the largest weight: int8 without -128, so that the grid is symmetric, as TFLite has it."""


def rounded(kernel: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """A kernel with every weight at the nearest value that its int8 tensor can hold; one scale for all of it."""
    step = np.abs(kernel).max() / np.float32(STEPS)
    return kernel if step == 0 else np.rint(kernel / step).astype(np.float32) * step


def learning_on_grid(head: Any) -> Any:
    """A copy of a head whose dense layers see their kernels rounded.

    Args:
        head: `(n, 7, 7, C) float32` -> logits, `(n, labels) float32`, as `trainer.heads.build_head` made it.
    """
    copy = keras.models.clone_model(head, clone_function=_on_grid)
    copy.set_weights(head.get_weights())
    return copy


def settled(learned: Any, like: Any) -> Any:
    """The plain head that a head on the grid has become.

    Args:
        learned: What `learning_on_grid` returned, fitted.
        like: A head of the same layers.
    """
    plain = keras.models.clone_model(like)
    plain.set_weights([rounded(array) if array.ndim > 1 else array for array in learned.get_weights()])
    return plain


class GridDense(keras.layers.Dense):  # type: ignore[misc]  # Keras has no types
    """A dense layer that computes with its kernel rounded to int8's grid."""

    def call(self, inputs: Any, training: bool | None = None) -> Any:  # noqa: ARG002, FBT001 - Keras' signature
        """`(n, inputs) float32` -> `(n, units) float32`."""
        ops = keras.ops
        step = ops.maximum(ops.max(ops.abs(self.kernel)) / STEPS, keras.config.epsilon())
        error = ops.round(self.kernel / step) * step - self.kernel
        outputs = ops.matmul(inputs, self.kernel + ops.stop_gradient(error)) + self.bias
        return self.activation(outputs)


def _on_grid(layer: Any) -> Any:
    kind = GridDense if isinstance(layer, keras.layers.Dense) else type(layer)
    return kind.from_config(layer.get_config())
