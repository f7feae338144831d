"""The guard's clouds, found on made-up features, know their own and refuse what is far from them."""

import numpy as np
import pytest

from edge.errors import DataError
from edge.guard import FRAGMENT, INVERTED, REASONS, SIDEWAYS, STRANGE, UPSIDE_DOWN
from trainer.guard import fit_guard, spoiled

CHANNELS = 48


def cloud(centre: int, count: int, seed: int) -> np.ndarray:
    """`(count, 48) float32`: directions around a centre, along eight dimensions and a little off them."""
    generator = np.random.default_rng(seed)
    plane = np.random.default_rng(99).normal(size=(8, CHANNELS))
    middle = np.random.default_rng(centre).normal(size=CHANNELS) * 6
    spread = generator.normal(size=(count, 8)) @ plane
    points = middle + spread + generator.normal(size=(count, CHANNELS)) / 10
    return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)


def judged(guard, points: np.ndarray) -> list[str | None]:
    """The reasons for refusing pictures whose features are the same everywhere."""
    return [guard.judge(np.broadcast_to(point, (7, 7, CHANNELS))).reason for point in points]


def test_unseen_chests_pass_and_others_are_named():
    """At most a few chests beyond the limit; negatives called so; what nobody showed it is strange."""
    others = np.concatenate([cloud(1, 60, 1), cloud(2, 60, 2)])

    guard = fit_guard(cloud(0, 300, 0), others, [INVERTED] * 60 + [SIDEWAYS] * 60).guard

    assert judged(guard, cloud(0, 200, 10)).count(None) >= 194
    assert judged(guard, cloud(1, 50, 11)).count(REASONS[INVERTED]) >= 47
    assert judged(guard, cloud(2, 50, 12)).count(REASONS[SIDEWAYS]) >= 47
    assert judged(guard, cloud(3, 50, 13)) == [STRANGE] * 50


def test_about_one_in_fifty_training_images_is_left_outside():
    """Each training image is measured by a guard of the folds it is not in."""
    fitted = fit_guard(cloud(0, 300, 0), cloud(1, 60, 1), [INVERTED] * 60)

    assert len(fitted.strangeness) == 300
    assert 1 <= (fitted.strangeness > 1).sum() <= 7


def test_the_same_features_give_the_same_guard():
    """Nothing in it is drawn anew."""
    arguments = cloud(0, 50, 0), cloud(1, 20, 1), [INVERTED] * 20

    assert fit_guard(*arguments).guard.to_json() == fit_guard(*arguments).guard.to_json()


def test_a_handful_of_images_is_not_enough():
    """The error says how many are needed."""
    with pytest.raises(DataError, match="at least 10 training images"):
        fit_guard(cloud(0, 9, 0), cloud(1, 9, 1), [INVERTED] * 9)


def test_films_are_spoiled_as_a_darkroom_or_a_scanner_would():
    """Inverted, turned both ways, upside down, and a small part blown up."""
    film = np.arange(224 * 224, dtype=np.uint32).reshape(224, 224).astype(np.uint8)

    made = spoiled(film, np.random.default_rng(0))

    assert [kind for kind, _ in made] == [INVERTED, SIDEWAYS, SIDEWAYS, UPSIDE_DOWN, FRAGMENT]
    assert np.array_equal(255 - made[0][1], film)
    assert np.array_equal(made[3][1][::-1, ::-1], film)
    assert all(picture.shape == film.shape and picture.dtype == np.uint8 for _, picture in made)
