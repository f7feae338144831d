"""Standard TFLite metadata inside the `.tflite`, so that programs that know nothing of bundles can use it, too.

The flatbuffer gets an entry `TFLITE_METADATA` (schema 1.1.0 of tflite-support's `metadata_schema.fbs`): what goes in,
what comes out and by what name. The labels lie behind the flatbuffer as a zip archive, where readers look for them.
The numbers below are places of fields and values of enums in that schema.
"""

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from converter.flatbuffer import bytes_of, tree_of
from edge.preprocess import SIDE_PX

ENTRY: Final = "TFLITE_METADATA"
LABELS_NAME: Final = "labels.txt"

_METADATA_IDENTIFIER: Final = b"M001"
_PARSER_VERSION: Final = "1.0.0"
"""The oldest metadata parser that knows all fields used here."""
_RGB: Final = 1
_IMAGE: Final = 2
_NORMALIZATION: Final = 1
_AXIS_LABELS: Final = 2
_LOGIT_RANK: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What the metadata says of a model.

    Attributes:
        name: The recipe's name.
        description: What it is for, and what it is not.
        licence: Of the weights.
        labels: In the order of the logits.
        temperature: The logits are divided by this before they become probabilities.
    """

    name: str
    description: str
    licence: str
    labels: tuple[str, ...]
    temperature: float


def with_metadata(model: bytes, about: About) -> bytes:
    """The same model with metadata and its labels.

    Args:
        model: Content of a `.tflite` without metadata, an image in, logits and features out.
        about: What to say.
    """
    tree = tree_of(model)
    graph = tree.subgraphs[0]
    outputs = [len(graph.tensors[index].shape) for index in graph.outputs]
    tree.buffers.append(schema.BufferT(data=np.frombuffer(_metadata(about, outputs), np.uint8)))
    tree.metadata.append(schema.MetadataT(name=ENTRY, buffer=len(tree.buffers) - 1))
    return _with_file(bytes_of(tree), LABELS_NAME, "".join(f"{label}\n" for label in about.labels))


def _with_file(content: bytes, name: str, text: str) -> bytes:
    buffer = io.BytesIO()
    buffer.write(content)
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo(name), text)  # without a time: the same model is the same bytes
    return buffer.getvalue()


def _metadata(about: About, output_ranks: Sequence[int]) -> bytes:
    table = _Tables()
    outputs = [_logits(table, about) if rank == _LOGIT_RANK else _features(table) for rank in output_ranks]
    graph = table.add({2: table.vector([_image(table)]), 3: table.vector(outputs)})
    root = table.add(
        {
            0: table.text(about.name),
            1: table.text(about.description),
            3: table.vector([graph]),
            5: table.text(about.licence),
            7: table.text(_PARSER_VERSION),
        }
    )
    table.builder.Finish(root, _METADATA_IDENTIFIER)
    return bytes(table.builder.Output())


def _image(table: "_Tables") -> int:
    size = table.add({}, numbers={0: ("Uint32", SIDE_PX), 1: ("Uint32", SIDE_PX)})
    image = table.add({1: size}, numbers={0: ("Int8", _RGB)})
    content = table.add({1: image}, numbers={0: ("Uint8", _IMAGE)})
    options = table.add({0: table.floats([0.0]), 1: table.floats([1.0])})  # mean and standard deviation
    normalisation = table.add({1: options}, numbers={0: ("Uint8", _NORMALIZATION)})
    return table.add(
        {
            0: table.text("image"),
            1: table.text("Raw bytes, 0 to 255, gray in all three channels; normalisation is inside the network."),
            3: content,
            4: table.vector([normalisation]),
            5: table.add({0: table.floats([255.0]), 1: table.floats([0.0])}),  # greatest and least
        }
    )


def _logits(table: "_Tables", about: About) -> int:
    labels = table.add(
        {0: table.text(LABELS_NAME), 1: table.text("Names of the logits, in order.")},
        numbers={2: ("Int8", _AXIS_LABELS)},
    )
    what = f"Logits; the softmax of logits / {about.temperature:g} are probabilities."
    return table.add({0: table.text("logits"), 1: table.text(what), 6: table.vector([labels])})


def _features(table: "_Tables") -> int:
    what = "The last feature map, from which a heatmap can be computed."
    return table.add({0: table.text("features"), 1: table.text(what)})


class _Tables:
    """Tables of a flatbuffer by the numbers of their fields."""

    def __init__(self) -> None:
        self.builder: Any = flatbuffers.Builder(1024)

    def text(self, value: str) -> int:
        """A string."""
        return self.builder.CreateString(value)

    def floats(self, values: Sequence[float]) -> int:
        """A vector of float32."""
        return self.builder.CreateNumpyVector(np.array(values, np.float32))

    def vector(self, offsets: Sequence[int]) -> int:
        """A vector of tables."""
        self.builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            self.builder.PrependUOffsetTRelative(offset)
        return self.builder.EndVector()

    def add(self, offsets: dict[int, int], *, numbers: dict[int, tuple[str, int]] | None = None) -> int:
        """A table of fields that were written before, and of numbers with their kind."""
        numbers = numbers or {}
        self.builder.StartObject(max([*offsets, *numbers]) + 1)
        for slot, offset in offsets.items():
            self.builder.PrependUOffsetTRelativeSlot(slot, offset, 0)
        for slot, (kind, value) in numbers.items():
            getattr(self.builder, f"Prepend{kind}Slot")(slot, value, 0)
        return self.builder.EndObject()
