"""The network's input -> logits and features. The only module that knows an interpreter.

Two runtimes load the same file: ai-edge-litert, and tflite-runtime where that is what a board has. Which one runs is
decided once, by name, and is part of every report; neither is ever exchanged for the other in silence.
"""

import importlib
import importlib.util
import os
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from edge.errors import BundleError, ConfigError
from edge.preprocess import SIDE_PX

RUNTIMES: Final = {"litert": "ai_edge_litert.interpreter", "tflite-runtime": "tflite_runtime.interpreter"}
"""Name to module, in the order in which `auto` looks for them."""
DISTRIBUTIONS: Final = {"litert": "ai-edge-litert", "tflite-runtime": "tflite-runtime"}
"""Name to what pip calls it."""

_FEATURE_RANK: Final = 4
_LOGIT_RANK: Final = 2


@dataclass(frozen=True, slots=True, eq=False)
class Output:
    """What the network says of one image.

    Attributes:
        logits: `(labels,) float32`, dequantized.
        features: `(7, 7, C) float32`, the last feature map, dequantized.
    """

    logits: npt.NDArray[np.float32]
    features: npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Dense:
    """One fully connected layer as the model file holds it: `y = scale * (weights - zero_point) @ x + bias`.

    Attributes:
        weights: `(outputs, inputs)`, int8 or float32.
        scale: `(outputs, 1)` or `(1, 1) float32`; 1 for float weights.
        zero_point: `(outputs, 1)` or `(1, 1) float32`; 0 for float weights.
        bias: `(outputs,) float32`.
    """

    weights: npt.NDArray[Any]
    scale: npt.NDArray[np.float32]
    zero_point: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """The layers between features and logits.

    Attributes:
        pooled: True where the features are averaged over space first; else they are flattened, row by row.
        layers: In order; a ReLU follows each but the last.
    """

    pooled: bool
    layers: tuple[Dense, ...]


class Classifier:
    """A loaded model.

    Args:
        model: The content of a `.tflite` file with uint8 RGB input and two outputs, logits and features.
        runtime: A name of `RUNTIMES`, or `auto` for the first that is installed.
        threads: Processor threads; None for all cores, at most four.

    Raises:
        ConfigError: The runtime is not installed.
        BundleError: The runtime cannot load the model, or it is not of that shape.
    """

    def __init__(self, model: bytes, *, runtime: str = "auto", threads: int | None = None) -> None:
        self.runtime, self._interpreter = _interpreter(model, runtime, threads)
        self._model = model  # the interpreter holds it, too, and makes no copy
        self._input, self._logits, self._features = self._tensors()

    def run(self, pixels: npt.NDArray[np.uint8]) -> Output:
        """Run the network on one image.

        Args:
            pixels: `(224, 224, 3) uint8, RGB, 0-255`.
        """
        self._interpreter.set_tensor(self._input, pixels[np.newaxis])
        self._interpreter.invoke()
        return Output(
            logits=self._interpreter.get_tensor(self._logits)[0],
            features=self._interpreter.get_tensor(self._features)[0],
        )

    @property
    def accelerated(self) -> bool:
        """Whether XNNPACK has taken the graph, without which int8 is several times slower."""
        return _accelerated(self._interpreter)

    def head(self) -> Head:
        """Read the head's layers from the model itself.

        Raises:
            BundleError: The graph behind the features is not pooling or flattening and fully connected layers.
        """
        operators = self._interpreter._get_ops_details()  # noqa: SLF001 - the only door to the graph both runtimes have
        dense = [operator for operator in operators if operator["op_name"] == "FULLY_CONNECTED"]
        if not dense:
            raise BundleError(
                "expected a model with a fully connected head, found none; convert it with edge-converter"
            )
        details = {tensor["index"]: tensor for tensor in self._interpreter.get_tensor_details()}
        layers = tuple(self._dense(operator["inputs"], details) for operator in dense)
        channels = details[self._features]["shape"][-1]
        return Head(pooled=layers[0].weights.shape[1] == channels, layers=layers)

    def _dense(self, inputs: npt.NDArray[np.int32], details: dict[int, Any]) -> Dense:
        scale, zero_point = _quantization(details[inputs[1]])
        weights = _within(self._model, self._interpreter.tensor(inputs[1])())
        bias = np.zeros(len(weights), np.float32)
        if len(inputs) > 2 and inputs[2] >= 0:  # noqa: PLR2004 - input, weights, and an optional bias
            bias_scale, _ = _quantization(details[inputs[2]])
            bias = self._interpreter.get_tensor(inputs[2]) * bias_scale[:, 0]
        return Dense(weights=weights, scale=scale, zero_point=zero_point, bias=bias.astype(np.float32))

    def _tensors(self) -> tuple[int, int, int]:
        inputs, outputs = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        by_rank = {len(tensor["shape"]): tensor for tensor in outputs}
        shapes = [f"{tuple(tensor['shape'])} {np.dtype(tensor['dtype'])}" for tensor in (*inputs, *outputs)]
        if len(inputs) != 1 or inputs[0]["dtype"] != np.uint8 or set(by_rank) != {_LOGIT_RANK, _FEATURE_RANK}:
            raise BundleError(
                "expected a model with one uint8 image in, logits (1, labels) and features (1, 7, 7, C) out, "
                f"got {', '.join(shapes)}; convert it with edge-converter"
            )
        scale, zero_point = _quantization(inputs[0])
        if (scale.item(), zero_point.item()) != (1, 0):
            raise BundleError(
                "expected a model that takes raw bytes (input scale 1, zero point 0), "
                f"got scale {scale.item()} and zero point {zero_point.item()}; convert it with edge-converter"
            )
        return inputs[0]["index"], by_rank[_LOGIT_RANK]["index"], by_rank[_FEATURE_RANK]["index"]


class Timed:
    """Any model that takes one image of the network's size: what the benchmark runs beside the bundle's.

    Args:
        model: The content of a `.tflite` file.
        runtime: A name of `RUNTIMES`.
        threads: Processor threads.

    Raises:
        ConfigError: The runtime is not installed.
        BundleError: The runtime cannot load the model, or it takes something else.
    """

    def __init__(self, model: bytes, *, runtime: str, threads: int) -> None:
        self.runtime, self._interpreter = _interpreter(model, runtime, threads)
        inputs = self._interpreter.get_input_details()
        shapes = [tuple(map(int, tensor["shape"])) for tensor in inputs]
        if shapes != [(1, SIDE_PX, SIDE_PX, 3)]:
            raise BundleError(
                f"expected a model with one input of (1, {SIDE_PX}, {SIDE_PX}, 3), got {shapes}; name another"
            )
        self._input, self._dtype = inputs[0]["index"], inputs[0]["dtype"]

    @property
    def accelerated(self) -> bool:
        """Whether XNNPACK has taken the graph."""
        return _accelerated(self._interpreter)

    def run(self, pixels: npt.NDArray[np.uint8]) -> None:
        """Run the network on one image, `(224, 224, 3) uint8, RGB, 0-255`, and leave its answer where it is."""
        self._interpreter.set_tensor(self._input, pixels[np.newaxis].astype(self._dtype))
        self._interpreter.invoke()


def installed_runtimes() -> list[str]:
    """The names of `RUNTIMES` that can be loaded here, in order."""
    return [name for name, module in RUNTIMES.items() if importlib.util.find_spec(module.partition(".")[0]) is not None]


def _interpreter(model: bytes, runtime: str, threads: int | None) -> tuple[str, Any]:
    name, interpreter_class = _load_runtime(runtime)
    try:
        interpreter = interpreter_class(model_content=model, num_threads=threads or min(os.cpu_count() or 1, 4))
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise BundleError(f"{name} cannot load the model ({error}); convert it for this runtime") from error
    return name, interpreter


def _accelerated(interpreter: Any) -> bool:
    operators = interpreter._get_ops_details()  # noqa: SLF001 - the only door to the graph both runtimes have
    return any(operator["op_name"] == "DELEGATE" for operator in operators)


def _load_runtime(name: str) -> tuple[str, Any]:
    if name != "auto" and name not in RUNTIMES:
        raise ConfigError(f"runtime must be auto, {' or '.join(RUNTIMES)}, got {name!r}")
    for candidate in RUNTIMES if name == "auto" else (name,):
        try:
            return candidate, importlib.import_module(RUNTIMES[candidate]).Interpreter
        except ModuleNotFoundError as error:
            if error.name not in {RUNTIMES[candidate], RUNTIMES[candidate].partition(".")[0]}:
                raise
    wanted = " or ".join(RUNTIMES) if name == "auto" else name
    raise ConfigError(f"{wanted} is not installed; pip install 'edge-xray[edge]' or 'edge-xray[tflite]'")


def _within(model: bytes, weights: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The same weights where the model file holds them, read-only: of the paper's head a copy would take 26 MB.

    Args:
        model: The file.
        weights: As the interpreter shows them; it does not run while anybody holds them.
    """
    start = model.find(weights.data.cast("B"))
    if start < 0:
        return weights.copy()
    return np.frombuffer(model, weights.dtype, weights.size, start).reshape(weights.shape)


def _quantization(tensor: dict[str, Any]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Scale and zero point, `(n, 1) float32` each; 1 and 0 for a float tensor."""
    parameters = tensor["quantization_parameters"]
    if len(parameters["scales"]) == 0:
        return np.ones((1, 1), np.float32), np.zeros((1, 1), np.float32)
    return (
        parameters["scales"].astype(np.float32)[:, np.newaxis],
        parameters["zero_points"].astype(np.float32)[:, np.newaxis],
    )
