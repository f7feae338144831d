"""A `.tflite` -> which operators it needs in which version, and the oldest runtime that has them all."""

import re
from dataclasses import dataclass
from typing import Final

from ai_edge_litert import schema_py_generated as schema

from edge.errors import GateError

OLDEST_SUPPORTED: Final = (2, 14)
"""Of tflite-runtime, on boards that have no LiteRT."""
_ENTRY: Final = b"min_runtime_version"
_NAMES: Final = {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}


@dataclass(frozen=True, slots=True)
class Needs:
    """What a model asks of a runtime.

    Attributes:
        operators: Name to the highest version used.
        oldest_runtime: TensorFlow Lite's version from which on they are all known, as TensorFlow's converter states it.
    """

    operators: dict[str, int]
    oldest_runtime: str


def needs(model: bytes) -> Needs:
    """Read them from the flatbuffer.

    Args:
        model: Content of a `.tflite`.

    Raises:
        GateError: The oldest runtime that is supported could not load the model.
    """
    root = schema.Model.GetRootAs(model, 0)
    codes = [root.OperatorCodes(position) for position in range(root.OperatorCodesLength())]
    operators: dict[str, int] = {}
    for code in codes:
        name = _NAMES[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]
        operators[name] = max(code.Version(), operators.get(name, 0))
    found = Needs(dict(sorted(operators.items())), _oldest_runtime(root))
    _check(found)
    return found


def _oldest_runtime(root: schema.Model) -> str:
    for entry in (root.Metadata(position) for position in range(root.MetadataLength())):
        if entry.Name() == _ENTRY:
            content: bytes = root.Buffers(entry.Buffer()).DataAsNumpy().tobytes()
            return content.rstrip(b"\0").decode("ascii")
    return ""


def _check(found: Needs) -> None:
    version = re.match(r"(\d+)\.(\d+)", found.oldest_runtime)
    listed = ", ".join(f"{name} {number}" for name, number in found.operators.items())
    if version is None:
        raise GateError(f"the model does not say which runtime it needs ({listed}); convert it with TensorFlow 2.21")
    if (int(version[1]), int(version[2])) > OLDEST_SUPPORTED:
        raise GateError(
            f"expected operators that tflite-runtime {'.'.join(map(str, OLDEST_SUPPORTED))} knows, got some that need "
            f"{found.oldest_runtime} ({listed}); take another network"
        )
