"""A short look at what the campaigns look at for long: every damaged input is taken, or refused with its error."""

import random
from contextlib import ExitStack
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

SPEC = spec_from_file_location("campaign", Path(__file__).with_name("campaign.py"))
campaign = module_from_spec(SPEC)
SPEC.loader.exec_module(campaign)


@pytest.fixture(scope="module", params=["decode", "config", "messages", "bundle"])
def target(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    """What is thrown at, and the valid inputs to begin with."""
    with ExitStack() as stack:
        yield campaign.prepare(request.param, tmp_path_factory.mktemp("fuzz"), stack, in_child=True)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**32))
def test_damage_is_taken_or_refused(target, seed: int):
    """As the campaign damages it: one number tells which input it was."""
    throw, seeds = target
    luck = random.Random(seed)

    assert throw(campaign.damage(luck.choice(seeds), luck, seeds)) in {"taken", "refused"}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=2000) | st.text(max_size=500).map(str.encode))
def test_noise_is_taken_or_refused(target, content: bytes):
    """Bytes that never were anything."""
    throw, _ = target

    assert throw(content) in {"taken", "refused"}


def test_valid_input_is_taken(target):
    """Else the damage would meet nothing."""
    throw, seeds = target

    assert "taken" in {throw(content) for content in seeds}
