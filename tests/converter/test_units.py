"""What lies between convolutions, counted in steps: the same answers from a smaller file."""

import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from converter.flatbuffer import bytes_of, tree_of
from converter.units import in_steps
from edge.classify import Classifier
from edge.preprocess import SIDE_PX

CONVOLUTIONS = {schema.BuiltinOperator.CONV_2D, schema.BuiltinOperator.DEPTHWISE_CONV_2D}


@pytest.fixture
def measured(separable: keras.Model, pooled, unsettled, pictures: np.ndarray) -> bytes:
    """An int8 model in real units."""
    model: bytes = unsettled(separable, pooled(separable), pictures)
    return model


@pytest.fixture
def counted(measured: bytes) -> bytes:
    """The same in steps."""
    tree = tree_of(measured)
    in_steps(tree)
    return bytes_of(tree)


def test_no_answer_changes(measured: bytes, counted: bytes):
    """The same logits and features."""
    image = np.random.default_rng(4).integers(0, 256, (SIDE_PX, SIDE_PX, 3), dtype=np.uint8)

    before, after = Classifier(measured).run(image), Classifier(counted).run(image)

    assert (before.logits == after.logits).all()
    assert (before.features == after.features).all()


def test_every_bias_has_the_scale_that_the_format_demands(counted: bytes):
    """Its input's times its weights', so that a program that computes in real numbers gets them right."""
    tree = tree_of(counted)
    tensors = tree.subgraphs[0].tensors
    scales = [None if tensor.quantization is None else tensor.quantization.scale for tensor in tensors]
    convolutions = [
        operator
        for operator in tree.subgraphs[0].operators
        if tree.operatorCodes[operator.opcodeIndex].builtinCode in CONVOLUTIONS
    ]

    assert len(convolutions) == 3
    for operator in convolutions:
        source, weights, bias = operator.inputs
        assert scales[bias] == pytest.approx(scales[source] * scales[weights], rel=1e-6)
    assert {float(scales[operator.inputs[0]][0]) for operator in convolutions[1:]} == {1.0}


def test_what_goes_in_and_comes_out_keeps_its_units(measured: bytes, counted: bytes):
    """The features, too, although a convolution writes them."""
    before, after = (tree_of(model).subgraphs[0] for model in (measured, counted))

    for old, new in ((before.inputs, after.inputs), (before.outputs, after.outputs)):
        for one, other in zip(old, new, strict=True):
            assert np.array_equal(before.tensors[one].quantization.scale, after.tensors[other].quantization.scale)
    assert not all(
        np.array_equal(old.quantization.scale, new.quantization.scale)
        for old, new in zip(before.tensors, after.tensors, strict=True)
    )


def test_the_file_shrinks(measured: bytes, counted: bytes):
    """By four bytes for each of the 16 channels whose bias has the scales of its weights now."""
    assert len(counted) <= len(bytes_of(tree_of(measured))) - 4 * 16
