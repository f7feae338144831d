"""A pooled head is written spread over the feature map where rounding its means would move a probability."""

import keras
import numpy as np
import pytest

from converter.pooling import MAX_SHIFT, as_shipped, shift_by_pooling, spread
from edge.explain import heatmap
from trainer.explain import head_of
from trainer.heads import build_head
from trainer.store import Rows


def features_of(rng: np.random.Generator, *, largest: float) -> Rows:
    """Twenty feature maps in which one channel is larger than the others."""
    maps = rng.uniform(0, 1, (20, 7, 7, 16)).astype(np.float32)
    maps[..., 0] *= largest
    return Rows(maps, np.arange(len(maps)))


@pytest.fixture
def head():
    """A pooled head whose answers are unsure, so that a shift shows."""
    head = build_head("gap", (7, 7, 16), 2, seed=4)
    kernel, bias = head.get_weights()
    kernel[0] = 0
    head.set_weights([kernel, bias])
    return head


def test_a_spread_head_gives_the_same_logits_and_the_same_heatmap(head):
    """Averaging and a dense layer are one linear map."""
    features = features_of(np.random.default_rng(2), largest=1).take(slice(0, 5))

    flat = spread(head)

    assert np.asarray(flat(features)) == pytest.approx(np.asarray(head(features)), abs=1e-5)
    for each in features:
        assert heatmap(each, head_of(flat), 1) == pytest.approx(heatmap(each, head_of(head), 1), abs=1e-6)


def test_alike_channels_are_pooled_in_int8(head):
    """Nothing is gained by a larger head."""
    features = features_of(np.random.default_rng(2), largest=1)

    written = as_shipped(head, features, 1.0)

    assert shift_by_pooling(head, features, 1.0) < MAX_SHIFT
    assert isinstance(written.layers[0], keras.layers.AveragePooling2D)
    assert np.asarray(written(features.take(slice(0, 5)))) == pytest.approx(
        np.asarray(head(features.take(slice(0, 5)))), abs=1e-5
    )


def test_one_large_channel_coarsens_all_and_the_head_is_spread(head):
    """The means of the small channels would be rounded to a few steps."""
    features = features_of(np.random.default_rng(2), largest=400)

    written = as_shipped(head, features, 1.0)

    assert shift_by_pooling(head, features, 1.0) > MAX_SHIFT
    assert isinstance(written.layers[0], keras.layers.Flatten)


def test_a_head_that_does_not_pool_is_left_alone():
    """There is no mean to round."""
    head = build_head("paper", (7, 7, 16), 2, seed=4)

    assert as_shipped(head, features_of(np.random.default_rng(2), largest=400), 1.0) is head
