"""Which operators a `.tflite` holds and in which version, read from the file itself, without an interpreter.

A runtime that is too old for one of them refuses the file; the card says which it needs, and this says whether the card
is right. The layout is that of flatbuffers (flatbuffers.dev, "Internals") and of TensorFlow Lite's schema.fbs.
"""

import struct
from typing import Final

from edge.errors import BundleError

_OPERATOR_CODES: Final = 1
"""Field of the table Model."""
_DEPRECATED_CODE, _VERSION, _CODE = 0, 2, 3
"""Fields of the table OperatorCode; a code below 127 may stand in the first, which older readers know."""
_NAMES: Final = {
    0: "ADD", 1: "AVERAGE_POOL_2D", 2: "CONCATENATION", 3: "CONV_2D", 4: "DEPTHWISE_CONV_2D", 6: "DEQUANTIZE",
    9: "FULLY_CONNECTED", 14: "LOGISTIC", 17: "MAX_POOL_2D", 18: "MUL", 19: "RELU", 21: "RELU6", 22: "RESHAPE",
    25: "SOFTMAX", 34: "PAD", 36: "GATHER", 39: "TRANSPOSE", 40: "MEAN", 41: "SUB", 60: "PADV2", 114: "QUANTIZE",
}  # fmt: skip
"""Of the enumeration BuiltinOperator, as far as networks of this project use it."""


def operators_of(model: bytes) -> dict[str, int]:
    """Name to the highest version, in order of names.

    Args:
        model: Content of a `.tflite`.

    Raises:
        BundleError: It is none.
    """
    found: dict[str, int] = {}
    try:
        codes = _target(model, _field(model, _target(model, 0), _OPERATOR_CODES))
        (count,) = struct.unpack_from("<I", model, codes)
        for number in range(count):
            table = _target(model, codes + 4 + 4 * number)
            old, new = (
                _number(model, table, field, kind, 0) for field, kind in ((_DEPRECATED_CODE, "<b"), (_CODE, "<i"))
            )
            name = _NAMES.get(max(old, new), f"operator {max(old, new)}")
            found[name] = max(found.get(name, 0), _number(model, table, _VERSION, "<i", 1))
    except struct.error as error:
        raise BundleError(f"the model is no TensorFlow Lite file ({error}); make the bundle anew") from error
    return dict(sorted(found.items()))


def _target(model: bytes, at: int) -> int:
    """Where the offset that stands at a place leads."""
    return at + int(struct.unpack_from("<I", model, at)[0])


def _field(model: bytes, table: int, field: int) -> int:
    """Where a table's field stands; 0 where it is left out because it has its default."""
    vtable = table - struct.unpack_from("<i", model, table)[0]
    (size,) = struct.unpack_from("<H", model, vtable)
    entry = 4 + 2 * field
    offset = struct.unpack_from("<H", model, vtable + entry)[0] if entry < size else 0
    return table + offset if offset else 0


def _number(model: bytes, table: int, field: int, kind: str, default: int) -> int:
    at = _field(model, table, field)
    return int(struct.unpack_from(kind, model, at)[0]) if at else default
