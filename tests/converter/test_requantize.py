"""A model that every runtime rounds alike: XNNPACK, and TFLite's own kernels, which are tflite-runtime's to the bit."""

from typing import Any

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from converter.fold import folded
from converter.quantize import quantize
from converter.span import Span

Answers = dict[int, np.ndarray]


def answers(model: bytes, pictures: np.ndarray, kernels: OpResolverType) -> Answers:
    """Logits and features of some pictures, by their rank."""
    interpreter = Interpreter(model_content=model, experimental_op_resolver_type=kernels)
    interpreter.allocate_tensors()
    found: dict[int, list[Any]] = {2: [], 4: []}
    for picture in pictures:
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], picture[np.newaxis])
        interpreter.invoke()
        for output in interpreter.get_output_details():
            found[len(output["shape"])].append(interpreter.get_tensor(output["index"]))
    return {rank: np.concatenate(each) for rank, each in found.items()}


def both(model: bytes, pictures: np.ndarray) -> tuple[Answers, Answers]:
    """By XNNPACK, and by TFLite's own kernels."""
    kinds = (OpResolverType.AUTO, OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)
    one, other = (answers(model, pictures, kind) for kind in kinds)
    return one, other


@pytest.fixture(params=["separable", "plain"])
def trunk(request: pytest.FixtureRequest) -> keras.Model:
    """With ReLU6 and depthwise convolutions, and with ReLU and pooling."""
    return folded(request.getfixturevalue(request.param))


@pytest.fixture
def deep(trunk: keras.Model) -> keras.Model:
    """Two dense layers over flattened features."""
    keras.utils.set_random_seed(5)
    layers = keras.layers
    features = keras.Input(trunk.output_shape[1:])
    hidden = layers.Dense(16, activation="relu", bias_initializer="normal")(layers.Flatten()(features))
    return keras.Model(features, layers.Dense(2, bias_initializer="normal")(hidden))


def same(one: np.ndarray, other: np.ndarray) -> bool:
    """In int8; turning a step into a number, the two differ in a float's last digit."""
    return bool(np.allclose(one, other, rtol=1e-6, atol=1e-6))


def test_both_say_the_same(trunk: keras.Model, pooled, deep: keras.Model, pictures: np.ndarray):
    """Of every feature and every logit, with a pooled head and with dense layers."""
    for head in (pooled(trunk), deep):
        one, other = both(quantize(trunk, head, pictures), pictures)

        assert same(one[4], other[4])
        assert same(one[2], other[2])


def test_as_tensorflow_scales_them_they_do_not(trunk: keras.Model, pooled, unsettled, pictures: np.ndarray):
    """Else the test above would prove nothing."""
    one, other = both(unsettled(trunk, pooled(trunk), pictures), pictures)

    assert not same(one[4], other[4])


def test_nothing_is_lost_by_it(trunk: keras.Model, pooled, unsettled, pictures: np.ndarray):
    """The features lie as near to the float network's as before."""
    head = pooled(trunk)
    expected = np.asarray(trunk(pictures.astype(np.float32)))

    before, after = (
        np.abs(answers(make(trunk, head, pictures), pictures, OpResolverType.AUTO)[4] - expected).mean()
        for make in (unsettled, quantize)
    )

    assert after < 1.05 * before


def test_every_scale_of_a_bias_is_its_input_s_times_its_weights(
    trunk: keras.Model, deep: keras.Model, pictures: np.ndarray
):
    """So a program that computes in real numbers gets the same."""
    interpreter = Interpreter(
        model_content=quantize(trunk, deep, pictures),
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    interpreter.allocate_tensors()
    scales = {each["index"]: each["quantization_parameters"]["scales"] for each in interpreter.get_tensor_details()}
    operators = [
        each["inputs"]
        for each in interpreter._get_ops_details()
        if each["op_name"] in {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"}
    ]

    assert len(operators) in {4, 5}
    for source, weights, bias in operators:
        assert scales[bias] == pytest.approx(scales[source] * scales[weights], rel=1e-6)


def test_logits_are_told_apart_within_their_span(trunk: keras.Model, deep: keras.Model, pictures: np.ndarray):
    """In finer steps than over all that calibration saw; what is far beyond is cut."""
    coarse = answers(quantize(trunk, deep, pictures), pictures, OpResolverType.AUTO)[2]
    span = (
        Span(float(np.quantile(coarse, 0.3)), 0.0) if coarse.max() < 0 else Span(0.0, float(np.quantile(coarse, 0.7)))
    )

    fine = answers(quantize(trunk, deep, pictures, span), pictures, OpResolverType.AUTO)[2]

    inside = (coarse >= span.least) & (coarse <= span.most)
    assert fine[inside] == pytest.approx(coarse[inside], abs=1.1 * np.ptp(coarse) / 255)
    assert np.abs(fine).max() < 1.35 * max(-span.least, span.most) < 1.35 * np.abs(coarse).max()


def test_an_empty_span_is_a_constant_and_no_failure(trunk: keras.Model, deep: keras.Model, pictures: np.ndarray):
    """Of a head that has learned nothing."""
    found = answers(quantize(trunk, deep, pictures, Span(0.0, 0.0)), pictures, OpResolverType.AUTO)[2]

    assert np.abs(found).max() < 0.01
