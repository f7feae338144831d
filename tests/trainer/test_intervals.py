"""Intervals against textbook figures, a plain bootstrap written out, and their promise."""

import time

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from edge.interval import wilson
from trainer.intervals import Bootstrap


def clustered(n: int, *, seed: int = 0) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Patients with some images each, the truth and scores with ties."""
    generator = np.random.default_rng(seed)
    patients = [f"p{number}" for number in generator.integers(0, max(n // 3, 2), n)]
    is_positive = generator.random(n) < 0.4
    return patients, is_positive, (generator.normal(size=n) + 1.2 * is_positive).round(1).astype(np.float32)


def test_wilson_s_interval_of_a_published_example():
    """81 of 263 (Newcombe, 1998, Stat. Med. 17: 0.2553 to 0.3662); a perfect score is no certainty."""
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(200, 200)[0] == pytest.approx(0.981, abs=5e-4)
    assert wilson(0, 0) is None


def test_an_image_alone_is_a_patient_of_its_own():
    """Unknown patients are never taken for one."""
    assert Bootstrap(["a", None, "a", None, "b"]).units == 4


def test_the_area_equals_that_of_images_copied_as_often_as_drawn():
    """Weights instead of copies: the same area, ties included, as scikit-learn finds for the copies."""
    patients, is_positive, scores = clustered(60)
    bootstrap = Bootstrap(patients, resamples=200)

    sure = bootstrap.area(scores, is_positive)

    drawn = [np.repeat(np.arange(60), counts[bootstrap._unit]) for counts in bootstrap._counts]
    areas = [roc_auc_score(is_positive[rows], scores[rows]) for rows in drawn]
    assert sure.interval == pytest.approx(tuple(np.percentile(areas, [2.5, 97.5])))
    assert sure.method == "bootstrap"


def test_the_share_equals_that_of_images_copied_as_often_as_drawn():
    """Among some of the images only."""
    patients, among, scores = clustered(90, seed=1)
    bootstrap = Bootstrap(patients, resamples=200)

    sure = bootstrap.share(scores > 1, among)

    drawn = [np.repeat(np.arange(90), counts[bootstrap._unit]) for counts in bootstrap._counts]
    shares = [(scores[rows] > 1)[among[rows]].mean() for rows in drawn]
    assert sure.interval == pytest.approx(tuple(np.percentile(shares, [2.5, 97.5])))


def test_images_of_one_patient_are_no_independent_witnesses():
    """Ten images each of thirty patients, all alike: three times as wide as if they were 300 patients."""
    hits, everywhere = np.repeat(np.arange(30) % 3 > 0, 10), np.ones(300, bool)

    together = Bootstrap([str(number // 10) for number in range(300)]).share(hits, everywhere).interval
    apart = Bootstrap([None] * 300).share(hits, everywhere).interval

    assert (together[1] - together[0]) / (apart[1] - apart[0]) == pytest.approx(np.sqrt(10), rel=0.1)


def test_a_perfect_score_is_no_certainty():
    """Where resampling would say [1, 1], Wilson speaks, of patients and not of images."""
    patients = [str(number // 4) for number in range(80)]
    is_positive = np.arange(80) < 40

    share = Bootstrap(patients).share(np.ones(80, bool), np.ones(80, bool))
    area = Bootstrap(patients).area(is_positive.astype(np.float32), is_positive)

    assert (share.interval, share.method) == (wilson(20, 20), "wilson")
    assert (area.interval, area.method) == (wilson(10, 10), "wilson")


def test_nothing_is_known_of_nothing():
    """No image, or none on one side."""
    bootstrap = Bootstrap(["a", "b"])

    assert bootstrap.share(np.ones(2, bool), np.zeros(2, bool)) is None
    assert bootstrap.area(np.array([0.1, 0.2], np.float32), np.ones(2, bool)) is None


def test_the_same_seed_gives_the_same_interval():
    """And another seed another."""
    patients, is_positive, scores = clustered(60)

    first, again, other = (Bootstrap(patients, seed=seed).area(scores, is_positive) for seed in (0, 0, 1))

    assert first == again != other


def test_a_thousand_images_take_no_time():
    """2,000 resamples of shares and area within a second or so."""
    patients, is_positive, scores = clustered(1000)
    start_s = time.perf_counter()

    bootstrap = Bootstrap(patients)
    bootstrap.area(scores, is_positive)
    bootstrap.share(is_positive, np.ones(1000, bool))

    assert time.perf_counter() - start_s < 3
