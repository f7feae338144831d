"""A trained network -> a `.tflite`: full int8 for the box, raw uint8 in, float32 logits and features out; or float.

The batch is fixed to one: a dynamic batch leaves operators in the graph that keep XNNPACK from taking it whole.
"""

import contextlib
import io
import re
import warnings
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf
from tensorflow.lite.python.convert_phase import ConverterError

from converter.calibrate import spanning
from converter.flatbuffer import bytes_of, tree_of
from converter.requantize import narrow, rounded_alike
from converter.span import Span
from edge.errors import DataError
from trainer.progress import progress


def quantize(trunk: Any, head: Any, sample: npt.NDArray[np.uint8], span: Span | None = None) -> bytes:
    """Convert a network to full int8.

    Args:
        trunk: `(n, 224, 224, 3) float32, RGB, 0-255` -> `(n, 7, 7, C) float32`.
        head: `(n, 7, 7, C) float32` -> logits, `(n, labels) float32`.
        sample: `(n, 224, 224, 3) uint8`, the calibration images.
        span: Of the logits; None for that of the calibration images.

    Returns:
        The content of a `.tflite` file.

    Raises:
        DataError: The network has a layer that int8 TensorFlow Lite cannot express.
    """
    converter = _converter(trunk, head)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: _one_by_one(spanning(sample))
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.uint8
    converter.inference_output_type = tf.float32
    # FULLY_CONNECTED with a scale per row is version 12, which tflite-runtime 2.14 does not know.
    converter._experimental_disable_per_channel_quantization_for_dense_layers = True  # noqa: SLF001 - no public switch
    tree = tree_of(_convert(converter))
    if span is not None:
        narrow(tree, span)
    rounded_alike(tree, tree_of(float_model(trunk, head)))
    return bytes_of(tree)


def float_model(trunk: Any, head: Any) -> bytes:
    """Convert a network without rounding anything, for comparison; its input is float32, RGB, 0-255.

    Args:
        trunk: `(n, 224, 224, 3) float32, RGB, 0-255` -> `(n, 7, 7, C) float32`.
        head: `(n, 7, 7, C) float32` -> logits, `(n, labels) float32`.

    Raises:
        DataError: The network has a layer that TensorFlow Lite cannot express.
    """
    return _convert(_converter(trunk, head))


def _converter(trunk: Any, head: Any) -> Any:
    pixels = keras.Input(batch_shape=(1, *trunk.input_shape[1:]), name="pixels")
    features = trunk(pixels)
    network = keras.Model(pixels, {"logits": head(features), "features": features})
    return tf.lite.TFLiteConverter.from_keras_model(network)


def _convert(converter: Any) -> bytes:
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):  # stdout belongs to --json
        # The converter says so of every int8 model with uint8 input; `edge.classify` makes sure of what it doubts.
        warnings.filterwarnings("ignore", "Statistics for quantized inputs were expected", UserWarning)
        try:
            model: bytes = converter.convert()
        except (ConverterError, RuntimeError) as error:
            raise DataError(
                f"TensorFlow Lite cannot express this network ({_cause(error)}); train one whose layers are "
                "convolutions, pooling, normalisation, dense layers and common activations"
            ) from error
    return model


def _cause(error: Exception) -> str:
    operators = sorted(set(re.findall(r"'tf\.(\w+)' op is neither", str(error))))
    return f"it has no {', '.join(operators)}" if operators else str(error).strip().partition("\n")[0][:200]


def _one_by_one(sample: npt.NDArray[np.uint8]) -> Iterator[list[npt.NDArray[np.float32]]]:
    for image in progress(sample, total=len(sample), what="calibrating", unit="image"):
        yield [image[np.newaxis].astype(np.float32)]  # (1, 224, 224, 3)
