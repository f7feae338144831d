"""One film saved anew, resized, brightened or cropped is found; two films that merely look alike are not merged."""

import io
from collections.abc import Callable
from functools import cache

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from edge.decoding.decode import decode
from edge.phantom import phantom
from edge.preprocess import preprocess
from edge.study import Radiograph
from trainer.near_duplicates import near_duplicates
from trainer.store import Rows

COUNT = 60
"""Different films, every second with an opacity."""


@cache
def film(seed: int) -> Radiograph:
    """A decoded phantom."""
    return decode(phantom(seed).png())


def pixels_of(picture: Image.Image) -> npt.NDArray[np.uint8]:
    """What the trainer makes of a picture that was saved without loss."""
    buffer = io.BytesIO()
    picture.convert("L").save(buffer, "PNG")
    return preprocess(decode(buffer.getvalue()))


def rows_of(pixels: list[npt.NDArray[np.uint8]]) -> Rows:
    """The pixels as the cache hands them out."""
    return Rows(np.stack(pixels), np.arange(len(pixels)))


@cache
def originals() -> list[npt.NDArray[np.uint8]]:
    """Different films as the trainer sees them."""
    return [preprocess(film(seed)) for seed in range(COUNT)]


def saved_as_poor_jpeg(picture: Image.Image) -> Image.Image:
    """JPEG of quality 30."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=30)
    return Image.open(buffer)


def resized(picture: Image.Image) -> Image.Image:
    """To 300/512 of the size and back."""
    small = picture.resize([side * 300 // 512 for side in picture.size], Image.Resampling.BICUBIC)
    return small.resize(picture.size, Image.Resampling.BICUBIC)


def brightened(picture: Image.Image) -> Image.Image:
    """By 15 levels of 255, after a gain of 1.1; what is brighter than white is white."""
    return picture.point(lambda level: min(255, level * 1.1 + 15))


def cropped(picture: Image.Image) -> Image.Image:
    """By 3% of the width and the height, in one corner."""
    width, height = picture.size
    return picture.crop((round(width * 0.03), round(height * 0.03), width, height))


@pytest.mark.parametrize("change", [saved_as_poor_jpeg, resized, brightened, cropped])
def test_a_changed_copy_is_found_among_films_that_look_alike(change: Callable[[Image.Image], Image.Image]):
    """Every one of a dozen copies goes with its own film and with no other."""
    copies = [pixels_of(change(Image.fromarray(film(seed).pixels))) for seed in range(12)]
    keys = [f"film {seed:02}" for seed in range(COUNT)] + [f"copy {seed:02}" for seed in range(12)]

    groups = near_duplicates(rows_of([*originals(), *copies]), keys)

    assert set(groups) == {frozenset({f"film {seed:02}", f"copy {seed:02}"}) for seed in range(12)}


def test_different_films_are_never_one():
    """All phantoms show a chest from the front; no two are merged."""
    keys = [f"{seed:02}" for seed in range(COUNT)]

    assert near_duplicates(rows_of(originals()), keys) == ()


def test_a_copy_of_a_copy_belongs_to_the_group_whatever_the_order():
    """Keys alone decide what comes out; names and order do not."""
    picture = Image.fromarray(film(3).pixels)
    pixels = [*originals(), pixels_of(saved_as_poor_jpeg(picture)), pixels_of(cropped(picture))]
    keys = [f"{position:02}" for position in range(len(pixels))]

    forwards = near_duplicates(rows_of(pixels), keys)
    backwards = near_duplicates(rows_of(pixels[::-1]), keys[::-1])

    assert forwards == backwards == (frozenset({"03", "60", "61"}),)


def test_flat_pictures_and_none_at_all_have_no_likeness():
    """A picture without contrast repeats nothing; an empty dataset has no groups."""
    flat = [np.full((224, 224, 3), level, np.uint8) for level in (0, 0, 128, 255)]

    assert near_duplicates(rows_of(flat), list("abcd")) == ()
    assert near_duplicates(Rows(np.empty((0, 224, 224, 3), np.uint8), np.empty(0, np.int64)), []) == ()
