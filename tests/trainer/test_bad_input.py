"""Whatever is wrong with what a person hands to `edge-trainer train`: one sentence that names it and the way out."""

import io
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from edge.decoding.decode import decode
from edge.phantom import phantom
from edge.preprocess import preprocess
from trainer.cli import main
from trainer.dataset import read_dataset
from trainer.features import decode_images
from trainer.recipes import RECIPES, Recipe

NAME = "quick"
QUICK = Recipe(name=NAME, backbone="mobilenet", head="gap", frozen=True, epochs=1, batch=8, alpha=0.25, folds=2)

Train = Callable[..., tuple[int, str]]


@pytest.fixture
def train(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], dataset_root: Path, tmp_path: Path
) -> Train:
    """Call `edge-trainer train` on the test's dataset; its exit code and what it said."""
    monkeypatch.setitem(RECIPES, NAME, QUICK)

    def call(*more: object, weights: object = "none", out: Path = tmp_path / "out", cache: Path = tmp_path / "cache"):
        arguments = ["train", dataset_root, "--recipe", NAME, "--weights", weights, "--out", out, "--cache", cache]
        code = main([*map(str, arguments), *map(str, more)])
        return code, capfd.readouterr().err

    return call


def with_manifest(spoil: Callable[[list[str]], list[str]]) -> Callable[[Path], None]:
    """Write a right manifest of all pictures and spoil it."""

    def write(root: Path) -> None:
        files = sorted(path.relative_to(root).as_posix() for path in root.glob("*/*.png"))
        rows = spoil([f"{file},{file.split('/')[0]}" for file in files])
        (root / "manifest.csv").write_text("\n".join(["file,label", *rows]) + "\n")

    return write


@pytest.mark.parametrize(
    ("spoil", "sentence", "way_out"),
    [
        (lambda root: (root / "pneumonia").mkdir(), "found none in pneumonia", "or remove the folder"),
        (lambda root: shutil.rmtree(root / "normal"), "found covid", "one folder per class"),
        (shutil.rmtree, "found none; check the path", "one folder of pictures per class"),
        (with_manifest(lambda rows: [*rows, "covid/lost.png,covid"]), "covid/lost.png", "add the files or remove"),
        (with_manifest(lambda rows: rows[1:]), "covid/000.png", "add rows or remove the files"),
        (with_manifest(lambda rows: ["covid/000.png,flu", *rows[1:]]), "covid/000.png ('flu')", "one of covid, normal"),
    ],
    ids=["empty class", "one class", "no folder", "row without file", "file without row", "unknown label"],
)
def test_a_dataset_that_does_not_fit_is_refused(
    train: Train, dataset_root: Path, spoil: Callable[[Path], None], sentence: str, way_out: str
):
    """Exit code 65, the thing by name, and what to do."""
    spoil(dataset_root)

    code, said = train()

    assert code == 65
    assert sentence in said
    assert way_out in said


def saved(pixels: np.ndarray, mode: str, kind: str, **options: object) -> bytes:
    """Gray pixels as a file of another mode."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(buffer, kind, **options)
    return buffer.getvalue()


def see_through(pixels: np.ndarray, kind: str) -> bytes:
    """The pixels as transparency of a white picture: over black they look as they did."""
    buffer = io.BytesIO()
    white = Image.new("L", pixels.shape[::-1], 255)
    Image.merge("RGBA", (white, white, white, Image.fromarray(pixels))).save(buffer, kind, lossless=True)
    return buffer.getvalue()


def of_more_bits(pixels: np.ndarray, dtype: str, scale: float, kind: str, **options: object) -> bytes:
    """The pixels times a scale."""
    buffer = io.BytesIO()
    Image.fromarray((pixels * np.float32(scale)).astype(dtype)).save(buffer, kind, **options)
    return buffer.getvalue()


KINDS: dict[str, Callable[[np.ndarray], bytes]] = {
    "16-bit.png": lambda pixels: of_more_bits(pixels, "uint16", 257, "PNG"),
    "12-of-16-bit.png": lambda pixels: of_more_bits(pixels, "uint16", 16, "PNG"),
    "16-bit.tif": lambda pixels: of_more_bits(pixels, "uint16", 257, "TIFF"),
    "16-bit-white-is-zero.tif": lambda pixels: of_more_bits(255 - pixels, "uint16", 257, "TIFF", tiffinfo={262: 0}),
    "float.tif": lambda pixels: of_more_bits(pixels, "float32", 1 / 255, "TIFF"),
    "rgba.png": lambda pixels: see_through(pixels, "PNG"),
    "rgba.webp": lambda pixels: see_through(pixels, "WEBP"),
    "la.png": lambda pixels: saved(pixels, "LA", "PNG"),
    "palette.png": lambda pixels: saved(pixels, "P", "PNG"),
    "cmyk.tif": lambda pixels: saved(pixels, "CMYK", "TIFF"),
    "cmyk.jpg": lambda pixels: saved(pixels, "CMYK", "JPEG", quality=100),
}


def test_every_kind_of_still_picture_is_read_as_the_picture_it_is(train: Train, dataset_root: Path, tmp_path: Path):
    """The run ends well, and what it learned from differs by a rounding at most from the plain 8-bit pictures."""
    plain: dict[str, np.ndarray] = {}
    for seed, (name, save) in enumerate(KINDS.items()):
        film = decode(phantom(seed).png()).pixels.astype(np.float32)
        pixels = np.rint((film - film.min()) * (255 / np.ptp(film))).astype(np.uint8)
        (dataset_root / "covid" / name).write_bytes(save(pixels))
        plain[f"covid/{name}"] = preprocess(decode(saved(pixels, "L", "PNG")))

    code, said = train()

    assert code == 0, said
    dataset, rows = decode_images(read_dataset(dataset_root), tmp_path / "cache", skip_bad=False)
    read = dict(zip([item.file for item in dataset.items], rows.take(slice(None)), strict=True))
    farthest = {file: int(np.abs(read[file].astype(int) - pixels).max()) for file, pixels in plain.items()}
    assert {file: levels for file, levels in farthest.items() if levels > 2} == {}


def test_animations_are_refused_by_name(train: Train, dataset_root: Path):
    """Nobody can know which of the frames is the film: exit code 65, the reason for each file, and the way out."""
    frames = [Image.fromarray(decode(phantom(seed).png()).pixels).resize((64, 64)) for seed in range(3)]
    for name, kind in (("moving.png", "PNG"), ("moving.webp", "WEBP"), ("pages.tif", "TIFF")):
        frames[0].save(dataset_root / "covid" / name, kind, save_all=True, append_images=frames[1:])

    code, said = train()

    assert code == 65
    for name in ("moving.png", "moving.webp", "pages.tif"):
        assert f"covid/{name}: expected one still picture, got 3 frames; export a single frame" in said
    assert "3 of 23 images are unreadable: covid/moving.png, covid/moving.webp, covid/pages.tif" in said
    assert "leave them out with --skip-bad" in said


def test_a_class_without_a_readable_image_is_told(train: Train, dataset_root: Path):
    """Even with --skip-bad a class cannot be left out in silence."""
    for path in (dataset_root / "covid").iterdir():
        path.write_bytes(b"")

    code, said = train("--skip-bad")

    assert (code, "no image of covid is readable; add readable ones" in said) == (65, True)


def test_a_file_nobody_may_read_is_told(train: Train, dataset_root: Path):
    """A name that leads nowhere stands for every reason the system gives."""
    (dataset_root / "covid" / "gone.png").symlink_to(dataset_root / "nowhere.png")

    code, said = train()

    assert (code, "gone.png: No such file or directory" in said) == (65, True)


def test_weights_of_another_network_are_refused(train: Train, tmp_path: Path):
    """The file and what was expected of it are named; nothing is trained on half-loaded weights."""
    network = keras.applications.MobileNet(weights=None, include_top=False, input_shape=(224, 224, 3), alpha=0.5)
    network.save_weights(tmp_path / "half.weights.h5")

    code, said = train(weights=tmp_path / "half.weights.h5")

    assert code == 65
    assert "half.weights.h5" in said
    assert "MobileNet" in said
    assert not (tmp_path / "out" / "model.keras").exists()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MB; only root may make one."""
    folder = tmp_path / "small disk"
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True, check=False)
    if made.returncode:
        pytest.skip("needs root to mount a small file system")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_no_room_for_the_cache_is_told(train: Train, small_disk: Path):
    """Twenty pictures take 3 MB: exit code 78, the folder, and the option that helps."""
    code, said = train(cache=small_disk / "cache")

    assert code == 78
    assert f"cannot write to the cache {small_disk}/cache" in said
    assert "No space left on device; free some space or name another with --cache" in said


def test_no_room_for_the_model_is_told(train: Train, small_disk: Path):
    """Exit code 78 and the file that did not fit; nothing is left that looks like a model."""
    (small_disk / "ballast").write_bytes(bytes(600 * 1024))

    code, said = train(out=small_disk / "out")

    assert code == 78
    assert f"cannot write {small_disk}/out/model.keras: No space left on device" in said
    assert list((small_disk / "out").iterdir()) == []
