"""The same model in fewer bytes, its weights where their type may begin."""

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from converter.flatbuffer import bytes_of, tree_of
from edge.bundle.bundle import read_bundle
from edge.classify import Classifier
from edge.preprocess import SIDE_PX


@pytest.fixture(scope="module")
def plain(demo_bundle) -> bytes:
    """A model as TensorFlow's converter wrote it."""
    return read_bundle(demo_bundle).model


def test_no_answer_changes(plain: bytes):
    """The same logits and features, bit for bit."""
    image = np.random.default_rng(4).integers(0, 256, (SIDE_PX, SIDE_PX, 3), dtype=np.uint8)

    before, after = Classifier(plain).run(image), Classifier(bytes_of(tree_of(plain))).run(image)

    assert (before.logits == after.logits).all()
    assert (before.features == after.features).all()


def test_every_tensor_keeps_its_quantization(plain: bytes):
    """Scale, zero point and dimension, although equal vectors are written once."""
    before = tree_of(plain).subgraphs[0].tensors

    after = tree_of(bytes_of(tree_of(plain))).subgraphs[0].tensors

    for old, new in zip(before, after, strict=True):
        assert np.array_equal(old.quantization.scale, new.quantization.scale)
        assert np.array_equal(old.quantization.zeroPoint, new.quantization.zeroPoint)
        assert old.quantization.quantizedDimension == new.quantization.quantizedDimension


def test_weights_lie_where_their_type_may_begin(plain: bytes):
    """At multiples of 16 bytes, as the format demands."""
    model = bytes_of(tree_of(plain))
    start = np.frombuffer(model, np.uint8).__array_interface__["data"][0]
    root = schema.Model.GetRootAs(model, 0)
    data = [root.Buffers(k).DataAsNumpy() for k in range(root.BuffersLength())]

    places = [array.__array_interface__["data"][0] - start for array in data if isinstance(array, np.ndarray)]

    assert len(places) > 20
    assert {place % 16 for place in places} == {0}


def test_the_file_shrinks(plain: bytes):
    """By the zeros that the generated code writes beside each tensor's scales; a second time there is nothing left."""
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(tree_of(plain).Pack(builder), b"TFL3")

    model = bytes_of(tree_of(plain))

    assert len(model) < 0.95 * len(builder.Output())
    assert len(bytes_of(tree_of(model))) == len(model)
