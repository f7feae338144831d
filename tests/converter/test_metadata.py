"""Other programs read from the `.tflite` itself what goes in and what comes out."""

import io
import zipfile

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from flatbuffers.number_types import Float32Flags, Int8Flags, Uint8Flags, Uint32Flags

from converter.metadata import About, with_metadata
from edge.bundle.bundle import read_bundle
from edge.classify import Classifier
from edge.preprocess import SIDE_PX


class Table:
    """One table of a flatbuffer, its fields by their place in `metadata_schema.fbs`."""

    def __init__(self, content: bytes, position: int | None = None) -> None:
        start = flatbuffers.encode.Get(flatbuffers.packer.uoffset, content, 0) if position is None else position
        self._content, self._table = content, flatbuffers.table.Table(content, start)

    def _at(self, slot: int) -> int:
        offset = self._table.Offset(4 + 2 * slot)
        assert offset, f"field {slot} is missing"
        return offset + self._table.Pos

    def number(self, slot: int, flags: type) -> float:
        """A scalar of the kind that the flags say."""
        return self._table.Get(flags, self._at(slot))

    def text(self, slot: int) -> str:
        """A string."""
        return self._table.String(self._at(slot)).decode()

    def table(self, slot: int) -> "Table":
        """A table, also one behind a union."""
        return Table(self._content, self._table.Indirect(self._at(slot)))

    def tables(self, slot: int) -> list["Table"]:
        """A vector of tables."""
        offset = self._table.Offset(4 + 2 * slot)
        start = self._table.Vector(offset)
        return [Table(self._content, self._table.Indirect(start + 4 * k)) for k in range(self._table.VectorLen(offset))]

    def floats(self, slot: int) -> list[float]:
        """A vector of float32."""
        return self._table.GetVectorAsNumpy(Float32Flags, self._table.Offset(4 + 2 * slot)).tolist()


def metadata_of(model: bytes) -> bytes:
    """The buffer that the model's entry `TFLITE_METADATA` names."""
    root = schema.Model.GetRootAs(model, 0)
    entries = [root.Metadata(k) for k in range(root.MetadataLength())]
    (entry,) = [entry for entry in entries if entry.Name() == b"TFLITE_METADATA"]
    return root.Buffers(entry.Buffer()).DataAsNumpy().tobytes()


def test_the_input_is_an_image_of_raw_bytes_and_the_logits_have_names(line):
    """Field by field as tflite-support's schema numbers them."""
    card, model = read_bundle(line.bundle).card, read_bundle(line.bundle).model
    content = metadata_of(model)

    root = Table(content)
    (graph,) = root.tables(2 + 1)
    (image,) = graph.tables(2)
    outputs = {output.text(0): output for output in graph.tables(3)}

    assert content[4:8] == b"M001"
    assert (root.text(0), root.text(5), root.text(7)) == (card.name, card.licence, "1.0.0")
    assert "Not a diagnosis." in root.text(1)
    assert image.table(3).number(0, Uint8Flags) == 2
    shown = image.table(3).table(1)
    assert (shown.number(0, Int8Flags), shown.table(1).number(0, Uint32Flags)) == (1, SIDE_PX)
    (unit,) = image.tables(4)
    assert (unit.number(0, Uint8Flags), unit.table(1).floats(0), unit.table(1).floats(1)) == (1, [0.0], [1.0])
    assert (image.table(5).floats(0), image.table(5).floats(1)) == ([255.0], [0.0])
    assert set(outputs) == {"logits", "features"}
    (labels,) = outputs["logits"].tables(6)
    assert (labels.text(0), labels.number(2, Int8Flags)) == ("labels.txt", 2)


def test_the_outputs_are_described_in_the_order_in_which_the_model_gives_them(line):
    """Else another program would take the features for the logits."""
    model = read_bundle(line.bundle).model
    graph = schema.Model.GetRootAs(model, 0).Subgraphs(0)
    ranks = [graph.Tensors(graph.Outputs(k)).ShapeLength() for k in range(graph.OutputsLength())]

    described = [output.text(0) for output in Table(metadata_of(model)).tables(3)[0].tables(3)]

    assert described == [{2: "logits", 4: "features"}[rank] for rank in ranks]


def test_a_zip_reader_finds_the_labels_in_the_model(line):
    """As the standard has it: the archive lies behind the flatbuffer."""
    bundle = read_bundle(line.bundle)

    with zipfile.ZipFile(io.BytesIO(bundle.model)) as archive:
        names, labels = archive.namelist(), archive.read("labels.txt").decode()

    assert (names, labels.split("\n")) == (["labels.txt"], [*bundle.card.labels, ""])


@pytest.fixture(scope="module")
def plain(demo_bundle) -> bytes:
    """A model without metadata."""
    return read_bundle(demo_bundle).model


def test_metadata_changes_no_answer(plain: bytes):
    """The same logits and features, bit for bit."""
    about = About(name="n", description="d", licence="l", labels=("a", "b"), temperature=1.5)
    image = np.random.default_rng(4).integers(0, 256, (SIDE_PX, SIDE_PX, 3), dtype=np.uint8)

    model = with_metadata(plain, about)

    before, after = Classifier(plain).run(image), Classifier(model).run(image)
    assert (before.logits == after.logits).all()
    assert (before.features == after.features).all()


def test_the_same_model_gives_the_same_bytes(plain: bytes):
    """No time and no chance gets into the file, for its hash names the model."""
    about = About(name="n", description="d", licence="l", labels=("a", "b"), temperature=1.5)

    assert with_metadata(plain, about) == with_metadata(plain, about)
