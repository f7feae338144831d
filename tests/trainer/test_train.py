"""The command trains, writes what it promises, and stops with a sentence and the stated code."""

import json
import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path

import keras
import msgspec
import numpy as np
import pytest

from edge.decoding.decode import decode
from edge.preprocess import preprocess
from trainer.cli import main
from trainer.dataset import read_dataset
from trainer.model_file import read_training
from trainer.recipes import RECIPES, Augmentation, FineTune, Recipe
from trainer.trunk import load_trunk

NAME = "quick"
QUICK = Recipe(name=NAME, backbone="mobilenet", head="gap", frozen=True, epochs=2, batch=8, alpha=0.25, folds=2)


@pytest.fixture(autouse=True)
def quick_recipe(monkeypatch: pytest.MonkeyPatch):
    """A recipe that takes seconds, under a name of its own."""
    monkeypatch.setitem(RECIPES, NAME, QUICK)


@dataclass(frozen=True)
class Run:
    """One call of the command."""

    code: int
    out: str
    err: str


@pytest.fixture
def edge_trainer(capfd: pytest.CaptureFixture[str], tmp_path: Path):
    """Call `edge-trainer` with a cache of the test's own."""

    def call(*arguments: object) -> Run:
        code = main([*map(str, arguments), "--cache", str(tmp_path / "cache")])
        return Run(code, *capfd.readouterr())

    return call


def train_arguments(data: Path, out: Path, recipe: str = NAME) -> list[object]:
    """The shortest `train` command line."""
    return ["train", data, "--recipe", recipe, "--weights", "none", "--out", out]


def test_a_run_writes_one_model_file_and_its_metrics(edge_trainer, dataset_root: Path, tmp_path: Path):
    """Stdout is the one JSON document of `metrics.json`; the split travels inside `model.keras`, which Keras loads."""
    run = edge_trainer(*train_arguments(dataset_root, tmp_path / "out"), "--json")

    document = json.loads(run.out)
    assert run.code == 0
    assert document == json.loads((tmp_path / "out" / "metrics.json").read_bytes())
    wanted = {"accuracy", "auc", "sensitivity", "specificity", "ci95", "confusion_matrix", "labels", "n", "recipe"}
    assert wanted | {"backbone", "head", "split", "seed", "seconds"} <= set(document)
    training = read_training(tmp_path / "out" / "model.keras")
    assert (len(training.split.train), len(training.split.held_out), document["n"]) == (16, 4, 4)
    assert training.operating_point.n == 16
    assert "model-card.md" in {path.name for path in (tmp_path / "out").iterdir()}
    assert "Decision support" in (tmp_path / "out" / "report.html").read_text()
    model = keras.models.load_model(tmp_path / "out" / "model.keras")
    pixels = preprocess(decode((dataset_root / "covid" / "000.png").read_bytes()))[np.newaxis].astype(np.float32)
    assert model.predict_on_batch(pixels).sum() == pytest.approx(1, abs=1e-5)


def test_the_same_seed_gives_the_same_numbers_and_nothing_is_computed_twice(
    edge_trainer, dataset_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The second run reads pixels and features from the cache: with the pictures' decoder gone it still works."""
    first = edge_trainer(*train_arguments(dataset_root, tmp_path / "a"), "--json")
    monkeypatch.setattr("trainer.features.decode", None)
    monkeypatch.setattr("trainer.features._forward", lambda *_: None)

    second = edge_trainer(*train_arguments(dataset_root, tmp_path / "b"), "--json")

    changing = ("seconds", "created_at")
    a, b = ({k: v for k, v in json.loads(run.out).items() if k not in changing} for run in (first, second))
    assert a == b


def test_a_backbone_that_is_not_frozen_learns(edge_trainer, dataset_root: Path, tmp_path: Path, monkeypatch):
    """Its weights, BatchNorm's statistics included, are no longer those it started from."""
    monkeypatch.setitem(
        RECIPES, NAME, msgspec.structs.replace(QUICK, frozen=False, epochs=1, folds=0, validation_share=0.2)
    )

    run = edge_trainer(*train_arguments(dataset_root, tmp_path / "out"))

    assert run.code == 0, run.err
    trained = keras.models.load_model(tmp_path / "out" / "model.keras").get_layer("trunk")
    fresh = load_trunk("mobilenet", weights="none", alpha=0.25, seed=0).model
    moved = [not np.array_equal(a, b) for a, b in zip(trained.get_weights(), fresh.get_weights(), strict=True)]
    assert all(moved)


def test_a_second_stage_moves_the_last_blocks_and_nothing_below(
    edge_trainer, dataset_root: Path, tmp_path: Path, monkeypatch
):
    """Nor BatchNorm's statistics anywhere; the operating point comes from images that neither stage learned from."""
    tuned = msgspec.structs.replace(
        QUICK, folds=0, validation_share=0.3, fine_tune=FineTune(blocks=1, epochs=2, learning_rate=1e-3)
    )
    monkeypatch.setitem(RECIPES, NAME, tuned)

    run = edge_trainer(*train_arguments(dataset_root, tmp_path / "out"), "--json")

    assert run.code == 0, run.err
    trained = keras.models.load_model(tmp_path / "out" / "model.keras").get_layer("trunk").get_layer("backbone")
    fresh = load_trunk("mobilenet", weights="none", alpha=0.25, seed=0).model.get_layer("backbone")
    moved = {
        layer.name
        for layer, other in zip(trained.layers, fresh.layers, strict=True)
        if not all(map(np.array_equal, layer.get_weights(), other.get_weights()))
    }
    assert {"conv_dw_13", "conv_pw_13"} <= moved
    assert all("_13" in name for name in moved)
    statistics = [layer for layer in trained.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert all((layer.moving_mean == 0).numpy().all() for layer in statistics)
    split = read_training(tmp_path / "out" / "model.keras").split
    assert not set(split.validation) & {*split.train, *split.held_out}
    assert json.loads(run.out)["n_validation"] == len(split.validation) > 0


def test_augmented_copies_are_kept_and_the_held_out_images_stay_as_they_are(
    edge_trainer, dataset_root: Path, tmp_path: Path, monkeypatch
):
    """One folder of features for the images, of which the held-out ones are evaluated, and one for each copy."""
    ranges = Augmentation(rotation_deg=10, width_shift=0.2, height_shift=0.2, shear_deg=0.2, zoom=0.2, copies=2)
    monkeypatch.setitem(RECIPES, NAME, msgspec.structs.replace(QUICK, augmentation=ranges))

    run = edge_trainer(*train_arguments(dataset_root, tmp_path / "out"))

    assert run.code == 0, run.err
    rows = [len(keys.read_text().split()) for keys in sorted((tmp_path / "cache").glob("features-*/keys.txt"))]
    assert sorted(rows) == [16, 16, 20]


def test_a_source_is_held_out_by_name(edge_trainer, dataset_root: Path, tmp_path: Path):
    """And a name that nobody has is answered with those there are."""
    files = sorted(f"{path.parent.name}/{path.name}" for path in dataset_root.glob("*/*.png"))
    rows = [f"{file},{file.split('/')[0]},{'north' if index % 5 else 'south'}" for index, file in enumerate(files)]
    (dataset_root / "manifest.csv").write_text("\n".join(["file,label,source", *rows]))
    source = ("--split", "source", "--held-out-source")

    wrong = edge_trainer(*train_arguments(dataset_root, tmp_path / "out"), *source, "east")
    right = edge_trainer(*train_arguments(dataset_root, tmp_path / "out"), *source, "south", "--json")

    assert (wrong.code, "north, south" in wrong.err) == (65, True)
    document = json.loads(right.out)
    assert [row["source"] for row in document["by_source"]] == ["south"]
    assert (document["split"], document["held_out_source"], document["n"]) == ("source", "south", 4)


def test_the_targets_of_the_operating_point_are_shares(edge_trainer, dataset_root: Path, tmp_path: Path):
    """They are stated in what is written; anything but a share is a question of usage."""
    run = edge_trainer(
        *train_arguments(dataset_root, tmp_path / "out"),
        "--target-sensitivity",
        0.9,
        "--target-accuracy",
        0.7,
        "--json",
    )

    point = json.loads(run.out)["operating_point"]
    assert (point["target_sensitivity"], point["target_accuracy"], point["n"]) == (0.9, 0.7, 16)
    with pytest.raises(SystemExit, match="2"):
        edge_trainer(*train_arguments(dataset_root, tmp_path / "b"), "--target-accuracy", 98)


def test_unreadable_images_are_listed_and_stop_the_run(edge_trainer, dataset_root: Path, tmp_path: Path):
    """Exit code 65 with the names; with --skip-bad the rest is trained on and the count is kept."""
    (dataset_root / "covid" / "text.png").write_text("not a picture")
    (dataset_root / "normal" / "empty.jpg").write_bytes(b"")

    stopped = edge_trainer(*train_arguments(dataset_root, tmp_path / "out"))
    skipped = edge_trainer(*train_arguments(dataset_root, tmp_path / "out"), "--skip-bad")

    assert stopped.code == 65
    assert "2 of 22 images are unreadable: covid/text.png, normal/empty.jpg" in stopped.err
    assert skipped.code == 0, skipped.err
    assert read_training(tmp_path / "out" / "model.keras").data.skipped == 2


def test_a_model_is_never_overwritten(edge_trainer, dataset_root: Path, tmp_path: Path):
    """Nor is anything computed before that is said."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "model.keras").write_text("precious")

    run = edge_trainer(*train_arguments(dataset_root, tmp_path / "out"))

    assert run.code == 78
    assert "exists and is never overwritten" in run.err
    assert not (tmp_path / "cache").exists()
    assert (tmp_path / "out" / "model.keras").read_text() == "precious"


def test_a_class_nobody_can_name_healthy_asks_for_positive(edge_trainer, dataset_root: Path, tmp_path: Path):
    """The message names the option; with it the run works."""
    (dataset_root / "normal").rename(dataset_root / "other")

    asked = edge_trainer(*train_arguments(dataset_root, tmp_path / "out"))
    told = edge_trainer(*train_arguments(dataset_root, tmp_path / "out"), "--positive", "covid", "--json")

    assert (asked.code, "say it with --positive NAME" in asked.err) == (78, True)
    assert json.loads(told.out)["positive"] == "covid"


def test_evaluate_leaves_out_what_was_trained_on(edge_trainer, dataset_root: Path, tmp_path: Path):
    """On the training data the held-out part and its figures remain; on its own training part nothing does."""
    trained = json.loads(edge_trainer(*train_arguments(dataset_root, tmp_path / "out"), "--json").out)
    model = tmp_path / "out" / "model.keras"
    keys = read_training(model).split.train
    shutil.copytree(dataset_root, tmp_path / "learned")
    for item in read_dataset(tmp_path / "learned").items:
        if item.sha256 not in keys:
            (tmp_path / "learned" / item.file).unlink()

    again = edge_trainer("evaluate", model, dataset_root, "--out", tmp_path / "again", "--json")
    nothing = edge_trainer("evaluate", model, tmp_path / "learned", "--out", tmp_path / "nothing")

    document = json.loads(again.out)
    assert document == json.loads((tmp_path / "again" / "metrics.json").read_bytes())
    assert document["left_out_as_trained_on"] == 16
    assert document["confusion_matrix"] == trained["confusion_matrix"]
    assert "Decision support" in (tmp_path / "again" / "report.html").read_text()
    assert (nothing.code, "every image of the data was trained on" in nothing.err) == (65, True)


@pytest.mark.parametrize("content", [b"not a model", "zip without the entry"])
def test_a_file_that_is_no_model_of_ours_is_refused(edge_trainer, dataset_root: Path, tmp_path: Path, content):
    """Exit code 65 and a sentence, for a text file and for somebody else's .keras file."""
    path = tmp_path / "model.keras"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("config.json", "{}")

    run = edge_trainer("evaluate", path, dataset_root, "--out", tmp_path / "out")

    assert (run.code, "expected a model.keras written by edge-trainer" in run.err) == (65, True)
