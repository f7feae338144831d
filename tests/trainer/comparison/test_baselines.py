"""The related work's methods: fitted on the training part alone, seeded, and the joint model reads what it may."""

import numpy as np
import pytest

from edge.errors import DataError
from trainer.comparison.baselines import COMPONENTS, METHODS, WIDEST, fit_methods

N = 60
IMAGE_METHODS = [method.name for method in METHODS if not method.clinical]


@pytest.fixture
def learned() -> np.ndarray:
    """The first forty of sixty images."""
    return np.arange(N) < 40


def make_features(width: int = 8, classes: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Noise in which the first few features tell the class."""
    generator = np.random.default_rng(3)
    targets = np.arange(N) % classes
    features = generator.normal(size=(N, width)).astype(np.float32)
    features[:, :classes] += 4 * np.eye(classes, dtype=np.float32)[targets]
    return features, targets


def scores_of(features, clinical, targets, learned, seed: int = 0) -> dict[str, np.ndarray]:
    """Method to its scores of the images not learned from."""
    return {
        fitted.method.name: fitted.scores for fitted in fit_methods(features, clinical, targets, learned, seed=seed)
    }


@pytest.mark.parametrize("classes", [2, 3])
def test_every_method_learns_what_tells_the_classes_apart(classes: int, learned):
    """With two classes and with three, each method is right on nearly every image it has not seen."""
    features, targets = make_features(classes=classes)

    found = scores_of(features, None, targets, learned)

    assert list(found) == IMAGE_METHODS
    for name, scores in found.items():
        assert scores.shape == (20, classes), name
        assert (scores.argmax(axis=1) == targets[~learned]).mean() >= 0.85, name


@pytest.mark.parametrize("width", [8, WIDEST + 1])
def test_what_is_held_out_changes_nothing_that_is_learned(learned, width: int):
    """Scaling, components, settings and fit: other held-out images leave the scores of these as they were."""
    features, targets = make_features(width)
    others = features.copy()
    others[50:] = 1000

    before, after = (scores_of(each, None, targets, learned) for each in (features, others))

    for name in IMAGE_METHODS:
        np.testing.assert_array_equal(before[name][:10], after[name][:10], err_msg=name)


def test_the_same_seed_gives_the_same_scores(learned):
    """And wide features, reduced to components whose start is random, are no exception."""
    features, targets = make_features(WIDEST + COMPONENTS)

    first, second = (scores_of(features, None, targets, learned, seed=5) for _ in range(2))

    for name in IMAGE_METHODS:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)


def test_the_joint_model_reads_the_clinical_columns(learned):
    """Where only a clinical column tells the class, the joint model finds it and the others guess."""
    features = np.random.default_rng(0).normal(size=(N, 5)).astype(np.float32)
    targets = np.arange(N) % 2
    clinical = (4 * targets - 2 + np.random.default_rng(1).normal(size=N)).astype(np.float32)[:, np.newaxis]

    found = scores_of(features, clinical, targets, learned)

    right = {name: (scores.argmax(axis=1) == targets[~learned]).mean() for name, scores in found.items()}
    assert right.pop("joint") >= 0.85
    assert max(right.values()) <= 0.8


def test_a_class_too_small_to_cross_validate_is_named(learned):
    """The message says how many images are needed and how many came."""
    features, targets = make_features()
    targets = np.where(np.arange(N) < 3, 1, 0)

    with pytest.raises(DataError, match="at least 5 images of every class to learn from, got 3"):
        next(fit_methods(features, None, targets, learned, seed=0))
