"""What a model asks of a runtime is read from the file itself."""

import flatbuffers
import pytest
from ai_edge_litert import schema_py_generated as schema

from converter.operators import needs
from edge.bundle.bundle import read_bundle
from edge.errors import GateError


def changed(model: bytes, *, runtime: bytes | None) -> bytes:
    """The model with another oldest runtime, or with none."""
    tree = schema.ModelT.InitFromObj(schema.Model.GetRootAs(model, 0))
    if runtime is None:
        tree.metadata = []
    for entry in tree.metadata:
        if entry.name == b"min_runtime_version":
            tree.buffers[entry.buffer].data = list(runtime)
    builder = flatbuffers.Builder(len(model))
    builder.Finish(tree.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def test_the_demo_s_model_needs_nothing_new(demo_bundle):
    """Its operators have the versions that int8 came with."""
    found = needs(read_bundle(demo_bundle).model)

    assert found.oldest_runtime == "1.14.0"
    assert found.operators["CONV_2D"] == 3
    assert found.operators["FULLY_CONNECTED"] == 4
    assert list(found.operators) == sorted(found.operators)


def test_the_card_holds_them(line):
    """For whoever wants to know before loading."""
    bundle = read_bundle(line.bundle)

    found = needs(bundle.model)

    assert (bundle.card.operators, bundle.card.oldest_runtime) == (found.operators, found.oldest_runtime)


@pytest.mark.parametrize(
    ("runtime", "sentence"),
    [(b"2.17.0\0", "got some that need 2.17.0"), (None, "does not say which runtime it needs")],
)
def test_a_model_that_the_oldest_runtime_cannot_load_is_refused(demo_bundle, runtime: bytes | None, sentence: str):
    """Whoever has a board without LiteRT should not find out there."""
    model = changed(read_bundle(demo_bundle).model, runtime=runtime)

    with pytest.raises(GateError, match=sentence):
        needs(model)
