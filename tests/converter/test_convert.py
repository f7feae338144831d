"""A conversion made for real decides like the model it stands for, in both runtimes, and explains itself."""

import json
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest
import tensorflow as tf

from converter import refit
from converter.cli import main
from converter.material import read_material
from edge.assess import Assessor
from edge.bundle.bundle import Bundle, read_bundle, write_bundle
from edge.bundle.signature import Trust
from edge.classify import Classifier
from edge.explain import heatmap
from edge.preprocess import SIDE_PX
from trainer.examine import examine
from trainer.model_file import read_training

RUN = """
import json, sys
import numpy as np
from pathlib import Path
from edge.assess import Assessor
from edge.bundle.bundle import Bundle, read_bundle, write_bundle
from edge.classify import Classifier
from edge.decide import softmax
classifier = Classifier(read_bundle(Path(sys.argv[1])).model, runtime=sys.argv[2])
images = np.load(sys.argv[3])
print(json.dumps([softmax(classifier.run(image).logits).tolist() for image in images]))
"""


def held_out_pixels(line) -> np.ndarray:
    """`(n, 224, 224, 3) uint8`, the images that neither trainer nor converter has learned from."""
    part = read_material(line.model, line.data, line.cache).held_out
    return part.pixels.take(slice(0, len(part.keys)))


def test_the_shipped_file_decides_like_the_refitted_model(line):
    """The card holds the parity, metrics of the int8 file, and sentences on what they are worth."""
    card = read_bundle(line.bundle).card

    assert card.parity.agreement == 1.0
    assert card.parity.max_probability_shift <= 0.03
    assert card.metrics["accuracy"] >= 0.9
    assert card.metrics["n"] == card.parity.n == 10
    assert "10 images of 'phantoms' (5 clear, 5 striped)" in card.validated_on
    assert "outside 'phantoms'" in card.not_validated_on


def test_what_is_converted_with_a_key_is_trusted(line):
    """The bundle that the converter wrote is one that a box with that key runs, in the version that was asked for."""
    bundle = read_bundle(line.bundle, Trust(keys=(line.key,)))

    assert bundle.signer == line.summary["signed_by"] == line.key.fingerprint
    assert bundle.card.version == line.summary["version"] == 7


def test_only_pooling_or_flattening_and_dense_layers_lie_behind_the_features(line):
    """So `edge.explain` can read the whole head from the file."""
    bundle = read_bundle(line.bundle)
    classifier = Classifier(bundle.model, runtime="litert")
    names = [operator["op_name"] for operator in classifier._interpreter._get_ops_details()]

    behind = names[max(n for n, name in enumerate(names) if name.endswith("CONV_2D")) + 1 :]

    allowed = {"AVERAGE_POOL_2D", "RESHAPE", "FULLY_CONNECTED", "DEQUANTIZE", "DELEGATE"}
    assert set(behind) <= allowed
    assert classifier.head().pooled == (bundle.card.head == "gap")
    assert len(classifier.head().layers) == {"gap": 1, "paper": 3}[bundle.card.head]


def test_the_heatmap_is_what_a_gradient_tape_computes(line):
    """HiResCAM of the refitted float head on the same int8 features, for the decided label of each held-out image."""
    bundle = read_bundle(line.bundle)
    classifier = Classifier(bundle.model, runtime="litert")
    trained = read_material(line.model, line.data, line.cache).trained
    refitted = refit.find(bundle.card.recipe["refit"]["head_sha256"], trained.head, line.cache)
    for image in held_out_pixels(line):
        output = classifier.run(image)
        label = int(output.logits.argmax())
        x = tf.constant(output.features[np.newaxis])
        with tf.GradientTape() as tape:
            tape.watch(x)
            logit = refitted(x)[0, label]
        expected = np.maximum((tape.gradient(logit, x).numpy()[0] * output.features).sum(axis=-1), 0)

        found = heatmap(output.features, classifier.head(), label)

        assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] >= 0.999


def test_both_runtimes_load_the_bundle_and_agree(line, tmp_path: Path):
    """To the last bit; each in a process of its own."""
    np.save(tmp_path / "images.npy", held_out_pixels(line))
    answers = []
    for runtime in ("litert", "tflite-runtime"):
        command = [sys.executable, "-c", RUN, line.bundle, runtime, tmp_path / "images.npy"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        answers.append(np.array(json.loads(done.stdout)))

    assert len(np.unique(answers[0], axis=0)) > 1
    assert (answers[0] == answers[1]).all()


def test_parity_finds_the_refitted_head_or_makes_the_same_again(line, tmp_path: Path, capfd):
    """With the cache and without it the figures are those of the card, and the output says which it was."""
    command = ["parity", str(line.model), str(line.bundle), "--data", str(line.data), "--json", "--cache"]

    kept_code = main([*command, str(line.cache)])
    kept = json.loads(capfd.readouterr().out)
    again_code = main([*command, str(tmp_path / "empty")])
    again = json.loads(capfd.readouterr().out)

    assert (kept_code, again_code) == (0, 0)
    assert (kept.pop("allowed"), again.pop("allowed")) == (None, None)
    assert kept.pop("refitted_head") == refit.KEPT
    assert again.pop("refitted_head") == refit.SAME
    assert kept == again == line.summary["parity"]


def test_evaluating_the_bundle_gives_the_card_s_figures(line, tmp_path: Path):
    """`edge-trainer evaluate` knows the training images by the card and leaves them out."""
    card = read_bundle(line.bundle).card

    document = examine(line.bundle, line.data, out=tmp_path, cache=line.cache, skip_bad=False)

    assert np.array_equal(document["confusion_matrix"], card.metrics["confusion_matrix"])
    assert document["n"] == card.metrics["n"]


def test_a_bundle_that_does_not_say_what_it_learned_from_is_evaluated_with_a_warning(line, tmp_path: Path, caplog):
    """Nothing can be left out, and neither the log nor the document pretends otherwise."""
    bundle = read_bundle(line.bundle)
    silent = Bundle(msgspec.structs.replace(bundle.card, trained_on=""), bundle.model)
    write_bundle(silent, tmp_path / "silent.bundle")

    document = examine(tmp_path / "silent.bundle", line.data, out=tmp_path, cache=line.cache, skip_bad=False)

    assert (document["n"], document["left_out_as_trained_on"]) == (48, None)
    assert "does not say what it was trained on" in caplog.text


def test_neither_calibration_nor_refitting_sees_a_held_out_image(line):
    """The learned part is exactly the trainer's, and int8 features were kept of no other image."""
    split = read_training(line.model).split
    material = read_material(line.model, line.data, line.cache)
    kept = [set(file.read_text().split()) for file in line.cache.glob("features-int8-*/keys.txt")]

    assert set(material.learned.keys) == set(split.train)
    assert kept == [set(split.train)]


@pytest.mark.parametrize("line", ["gap"], indirect=True)
def test_beyond_the_budget_no_bundle_is_written_unless_somebody_says_why(line, tmp_path: Path, capfd, monkeypatch):
    """Exit 1 and nothing on the disk; with a reason the bundle carries it, and so does what every report carries."""
    monkeypatch.setattr("converter.gate.MAX_PROBABILITY_SHIFT", -1.0)
    out = tmp_path / "x.bundle"
    command = ["convert", str(line.model), "--data", str(line.data), "--out", str(out), "--cache", str(line.cache)]

    refused = main(command)
    left = list(tmp_path.iterdir())
    said = capfd.readouterr().err
    allowed = main([*command, "--allow", "for a test\nof the gate"])

    assert (refused, left, "at most -1.0 is allowed" in said) == (1, [], True)
    assert allowed == 0
    assert Assessor(read_bundle(out)).identity.allowed == "for a test of the gate"
    assert main(["parity", str(line.model), str(out), "--data", str(line.data), "--cache", str(line.cache)]) == 1


@pytest.mark.parametrize("reason", ["", "   ", "x" * 201])
def test_a_reason_must_say_something_and_fit_into_a_report(reason: str, capfd):
    """Else it is a usage error."""
    with pytest.raises(SystemExit) as stopped:
        main(["convert", "m.keras", "--data", "d", "--out", "o", "--allow", reason])

    assert stopped.value.code == 2
    assert "expected a reason of 1 to 200 characters" in capfd.readouterr().err


def test_the_input_takes_raw_bytes(line):
    """Scale 1 and zero point 0, so that the box hands over the picture as it is."""
    classifier = Classifier(read_bundle(line.bundle).model, runtime="litert")

    assert classifier._interpreter.get_input_details()[0]["quantization"] == (1.0, 0)
    assert classifier.run(np.zeros((SIDE_PX, SIDE_PX, 3), np.uint8)).features.min() >= 0
