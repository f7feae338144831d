"""The real commands run no model that decides otherwise on this box than where it was made."""

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from edge.bundle.bundle import read_bundle, write_bundle
from edge.golden import Golden


@pytest.fixture
def of_another_processor(demo_bundle: Path, tmp_path: Path) -> Path:
    """The demo's bundle with the answers of a machine that decides the other way."""
    bundle = read_bundle(demo_bundle)
    golden = Golden.from_json(bundle.golden)
    turned = tuple(msgspec.structs.replace(vector, logits=vector.logits[::-1]) for vector in golden.vectors)
    path = tmp_path / "turned.bundle"
    write_bundle(replace(bundle, golden=msgspec.structs.replace(golden, vectors=turned).to_json()), path)
    return path


def test_the_agent_refuses_to_start(agent, of_another_processor: Path, mosquitto, phantoms, tmp_path: Path):
    """Exit 70 with cause and cure; the image that waited stays where it was, and nobody is told of a finding."""
    watched = tmp_path / "in"
    watched.mkdir()
    (name,) = phantoms(watched, 1)

    one = agent("--broker", mosquitto.address, "--model", of_another_processor, "--watch", watched)

    assert one.code() == 70
    assert "8 of 8 known pictures are decided otherwise than where the model was made (litert " in one.err[-1]
    assert "run `edge-agent check`" in one.err[-1]
    assert (watched / name).exists()
    assert not any("finding id=" in line or "connected" in line for line in one.err)


def test_classify_refuses_too(agent, of_another_processor: Path, phantoms, tmp_path: Path):
    """No line on stdout."""
    (name,) = phantoms(tmp_path, 1)

    one = agent("classify", tmp_path / name, "--model", of_another_processor)

    assert one.code() == 70
    assert one.out == []
    assert "known pictures" in one.err[-1]


def test_a_box_that_decides_as_the_converter_did_says_so(agent, demo_bundle: Path, tmp_path: Path):
    """One log line at the start."""
    one = agent("--broker", "127.0.0.1:1", "--first-contact-s", "0", "--model", demo_bundle, "--watch", tmp_path)

    one.wait_for_line("8 known pictures are decided as where the model was made")
    assert one.end() == 0
