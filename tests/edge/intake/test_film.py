"""A film on a light box is found, squared up and cut out. The photographs are made up; no camera took them."""

import numpy as np
import pytest
from PIL import Image

from edge.intake.film import FilmNotFoundError, corners_of, film_of, find_film
from edge.phantom import phantom

WIDTH_PX, HEIGHT_PX = 1600, 1200
FILM_PX = (600, 720)
LIGHT = 250.0
BOX = (300, 100, 1300, 1100)


def mapped(picture: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """A picture laid into the photograph with its corners where they are wanted."""
    width_px, height_px = FILM_PX
    rows, values = [], []
    for (x, y), (u, v) in zip(corners, [(0, 0), (width_px, 0), (width_px, height_px), (0, height_px)], strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    coefficients = np.linalg.solve(np.array(rows), np.array(values, float))
    laid = Image.fromarray(picture).transform(
        (WIDTH_PX, HEIGHT_PX), Image.Transform.PERSPECTIVE, tuple(coefficients), Image.Resampling.BICUBIC
    )
    return np.asarray(laid)


def photograph(
    seed: int, *, tilt_degrees: float = 0, box: tuple[int, int, int, int] = BOX, scale: float = 1, film: bool = True
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A dark room, a lit box, a film on it that is held askew: the photograph, the film's corners, and the film."""
    luck = np.random.default_rng(seed)
    pixels = phantom(seed).pixels.astype(float)
    content = np.asarray(Image.fromarray((pixels / pixels.max() * 255).astype(np.uint8)).resize(FILM_PX))
    angle = np.deg2rad(tilt_degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    width_px, height_px = FILM_PX
    corners = np.array([(0, 0), (width_px, 0), (width_px, height_px), (0, height_px)]) - [width_px / 2, height_px / 2]
    corners = corners @ turn.T * scale * luck.uniform(0.97, 1.03, (4, 2)) + [WIDTH_PX / 2, HEIGHT_PX / 2]
    scene = np.full((HEIGHT_PX, WIDTH_PX), 12.0)
    left, top, right, bottom = box
    scene[top:bottom, left:right] = LIGHT
    if film:
        lit = scene > LIGHT / 2
        through = np.where(lit, (mapped(content, corners) / 255 * 0.6 + 0.02) * LIGHT, 12)
        scene = np.where(mapped(np.full(FILM_PX[::-1], 255, np.uint8), corners) > 128, through, scene)
    scene = np.clip(scene + luck.normal(0, 3, scene.shape), 0, 255).astype(np.uint8)
    return np.repeat(scene[:, :, None], 3, axis=2), corners, content


@pytest.mark.parametrize("tilt_degrees", [-8, -3, 0, 5, 12])
def test_the_film_is_cut_out_upright_with_its_content(tilt_degrees: float):
    """What comes out is the film: as high and wide, and gray level for gray level where it should be."""
    scene, _, content = photograph(7, tilt_degrees=tilt_degrees)

    film = film_of(scene)

    assert np.abs(np.array(film.shape) / np.array(content.shape) - 1).max() < 0.06
    again = np.asarray(Image.fromarray(film).resize(FILM_PX), float)
    assert np.corrcoef(again[20:-20, 20:-20].ravel(), content[20:-20, 20:-20].ravel())[0, 1] > 0.97


@pytest.mark.parametrize("seed", range(4))
def test_corners_are_found_to_within_two_thousandths_of_the_picture(seed: int):
    """Askew, in perspective, with noise."""
    scene, corners, _ = photograph(seed, tilt_degrees=4 * seed - 6)
    small = np.asarray(Image.fromarray(scene).convert("L").resize((400, 300)))

    found = corners_of(find_film(small)) * 4

    assert np.hypot(*(found - corners).T).max() < 0.006 * WIDTH_PX


def test_a_film_that_hangs_from_the_edge_of_the_box_is_found():
    """Where nothing is lit behind it there is nothing to see; the rest is cut out."""
    scene, corners, _ = photograph(3, box=(300, 280, 1300, 1100))

    film = film_of(scene)

    assert film.shape[0] == pytest.approx(corners[2][1] - 280, rel=0.06)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"film": False}, "found none"),
        ({"box": (0, 0, 1, 1)}, "found none"),
        ({"tilt_degrees": 40}, "straight sides"),
        ({"scale": 0.2}, "found none"),
    ],
)
def test_what_is_no_film_on_a_light_box_gets_a_sentence(change: dict[str, object], complaint: str):
    """An empty box, a dark room, a film lying askew or far away: the message says what to do."""
    scene, _, _ = photograph(1, **change)

    with pytest.raises(FilmNotFoundError, match=f"{complaint}.*take the picture again"):
        film_of(scene)
