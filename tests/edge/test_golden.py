"""A box that answers known pictures otherwise than the converter's machine runs nothing."""

import io
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest
from PIL import Image

from edge.assess import Assessor
from edge.bundle.bundle import Bundle, read_bundle
from edge.classify import RUNTIMES
from edge.errors import BundleError, OtherAnswersError
from edge.golden import TOLERANCE, Golden, Vector, prove, rerun

RERUN = """
import sys
from pathlib import Path
from edge.assess import Assessor
from edge.bundle.bundle import read_bundle
found = Assessor(read_bundle(Path(sys.argv[1])), runtime=sys.argv[2]).rerun
print(found.n, found.differing, found.max_probability_shift)
"""


@pytest.fixture(scope="module")
def bundle(demo_bundle) -> Bundle:
    """The demo's bundle, which carries golden vectors."""
    return read_bundle(demo_bundle)


@pytest.fixture(scope="module")
def golden(bundle: Bundle) -> Golden:
    """Its golden vectors."""
    return Golden.from_json(bundle.golden)


class Box:
    """A box whose processor does something to the logits that the converter saw."""

    runtime = "litert"

    def __init__(self, golden: Golden, fault) -> None:
        self._logits = {vector.pixels.tobytes(): vector.logits for vector in golden.vectors}
        self._fault = fault

    def run(self, pixels: np.ndarray) -> SimpleNamespace:
        """The logits as this box gives them."""
        return SimpleNamespace(logits=self._fault(np.array(self._logits[pixels.tobytes()], np.float32)))


def a_picture(width_px: int = 224, mode: str = "L", kind: str = "PNG") -> bytes:
    """A blank picture."""
    buffer = io.BytesIO()
    Image.new(mode, (width_px, 224)).save(buffer, kind)
    return buffer.getvalue()


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_the_demo_s_bundle_is_answered_here_as_where_it_was_made(demo_bundle, runtime: str):
    """Eight known pictures, decided both ways, in each runtime; in a process of its own, as on a box."""
    done = subprocess.run(
        [sys.executable, "-c", RERUN, str(demo_bundle), runtime], capture_output=True, text=True, check=True, timeout=60
    )

    n, differing, shift = map(float, done.stdout.split())

    assert (n, differing, shift) == (8, 0, 0)


def test_golden_pictures_are_decided_both_ways(bundle: Bundle, golden: Golden):
    """So one answer for everything cannot pass."""
    positive = bundle.card.labels.index(bundle.card.positive)

    sides = {vector.logits[positive] > vector.logits[1 - positive] for vector in golden.vectors}

    assert sides == {True, False}


@pytest.mark.parametrize(
    ("fault", "complaint"),
    [
        (lambda _: np.array([1, -1], np.float32), r"[1-7] of 8 known pictures .*Every picture got the same answer"),
        (lambda logits: -logits, "8 of 8 known pictures are decided otherwise"),
        (lambda logits: logits * 0.1, "[0-7] of 8 known pictures"),
        (lambda logits: logits * np.float32(np.nan), "a probability differs by 1.0"),
        (np.zeros_like, "Every picture got the same answer"),
    ],
    ids=["one answer", "sides exchanged", "too faint", "no numbers", "zeros"],
)
def test_a_faulty_processor_is_found_out(bundle: Bundle, golden: Golden, fault, complaint: str):
    """Wrong answers, a constant answer and no answer at all are each refused, with what to do."""
    box = Box(golden, fault)

    with pytest.raises(OtherAnswersError, match=complaint) as caught:
        prove(bundle, box)

    assert "install the newest ai-edge-litert" in str(caught.value)
    assert caught.value.exit_code == 70


def test_the_rounding_of_another_runtime_passes(bundle: Bundle, golden: Golden):
    """A logit that lies one step of its quantization beside the converter's moves no probability by much."""
    luck = np.random.default_rng(0)

    found = rerun(golden, Box(golden, lambda logits: logits + luck.choice([-0.17, 0, 0.17])), bundle.card)

    assert found.passed
    assert found.max_probability_shift <= TOLERANCE


def test_no_assessor_is_built_on_a_box_that_answers_otherwise(bundle: Bundle, golden: Golden):
    """Whoever has an assessor has one that was checked: agent, clinic's page and `classify` alike."""
    other = [msgspec.structs.replace(vector, logits=vector.logits[::-1]) for vector in golden.vectors]
    wrong = replace(bundle, golden=msgspec.structs.replace(golden, vectors=tuple(other)).to_json())

    with pytest.raises(OtherAnswersError, match=r"phantom-mobilenet@\w+ on litert: 8 of 8 known pictures"):
        Assessor(wrong)

    assert Assessor(bundle).rerun.passed


def test_an_older_bundle_without_known_pictures_still_runs(bundle: Bundle):
    """Nothing is claimed of it."""
    assert Assessor(replace(bundle, golden=None)).rerun is None


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "is not one this version reads"),
        (b"{}", "is not one this version reads"),
        (b"[" * 100_000, "is not one this version reads"),
        (b'{"made_with": "x", "vectors": []}', "vectors"),
        (b'{"made_with": "x", "vectors": [], "schema": "xray.golden/2"}', "xray.golden/2|vectors"),
        (b'{"made_with": "x", "vectors": [{"name": "n", "picture": "", "logits": [1]}]}', "logits"),
    ],
)
def test_what_are_no_golden_vectors_is_refused(content: bytes, complaint: str):
    """Broken, empty and of a later version."""
    with pytest.raises(BundleError, match=complaint):
        Golden.from_json(content)


@pytest.mark.parametrize(
    ("picture", "complaint"),
    [
        (b"", "cannot be read"),
        (a_picture()[:60], "cannot be read"),
        (a_picture(kind="BMP"), "cannot be read"),
        (a_picture(width_px=30_000), "expected golden pictures of 224 x 224"),
        (a_picture(mode="RGB"), "expected golden pictures of 224 x 224"),
    ],
)
def test_a_golden_picture_of_another_kind_is_refused(picture: bytes, complaint: str):
    """By its header, before it is unfolded."""
    vector = Vector(name="n", picture=picture, logits=(1.0, 2.0))

    with pytest.raises(BundleError, match=complaint):
        vector.pixels  # noqa: B018 - reading it is the act


def test_logits_of_another_card_are_refused(bundle: Bundle, golden: Golden):
    """Three logits do not belong to two labels."""
    three = msgspec.structs.replace(golden.vectors[0], logits=(1.0, 2.0, 3.0))

    with pytest.raises(BundleError, match="do not fit the labels"):
        rerun(msgspec.structs.replace(golden, vectors=(three,)), Box(golden, abs), bundle.card)
