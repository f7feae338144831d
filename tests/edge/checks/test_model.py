"""Bundle, runtime and known pictures, as the agent would meet them."""

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

import edge.checks.model
from converter.keys import make_key, read_key
from edge.bundle.bundle import read_bundle, write_bundle
from edge.checks.model import model_checks
from edge.errors import ConfigError
from edge.golden import Golden
from edge.settings.config import AgentConfig


def states(config: AgentConfig) -> dict[str, str]:
    """Name to state."""
    return {check.name: check.state.value for check in model_checks(config)}


def test_a_signed_bundle_that_decides_as_it_should_is_all_right(demo_bundle: Path, tmp_path: Path):
    """Its key, its runtime and its known pictures are named."""
    keys = make_key(tmp_path)
    write_bundle(read_key(keys.private).sign(read_bundle(demo_bundle)), tmp_path / "signed.bundle")
    config = AgentConfig(model=str(tmp_path / "signed.bundle"), trust=(str(keys.public),))

    found = list(model_checks(config))

    assert [check.state.value for check in found] == ["ok", "ok", "ok", "ok"]
    assert keys.key.fingerprint in found[0].text
    assert "ai-edge-litert" in found[2].text
    assert "with XNNPACK" in found[2].text
    assert "8 known pictures" in found[3].text


def test_an_unsigned_bundle_is_warned_of(demo_bundle: Path):
    """It runs, because that was allowed."""
    config = AgentConfig(model=str(demo_bundle), allow_unsigned=True)

    assert states(config) == {"bundle": "warn", "operators": "ok", "runtime": "ok", "known pictures": "ok"}


@pytest.mark.parametrize(("model", "complaint"), [("", "no model"), ("nowhere", "found nothing"), (None, "no key to")])
def test_without_a_bundle_that_may_run_nothing_is_loaded(demo_bundle: Path, model: str | None, complaint: str):
    """None configured, none there, none that is trusted; the rest is skipped."""
    found = list(model_checks(AgentConfig(model=str(demo_bundle) if model is None else model)))

    assert complaint in found[0].text
    assert found[0].cure
    assert [check.state.value for check in found] == ["fail", "skipped", "skipped", "skipped"]


def test_a_runtime_that_is_not_there_is_named(demo_bundle: Path, monkeypatch: pytest.MonkeyPatch):
    """With what to install."""

    def missing(*_: object, **__: object) -> None:
        raise ConfigError("litert is not installed; pip install 'edge-xray[edge]'")

    monkeypatch.setattr(edge.checks.model, "Classifier", missing)

    found = list(model_checks(AgentConfig(model=str(demo_bundle), allow_unsigned=True)))

    assert [check.state.value for check in found] == ["warn", "ok", "fail", "skipped"]
    assert found[2].cure == "pip install 'edge-xray[edge]'"


@pytest.mark.parametrize(
    ("changes", "runtime", "complaint"),
    [
        ({"operators": {"CONV_2D": 99}}, "auto", "its card speaks of CONV_2D 99"),
        (
            {"oldest_runtime": "2.17.0"},
            "tflite-runtime",
            "tflite-runtime has an older one",
        ),
        ({"oldest_runtime": "2.17.0"}, "litert", None),
        ({"oldest_runtime": "2.3.0"}, "tflite-runtime", None),
    ],
)
def test_operators_are_held_against_card_and_runtime(
    demo_bundle: Path, tmp_path: Path, changes: dict[str, object], runtime: str, complaint: str | None
):
    """A card that speaks of others, and a runtime that is too old for them."""
    bundle = read_bundle(demo_bundle)
    write_bundle(replace(bundle, card=msgspec.structs.replace(bundle.card, **changes)), tmp_path / "changed")
    config = AgentConfig(model=str(tmp_path / "changed"), allow_unsigned=True, runtime=runtime)

    check = next(check for check in model_checks(config) if check.name == "operators")

    assert check.state == ("ok" if complaint is None else "fail")
    assert complaint is None or complaint in check.text


def test_a_box_that_decides_otherwise_fails(demo_bundle: Path, tmp_path: Path):
    """With how many pictures, and the advice not to use the box."""
    bundle = read_bundle(demo_bundle)
    golden = Golden.from_json(bundle.golden)
    turned = tuple(msgspec.structs.replace(vector, logits=vector.logits[::-1]) for vector in golden.vectors)
    other = replace(bundle, golden=msgspec.structs.replace(golden, vectors=turned).to_json())
    write_bundle(other, tmp_path / "other.bundle")

    *_, known = model_checks(AgentConfig(model=str(tmp_path / "other.bundle"), allow_unsigned=True))

    assert known.state == "fail"
    assert "8 of 8 known pictures" in known.text
    assert "do not use this box" in known.cure


def test_an_older_bundle_and_a_damaged_entry_are_told_apart(demo_bundle: Path, tmp_path: Path):
    """Without known pictures: a warning. With what cannot be read: a failure."""
    bundle = read_bundle(demo_bundle)
    write_bundle(replace(bundle, golden=None), tmp_path / "older")
    write_bundle(replace(bundle, golden=b"{}"), tmp_path / "damaged")

    found = {
        name: states(AgentConfig(model=str(tmp_path / name), allow_unsigned=True))["known pictures"]
        for name in ("older", "damaged")
    }

    assert found == {"older": "warn", "damaged": "fail"}
