"""A quantized `.tflite` and the same network in float32 -> int8 whose sums every runtime brings back to the same steps.

TensorFlow's converter scales each channel's weights so that its largest is 127, which makes the multipliers what they
happen to be. Here each becomes the next one by which all runtimes round alike (`converter.rounding`), less than a
percent larger for most channels, and the weights are rounded anew from what they were in float32. A convolution has a
scale of weights for each channel; a dense layer has one for all, so there the output's scale gives way.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

from converter.flatbuffer import CONVOLUTIONS, kind_of
from converter.rounding import output_scale, weights_scale
from converter.span import Span
from converter.units import in_steps

_DENSE: Final = schema.BuiltinOperator.FULLY_CONNECTED
_READERS: Final = {_DENSE, schema.BuiltinOperator.DEQUANTIZE}
"""Operators for which the scale of what they read can be changed."""
_TOP: Final = 127
_BIAS_TOP: Final = 2**31 - 1
_SMALLEST: Final = 1e-6
"""Width of a span, where all logits are the same."""


@dataclass(frozen=True, slots=True, eq=False)
class _Convolution:
    """A convolution of the quantized graph, with what it computes in float32, for inputs and outputs in steps.

    Attributes:
        operator: Of the quantized graph.
        weights: `(outputs, ...)`, steps of the output for each step of the input.
        bias: `(outputs,)`, steps of the output.
    """

    operator: Any
    weights: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float64]


def rounded_alike(tree: Any, exact: Any) -> None:
    """Change a quantized model's tree in place; what lies between its convolutions is counted in steps, too.

    Args:
        tree: The quantized model, `schema.ModelT`, as TensorFlow's converter wrote it.
        exact: The same network, converted to float32.
    """
    convolutions = list(_convolutions(tree, exact))
    in_steps(tree)  # only now is a multiplier one float of its own, not the product of three
    for each in convolutions:
        _requantize(tree, each)
    for operator, in_float in _pairs(tree, exact, {_DENSE}):
        _stretch(tree, operator)
        if operator.inputs[2] >= 0:
            _rebias(tree, operator, _array(exact, in_float.inputs[2]).astype(np.float64))


def narrow(tree: Any, span: Span) -> None:
    """Lay the 256 values of a quantized model's logits over a span; what is beyond is cut.

    Args:
        tree: The quantized model, `schema.ModelT`, whose last dense layer makes the logits.
        span: Of the logits.
    """
    graph = tree.subgraphs[0]
    last = [operator for operator in graph.operators if kind_of(tree, operator) == _DENSE][-1]
    made = graph.tensors[last.outputs[0]].quantization
    step = max(span.most - span.least, _SMALLEST) / (2 * _TOP + 1)
    made.scale = np.array([step], np.float32)
    made.zeroPoint = np.rint(np.array([-_TOP - 1 - span.least / step])).clip(-_TOP - 1, _TOP).astype(np.int64)


def _pairs(tree: Any, exact: Any, kinds: set[int]) -> Iterator[tuple[Any, Any]]:
    """Operators of some kinds in both trees, which have them in the same order."""
    ours, theirs = ([each for each in of.subgraphs[0].operators if kind_of(of, each) in kinds] for of in (tree, exact))
    return zip(ours, theirs, strict=True)


def _convolutions(tree: Any, exact: Any) -> Iterator[_Convolution]:
    tensors = tree.subgraphs[0].tensors
    for operator, in_float in _pairs(tree, exact, CONVOLUTIONS):
        source, weights, _ = operator.inputs
        step_in, step_out = _scale(tensors[source]), _scale(tensors[operator.outputs[0]])
        kernel, bias = (_array(exact, index) for index in in_float.inputs[1:])
        yield _Convolution(
            operator,
            np.moveaxis(kernel, tensors[weights].quantization.quantizedDimension, 0) * (step_in / step_out),
            bias / np.float64(step_out),
        )


def _requantize(tree: Any, convolution: _Convolution) -> None:
    """Write a convolution's weights, bias and their scales anew."""
    tensors = tree.subgraphs[0].tensors
    source, weights, bias = (tensors[index] for index in convolution.operator.inputs)
    step_in, step_out = _scale(source), _scale(tensors[convolution.operator.outputs[0]])
    kernel = convolution.weights  # (outputs, ...)
    least = np.abs(kernel.reshape(len(kernel), -1)).max(axis=1).astype(np.float64) / _TOP
    scales = np.array([weights_scale(each, step_in, step_out) for each in least])  # (outputs,) float32
    multipliers = np.float64(step_in) * scales / step_out
    rounded = np.rint(kernel / multipliers.reshape(-1, *[1] * (kernel.ndim - 1))).clip(-_TOP, _TOP).astype(np.int8)
    _write(tree, weights, np.moveaxis(rounded, 0, weights.quantization.quantizedDimension))
    _write(tree, bias, _bias(convolution.bias / multipliers))
    weights.quantization.scale = scales
    bias.quantization.scale = step_in * scales


def _stretch(tree: Any, operator: Any) -> None:
    """Give a dense layer's output a scale by which its sums round alike."""
    tensors = tree.subgraphs[0].tensors
    source, weights = (_scale(tensors[index]) for index in operator.inputs[:2])
    made = operator.outputs[0]
    readers = {kind_of(tree, each) for each in tree.subgraphs[0].operators if made in each.inputs}
    if readers <= _READERS:
        tensors[made].quantization.scale = np.array([output_scale(source, weights, _scale(tensors[made]))])


def _rebias(tree: Any, operator: Any, bias: npt.NDArray[np.float64]) -> None:
    """Write a dense layer's bias anew: its input's scale may be another one."""
    source, weights, offset = (tree.subgraphs[0].tensors[index] for index in operator.inputs)
    offset.quantization.scale = np.array([_scale(source) * _scale(weights)])
    _write(tree, offset, _bias(bias / offset.quantization.scale.astype(np.float64)))


def _scale(tensor: Any) -> np.float32:
    """Of a tensor with one scale for all its values."""
    return np.float32(tensor.quantization.scale[0])


def _array(tree: Any, index: int) -> npt.NDArray[np.float32]:
    """A constant of the float model."""
    tensor = tree.subgraphs[0].tensors[index]
    content = np.asarray(tree.buffers[tensor.buffer].data, np.uint8).tobytes()
    return np.frombuffer(content, np.float32).reshape(tensor.shape)


def _bias(values: npt.NDArray[np.float64]) -> npt.NDArray[np.int32]:
    return np.rint(values).clip(-_BIAS_TOP, _BIAS_TOP).astype(np.int32)


def _write(tree: Any, tensor: Any, values: npt.NDArray[Any]) -> None:
    tree.buffers[tensor.buffer].data = np.frombuffer(values.tobytes(), np.uint8)
