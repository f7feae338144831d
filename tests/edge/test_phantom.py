"""Phantoms are reproducible films whose only difference between the classes is the opacity."""

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edge.decoding.decode import decode, stretch
from edge.errors import DataError
from edge.phantom import CLEAR, OPACITY, Phantom, main, phantom, write_dataset
from edge.preprocess import preprocess

SEEDS = range(3_000_000, 3_000_020)
KNOWN = [
    [35.9, 139.5, 112.6, 46.4],
    [113.0, 165.0, 120.9, 130.9],
    [97.5, 186.7, 174.2, 101.0],
    [100.2, 173.4, 175.5, 108.4],
]
"""Gray levels of phantom 1 at the network's input, in blocks of a quarter of its sides."""


@pytest.fixture(scope="module")
def pairs() -> list[tuple[Phantom, Phantom]]:
    """The same films without and with an opacity."""
    return [(phantom(seed, opacity=False), phantom(seed, opacity=True)) for seed in SEEDS]


def test_seed_is_film() -> None:
    """One seed gives one film, byte for byte, and another seed another."""
    first, again, other = phantom(7), phantom(7), phantom(9)

    assert first.png() == again.png()
    assert np.array_equal(first.mask, again.mask)
    assert first.png() != other.png()


def test_film_does_not_depend_on_numpys_global_state() -> None:
    """What others did to NumPy's legacy generator changes nothing."""
    expected = phantom(11).png()

    np.random.seed(0)  # noqa: NPY002 - the global state is what must not matter

    assert expected == phantom(11).png()


def test_known_film_keeps_its_look() -> None:
    """A film's gray levels stay what they were when the demo's model was trained."""
    film = preprocess(decode(phantom(1).png()))[:, :, 0]

    blocks = film.reshape(4, 56, 4, 56).mean(axis=(1, 3))

    assert blocks == pytest.approx(np.array(KNOWN), abs=0.5)


def test_every_odd_seed_has_an_opacity() -> None:
    """Consecutive seeds give both classes in equal number."""
    labels = [phantom(seed).label for seed in SEEDS]

    assert [CLEAR, OPACITY] * (len(SEEDS) // 2) == labels


def test_pixels_fit_their_bit_depth(pairs: list[tuple[Phantom, Phantom]]) -> None:
    """Each film has the dtype and range of its bit depth, and all three depths occur."""
    films = [film for pair in pairs for film in pair]

    for film in films:
        assert film.pixels.dtype == (np.uint8 if film.bit_depth == 8 else np.uint16)
        assert film.pixels.max() < 2**film.bit_depth
        assert film.pixels.max() > 2**film.bit_depth // 3
    assert {film.bit_depth for film in films} == {8, 12, 16}


def test_sizes_and_shapes_vary(pairs: list[tuple[Phantom, Phantom]]) -> None:
    """Films come in many sizes from 256 to 700 pixels, upright and broad; masks are as large as their film."""
    films = [opaque for _, opaque in pairs]

    assert all(256 <= side <= 700 for film in films for side in film.pixels.shape)
    assert all(film.mask.shape == film.lungs.shape == film.pixels.shape for film in films)
    assert len({film.pixels.shape for film in films}) > len(films) // 2
    assert {np.sign(film.pixels.shape[0] - film.pixels.shape[1]) for film in films} == {-1, 0, 1}


def test_opacity_lies_in_the_lungs(pairs: list[tuple[Phantom, Phantom]]) -> None:
    """The mask is empty for a clear film, and for an opaque one a visible part of the lungs and nothing else."""
    for clear, opaque in pairs:
        assert not clear.mask.any()
        assert not (opaque.mask & ~opaque.lungs).any()
        assert 0.01 < opaque.mask.sum() / opaque.lungs.sum() < 0.9


def test_opacity_is_the_only_difference(pairs: list[tuple[Phantom, Phantom]]) -> None:
    """Inside the mask the film is brighter than without the opacity; away from the lungs it is the very same."""
    for clear, opaque in pairs:
        gained = opaque.pixels.astype(float) - clear.pixels

        assert np.array_equal(clear.lungs, opaque.lungs)
        assert gained[opaque.mask].mean() > 0.02 * opaque.pixels.max()
        assert not gained[_far_from(opaque.lungs)].any()


def test_opacity_is_not_just_brightness() -> None:
    """No threshold on a film's mean or on its lungs' mean tells the classes apart, so the model must look for more."""
    films = [phantom(seed) for seed in range(3_100_000, 3_100_040)]
    opaque = np.array([film.label == OPACITY for film in films])

    pixels = [stretch(film.pixels) for film in films]
    whole = np.array([gray.mean() for gray in pixels])
    lungs = np.array([gray[film.lungs].mean() for gray, film in zip(pixels, films, strict=True)])

    assert _best_threshold(whole, opaque) < 0.8
    assert _best_threshold(lungs, opaque) < 0.85


def test_png_holds_the_pixels(pairs: list[tuple[Phantom, Phantom]]) -> None:
    """The PNG is grayscale of 8 or 16 bits and gives back the very pixels."""
    for _, film in pairs[:8]:
        with Image.open(io.BytesIO(film.png())) as picture:
            assert picture.mode == ("L" if film.bit_depth == 8 else "I;16")
            assert np.array_equal(film.pixels, np.asarray(picture))


def test_label_and_mask_must_agree() -> None:
    """A clear phantom with a mask, or an opaque one without, cannot be built."""
    film = phantom(2)

    with pytest.raises(ValueError, match="must be one of"):
        Phantom(seed=2, label=OPACITY, pixels=film.pixels, bit_depth=film.bit_depth, mask=film.mask, lungs=film.lungs)


def test_dataset_has_the_trainers_layout(tmp_path: Path) -> None:
    """A folder for each class, and in it the films of its seeds."""
    paths = write_dataset(tmp_path / "data", range(6))

    assert [f"{[CLEAR, OPACITY][seed % 2]}/phantom-{seed:06d}.png" for seed in range(6)] == [
        path.relative_to(tmp_path / "data").as_posix() for path in paths
    ]
    assert phantom(5).png() == paths[5].read_bytes()


def test_unwritable_folder_is_named(tmp_path: Path) -> None:
    """A folder that cannot be made ends in an error that names it."""
    (tmp_path / "file").touch()

    with pytest.raises(DataError, match=r"cannot write phantoms to .*file"):
        write_dataset(tmp_path / "file", range(1))


def test_command_writes_a_dataset(tmp_path: Path) -> None:
    """`python -m edge.phantom` writes as many films as it is asked for."""
    command = [sys.executable, "-m", "edge.phantom", str(tmp_path), "--count", "3", "--first-seed", "40"]

    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout

    assert output == f"3 phantoms in {tmp_path}\n"
    assert sorted(int(path.stem[-6:]) for path in tmp_path.glob("*/*.png")) == [40, 41, 42]


def test_command_explains_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A taken name ends in exit code 65 and a sentence; a wrong count in exit code 2."""
    (tmp_path / "file").touch()

    assert main([str(tmp_path / "file"), "--count", "1"]) == 65
    assert "cannot write phantoms" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main([str(tmp_path), "--count", "0"])


def _far_from(lungs: np.ndarray) -> np.ndarray:
    """Pixels whose row or column no lung crosses: no resampling can carry an opacity there."""
    rows, columns = lungs.any(axis=1), lungs.any(axis=0)
    margin = np.ones(41)
    rows, columns = (np.convolve(axis, margin, "same") > 0 for axis in (rows, columns))
    return ~rows[:, np.newaxis] | ~columns[np.newaxis, :]


def _best_threshold(values: np.ndarray, truth: np.ndarray) -> float:
    """Accuracy of the best single threshold, either way round."""
    ordered = truth[np.argsort(values)]
    above = np.concatenate([[ordered.sum()], ordered.sum() - np.cumsum(ordered) + np.cumsum(~ordered)]) / len(truth)
    return float(max(above.max(), (1 - above).max()))
