"""Both runtimes load the same file and decide the same."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edge.bundle.bundle import read_bundle
from edge.classify import Classifier
from edge.errors import BundleError, ConfigError

SCRIPT = """
import json, sys
from pathlib import Path
from edge.assess import Assessor
from edge.bundle.bundle import read_bundle
from edge.decoding.decode import decode
from edge.phantom import phantom
assessor = Assessor(read_bundle(Path(sys.argv[1])), runtime=sys.argv[2])
findings = [assessor.assess(decode(phantom(seed).png())) for seed in range(30_000_000, 30_000_040)]
print(json.dumps([[f.decision, f.probabilities, None if f.heatmap is None else f.heatmap.tolist()] for f in findings]))
"""


def test_litert_and_tflite_runtime_find_the_same_with_the_demo_s_bundle(demo_bundle: Path):
    """Decisions, probabilities and heatmaps of 40 phantoms, to the bit; each runtime in a process of its own."""
    answers = []
    for runtime in ("litert", "tflite-runtime"):
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, demo_bundle, runtime], capture_output=True, text=True, check=True
        )
        answers.append(json.loads(done.stdout))

    assert answers[0] == answers[1]
    assert sum(heatmap is not None for _, _, heatmap in answers[0]) > 30


def test_a_runtime_that_is_not_there_is_told():
    """The error says what to install; nothing else is used instead."""
    with pytest.raises(ConfigError, match="runtime must be auto, litert or tflite-runtime"):
        Classifier(b"", runtime="gpu")


@pytest.mark.parametrize("model", [b"", b"no model at all" * 10])
def test_bytes_that_are_no_model_are_refused(model: bytes):
    """The runtime's own complaint is passed on."""
    with pytest.raises(BundleError, match="litert cannot load the model"):
        Classifier(model, runtime="litert")


def test_the_head_is_read_from_the_model(demo_bundle: Path):
    """Running the head in NumPy on the model's features gives the model's logits."""
    bundle = read_bundle(demo_bundle)
    classifier = Classifier(bundle.model, runtime="litert")
    head = classifier.head()
    pixels = np.random.default_rng(0).integers(0, 256, (224, 224, 3)).astype(np.uint8)

    output = classifier.run(pixels)

    (layer,) = head.layers
    weights = layer.scale * (layer.weights.astype(np.float32) - layer.zero_point)
    assert head.pooled
    assert output.features.shape == bundle.card.features
    assert weights @ output.features.mean(axis=(0, 1)) + layer.bias == pytest.approx(output.logits, abs=0.15)


def test_the_head_s_weights_stay_in_the_model_file(demo_bundle: Path):
    """A copy of the paper's head would take an eighth of the memory that the box's program may."""
    model = read_bundle(demo_bundle).model
    head = Classifier(model).head()

    assert all(np.shares_memory(layer.weights, np.frombuffer(model, np.uint8)) for layer in head.layers)
