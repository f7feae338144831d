"""Golden vectors lie on both sides of the threshold, near it where that is safe, and show nobody."""

from dataclasses import replace
from itertools import islice
from pathlib import Path

import msgspec
import numpy as np
import pytest

from converter.cli import main
from converter.golden import candidates, choose, with_golden
from converter.keys import make_key
from edge.bundle.bundle import Card, read_bundle, write_bundle
from edge.bundle.signature import Trust
from edge.decide import softmax
from edge.errors import GateError
from edge.golden import TOLERANCE, Golden


@pytest.fixture(scope="module")
def card(demo_bundle: Path) -> Card:
    """The demo's card: two labels, the second is looked for."""
    return read_bundle(demo_bundle).card


def logits_of(distances: np.ndarray) -> np.ndarray:
    """Two logits that lie so far apart, `(n, 2) float32`."""
    return np.stack([-distances / 2, distances / 2], axis=1).astype(np.float32)


def test_each_side_gives_as_many_from_near_to_far(card: Card):
    """Of 200 candidates with logits from -20 to 20 apart, four are taken on each side, the nearest safe one first."""
    distances = np.linspace(-20, 20, 200)
    shares = softmax(logits_of(distances))[:, 1]

    taken = choose(logits_of(distances), card, count=8)

    assert len(set(taken)) == 8
    assert [shares[k] > 0.5 for k in taken] == [False] * 4 + [True] * 4
    slopes = shares[taken] * (1 - shares[taken]) * 0.04 * 20
    assert TOLERANCE / 3 < slopes.max() <= TOLERANCE * 1.3
    assert min(taken) == 0
    assert max(taken) == 199


def test_none_lies_where_rounding_could_decide_it(card: Card):
    """Those within the rounding's reach of the threshold or of the band's ends are never taken."""
    banded = msgspec.structs.replace(card, band=(0.3, 0.9), temperature=1.0)
    distances = np.linspace(-8, 8, 400)
    shares = softmax(logits_of(distances))[:, 1]

    taken = choose(logits_of(distances), banded, count=40)

    assert all(abs(shares[k] - edge) > TOLERANCE for k in taken for edge in (0.3, 0.5, 0.9))


def test_being_unsure_is_a_decision_of_its_own(card: Card):
    """A model that calls drawn pictures clear or nothing at all still tells a sound box from a broken one."""
    banded = msgspec.structs.replace(card, band=(0.4, 0.999), temperature=1.0)
    distances = np.concatenate([np.linspace(-8, -6, 50), np.linspace(3, 5, 50)])

    taken = choose(logits_of(distances), banded, count=8)

    assert [k < 50 for k in taken] == [True] * 4 + [False] * 4


@pytest.mark.parametrize("distances", [np.linspace(2, 9, 50), np.full(50, 9.0)])
def test_a_model_of_one_answer_gets_none(card: Card, distances: np.ndarray):
    """No vectors could tell a broken box from a sound one, so no bundle pretends they do."""
    with pytest.raises(GateError, match="no golden vectors can tell"):
        choose(logits_of(distances), card, count=8)


def test_candidates_are_the_same_at_every_call():
    """Drawn from seeds, in few grays, of the network's size, and each phantom in eight ways."""
    first, again = list(islice(candidates(), 16)), list(islice(candidates(), 16))

    assert len({each.name for each in first}) == 16
    assert {each.gray.shape for each in first} == {(224, 224)}
    assert max(len(np.unique(each.gray)) for each in first) <= 32
    assert all((one.gray == other.gray).all() for one, other in zip(first, again, strict=True))


def test_a_conversion_gives_its_bundle_golden_vectors(line):
    """Signed with the rest, and right on the machine that made them."""
    bundle = read_bundle(line.bundle, Trust(keys=(line.key,)))

    golden = Golden.from_json(bundle.golden)

    assert golden.made_with.startswith("litert ")
    assert all(vector.name.startswith("phantom ") for vector in golden.vectors)


def test_an_older_bundle_is_given_golden_vectors_by_a_command(demo_bundle: Path, tmp_path: Path):
    """The model stays; a key signs what is new, and without one the old signature is gone."""
    keys, before = make_key(tmp_path), read_bundle(demo_bundle)
    old, new = tmp_path / "old.bundle", tmp_path / "new.bundle"
    write_bundle(replace(before, golden=None), old)

    code = main(["golden", str(old), "--out", str(new), "--key", str(keys.private)])

    signed = read_bundle(new, Trust(keys=(keys.key,)))
    assert code == 0
    assert signed.model == before.model
    assert signed.golden == before.golden
    assert with_golden(signed).signature is None
