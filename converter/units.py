"""A quantized `.tflite` -> the same arithmetic with what lies between convolutions counted in steps: its scale is 1.

The scale of a bias is that of its input times that of each channel's weights. Where the input's is 1 both are the same
vector, which `converter.flatbuffer` writes once: four bytes less for each channel. No quantized value changes, for only
products of scales take part in the arithmetic, and neither does the scale of any input or output of the model.
"""

from typing import Any, Final

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from converter.flatbuffer import CONVOLUTIONS, kind_of

_PASSING: Final = {schema.BuiltinOperator.MAX_POOL_2D, schema.BuiltinOperator.PAD}
"""Operators whose output has the scale of their input."""
_TOP: Final = 127
_SIX: Final = 6.0


def in_steps(tree: Any) -> None:
    """Change a model's tree, `schema.ModelT`, in place."""
    graph = tree.subgraphs[0]
    kinds = [kind_of(tree, operator) for operator in graph.operators]
    hidden = _hidden(graph, kinds)
    before = {index: float(graph.tensors[index].quantization.scale[0]) for index in _scaled(graph)}
    after = {index: 1.0 if index in hidden else scale for index, scale in before.items()}
    for index in hidden:
        graph.tensors[index].quantization.scale = np.ones(1, np.float32)
    for operator, kind in zip(graph.operators, kinds, strict=True):
        if kind in CONVOLUTIONS:
            source, weights, bias = operator.inputs[:3]
            target = operator.outputs[0]
            factor = before[source] / after[source] * after[target] / before[target]
            kernel = graph.tensors[weights].quantization
            kernel.scale = (np.asarray(kernel.scale, np.float64) * factor).astype(np.float32)
            graph.tensors[bias].quantization.scale = np.float32(after[source]) * kernel.scale
            if (
                target in hidden
                and operator.builtinOptions.fusedActivationFunction == schema.ActivationFunctionType.RELU6
            ):
                operator.builtinOptions.fusedActivationFunction = schema.ActivationFunctionType.RELU


def _scaled(graph: Any) -> list[int]:
    """Tensors with one scale for all their channels."""
    quantizations = [tensor.quantization for tensor in graph.tensors]
    return [
        index
        for index, each in enumerate(quantizations)
        if each is not None and each.scale is not None and len(each.scale) == 1
    ]


def _hidden(graph: Any, kinds: list[int]) -> set[int]:
    """Tensors that only convolutions, and what lets a scale through, write and read."""
    inside = {
        operator.outputs[0]
        for operator, kind in zip(graph.operators, kinds, strict=True)
        if kind in _PASSING or (kind in CONVOLUTIONS and _fills(graph, operator))
    } - {*graph.outputs}
    for operator, kind in zip(graph.operators, kinds, strict=True):
        if kind not in CONVOLUTIONS | _PASSING:
            inside -= {*operator.inputs}
    while passed := {
        end
        for operator, kind in zip(graph.operators, kinds, strict=True)
        if kind in _PASSING and len({operator.inputs[0], operator.outputs[0]} & inside) == 1
        for end in (operator.inputs[0], operator.outputs[0])
        if end in inside
    }:
        inside -= passed
    return inside


def _fills(graph: Any, operator: Any) -> bool:
    """Whether int8 itself ends where the operator's ReLU6 does, so that counting in steps takes nothing from it."""
    if operator.builtinOptions.fusedActivationFunction != schema.ActivationFunctionType.RELU6:
        return True
    made = graph.tensors[operator.outputs[0]].quantization
    return bool(_SIX / made.scale[0] + made.zeroPoint[0] > _TOP - 0.5)
