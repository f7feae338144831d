"""Whatever is wrong with what a person hands to `edge-converter convert`: one sentence, and no bundle."""

import shutil
from collections.abc import Callable
from pathlib import Path

import keras
import pytest

from converter.cli import main
from trainer.heads import build_head
from trainer.model_file import TrainedModel, read_training, write_model

pytestmark = pytest.mark.parametrize("line", ["gap"], indirect=True)


@pytest.fixture
def convert(line, tmp_path: Path, capfd) -> Callable[..., tuple[int, str]]:
    """Call the command; its exit code and what it said. Nothing may be left behind under the name it was told."""

    def call(*, model: Path = line.model, data: Path = line.data, out: Path | None = None, more: tuple[str, ...] = ()):
        out = out or tmp_path / "x.bundle"
        before = out.read_bytes() if out.exists() else None
        arguments = ["convert", model, "--data", data, "--out", out, "--cache", line.cache, *more]
        code = main([str(argument) for argument in arguments])
        assert (out.read_bytes() if out.exists() else None) == before
        assert not list(out.parent.glob(".*.part"))
        return code, capfd.readouterr().err

    return call


def model_of(line, path: Path, *, side_px: int = 224, outputs: int = 2, twist: Callable | None = None) -> Path:
    """A `model.keras` with the training of the line and another network."""
    pixels = keras.Input((side_px, side_px, 3))
    between = keras.Input((side_px, side_px, 3))
    features = keras.layers.Conv2D(4, 3, strides=32, padding="same")(between)
    features = features if twist is None else twist(features)
    backbone = keras.Model(between, features, name="backbone")
    trunk = keras.Model(pixels, backbone(keras.layers.Rescaling(1.0, name="normalise")(pixels)), name="trunk")
    head = build_head("gap", trunk.output_shape[1:], outputs, seed=1)
    write_model(TrainedModel(trunk, head, read_training(line.model)), path)
    return path


def test_a_model_that_is_not_there(convert, tmp_path: Path):
    """The command that makes one is named."""
    code, said = convert(model=tmp_path / "missing.keras")

    assert (code, "make one with `edge-trainer train`" in said) == (78, True)


def test_a_network_for_pictures_of_another_size(line, convert, tmp_path: Path):
    """Both sizes are named."""
    code, said = convert(model=model_of(line, tmp_path / "model.keras", side_px=128))

    assert code == 65
    assert "expected a network for pictures of 224 x 224 x 3" in said
    assert "got one for 128 x 128 x 3" in said


def test_a_network_with_more_classes_than_labels(line, convert, tmp_path: Path):
    """The labels are named."""
    code, said = convert(model=model_of(line, tmp_path / "model.keras", outputs=5))

    assert (code, "expected a network with 2 outputs (clear, striped)" in said, "got one with 5" in said) == (
        65,
        True,
        True,
    )


def test_a_layer_that_int8_cannot_express(line, convert, tmp_path: Path):
    """The operation is named, and what a network may have."""
    code, said = convert(model=model_of(line, tmp_path / "model.keras", twist=keras.ops.erf))

    assert code == 65
    assert "cannot express this network (it has no Erf); train one whose layers are convolutions" in said


def test_a_keras_model_of_another_program(convert, tmp_path: Path):
    """What it takes and gives is told, so that the right file can be found."""
    model = keras.Sequential([keras.Input((128, 128, 3)), keras.layers.Flatten(), keras.layers.Dense(5)])
    model.save(tmp_path / "other.keras")

    code, said = convert(model=tmp_path / "other.keras")

    assert code == 65
    assert "a Keras model of another program for pictures of 128 x 128 x 3 with 5 classes" in said
    assert "train it with edge-trainer" in said


def test_an_h5_file_of_keras_2(convert, tmp_path: Path):
    """It is known by its first bytes, whatever it is called."""
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]).save(tmp_path / "old.h5")

    code, said = convert(model=tmp_path / "old.h5")

    assert (code, "got an HDF5 file (.h5), as Keras 2 wrote its models" in said) == (65, True)


def test_data_of_one_class_only(line, convert, tmp_path: Path):
    """The class that is there is named."""
    shutil.copytree(line.data / "clear", tmp_path / "data" / "clear")

    code, said = convert(data=tmp_path / "data")

    assert (code, "expected two or more class folders" in said, "found clear" in said) == (65, True, True)


def test_data_that_the_model_was_not_trained_on(line, convert, tmp_path: Path):
    """How many images are missing is told."""
    shutil.copytree(line.data, tmp_path / "data")
    for file in sorted((tmp_path / "data" / "clear").iterdir())[:3]:
        file.unlink()

    code, said = convert(data=tmp_path / "data")

    assert (code, "of its 48 images are not there" in said) == (65, True)


@pytest.mark.parametrize("taken", ["x.bundle", "x.tflite"])
def test_an_output_that_exists(convert, tmp_path: Path, taken: str):
    """Before anything is computed; the file is left as it is, be it the bundle or the float model."""
    (tmp_path / taken).write_text("precious")

    code, said = convert(more=("--float-out", str(tmp_path / "x.tflite")))

    assert (code, "exists and is never overwritten" in said) == (65, True)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["precious"]


def test_an_output_in_no_folder(convert, tmp_path: Path):
    """Before anything is computed."""
    code, said = convert(out=tmp_path / "no" / "x.bundle")

    assert (code, "expected a folder" in said) == (65, True)
