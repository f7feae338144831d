"""A `.tflite` as a tree, and back to bytes: as compact as the format allows, with every tensor's data aligned.

TensorFlow's converter writes eight bytes of zero beside each channel's scale, and a name of up to 400 letters for each
tensor between the layers. In MobileNet with a pooled head that is a twentieth of the file. Equal vectors are written
once here, and what lies between input and outputs is numbered.
"""

from typing import Any, Final

import flatbuffers
import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

CONVOLUTIONS: Final = {schema.BuiltinOperator.CONV_2D, schema.BuiltinOperator.DEPTHWISE_CONV_2D}
_IDENTIFIER: Final = b"TFL3"
_ALIGNMENT: Final = 16
"""Bytes, as TFLite's `schema.fbs` forces it on a tensor's data; the generated code forgets it."""


def tree_of(model: bytes) -> Any:
    """The model as objects of the generated schema, `schema.ModelT`.

    Args:
        model: Content of a `.tflite`.
    """
    return schema.ModelT.InitFromObj(schema.Model.GetRootAs(model, 0))


def kind_of(tree: Any, operator: Any) -> int:
    """Which of `schema.BuiltinOperator` an operator of the tree is."""
    code = tree.operatorCodes[operator.opcodeIndex]
    return int(max(code.builtinCode, code.deprecatedBuiltinCode))


def bytes_of(tree: Any) -> bytes:
    """Content of the `.tflite`; the tree is not to be used any more."""
    tree.buffers = [_Aligned(buffer.data) for buffer in tree.buffers]
    shared = _Shared()
    for graph in tree.subgraphs:
        for tensor in graph.tensors:
            if tensor.quantization is not None:
                tensor.quantization = _Quantization(tensor.quantization, shared)
        outside = {*graph.inputs, *graph.outputs}
        for index, tensor in enumerate(graph.tensors):
            if index not in outside:
                tensor.name = str(index)
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(tree.Pack(builder), _IDENTIFIER)
    return bytes(builder.Output())


class _Shared:
    """Vectors by their content, each written once."""

    def __init__(self) -> None:
        self._offsets: dict[tuple[str, bytes], int] = {}

    def vector(self, builder: Any, values: npt.NDArray[Any]) -> int:
        """The vector's place."""
        key = (values.dtype.str, values.tobytes())
        if key not in self._offsets:
            self._offsets[key] = builder.CreateNumpyVector(values)
        return self._offsets[key]


class _Quantization(schema.QuantizationParametersT):  # type: ignore[misc]  # the schema has no types
    """A tensor's quantization whose vectors may be another tensor's, too."""

    def __init__(self, source: Any, shared: _Shared) -> None:
        super().__init__()
        self.__dict__.update(vars(source))
        self._shared = shared

    def Pack(self, builder: Any) -> int:  # noqa: N802 - the generated code's name
        """Write scale, zero point and dimension; ranges are for the converter alone and left out."""
        scale = zero_point = None
        if self.scale is not None:
            scale = self._shared.vector(builder, np.asarray(self.scale, np.float32))
            zero_point = self._shared.vector(builder, np.asarray(self.zeroPoint, np.int64))
        schema.QuantizationParametersStart(builder)
        if scale is not None:
            schema.QuantizationParametersAddScale(builder, scale)
            schema.QuantizationParametersAddZeroPoint(builder, zero_point)
        schema.QuantizationParametersAddQuantizedDimension(builder, self.quantizedDimension)
        return schema.QuantizationParametersEnd(builder)


class _Aligned(schema.BufferT):  # type: ignore[misc]  # the schema has no types
    """A tensor's data at the alignment that its type needs."""

    def Pack(self, builder: Any) -> int:  # noqa: N802 - the generated code's name
        """Write the buffer."""
        data = None
        if self.data is not None:
            content = np.asarray(self.data, np.uint8).tobytes()
            builder.StartVector(1, len(content), _ALIGNMENT)
            builder.head -= len(content)
            builder.Bytes[builder.head : builder.head + len(content)] = content
            data = builder.EndVector()
        schema.BufferStart(builder)
        if data is not None:
            schema.BufferAddData(builder, data)
        return schema.BufferEnd(builder)
