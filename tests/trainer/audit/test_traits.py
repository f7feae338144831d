"""Headers and exposure are read as they are, of every kind of file that can be decoded."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom.data import get_testdata_file

from edge.errors import DataError
from trainer.audit.traits import Table, exposure_traits, file_traits
from trainer.dataset import Dataset, Item
from trainer.store import Rows


def table_of(root: Path, *files: str) -> Table:
    """File traits of some files."""
    items = tuple(Item(file, "a", file) for file in files)
    return file_traits(Dataset(root, items, ("a",), 0))


def trait(table: Table, name: str) -> list[float]:
    """One column."""
    return table.values[:, table.names.index(name)].tolist()


def test_headers_of_every_kind_of_file(tmp_path: Path):
    """What a kind of file does not have is missing, not zero; words are numbered."""
    gray = Image.fromarray(np.arange(6000).reshape(60, 100).astype(np.uint8))
    exif = gray.getexif()
    exif[0x010F] = "a maker"
    gray.save(tmp_path / "a.jpg", quality=50, exif=exif)
    gray.save(tmp_path / "b.jpg", quality=95, dpi=(300, 300))
    gray.convert("RGBA").save(tmp_path / "c.png")
    Image.fromarray(np.zeros((10, 20), np.uint16)).save(tmp_path / "d.png")
    (tmp_path / "e.dcm").write_bytes(Path(str(get_testdata_file("CT_small.dcm"))).read_bytes())

    table = table_of(tmp_path, "a.jpg", "b.jpg", "c.png", "d.png", "e.dcm")

    assert trait(table, "width, px") == [100, 100, 100, 20, 128]
    assert trait(table, "width / height")[2:] == pytest.approx([100 / 60, 2, 1])
    assert trait(table, "bits per channel") == [8, 8, 8, 16, 16]
    assert trait(table, "EXIF entries")[:3] == [1, 0, 0]
    assert trait(table, "resolution, dpi")[1] == 300
    low, high, *others = trait(table, "JPEG quantisation, mean")
    assert (low > high, others) == (True, [-1, -1, -1])
    assert table.words["format"] == ("DICOM Explicit VR Little Endian", "JPEG", "PNG")
    assert table.typical(table.names.index("format"), np.array([True, True, True, False, False])) == "JPEG (67%)"
    assert table.typical(table.names.index("JPEG quantisation, mean"), np.array([0, 0, 1, 1, 1], bool)) == "none"


def test_a_file_that_has_gone_is_named(tmp_path: Path):
    """Somebody moved it between decoding and this."""
    with pytest.raises(DataError, match=r"cannot read .*gone\.png"):
        table_of(tmp_path, "gone.png")


def test_exposure_tells_frame_and_inside_apart():
    """A white picture with a black frame of the width that the border probe sees."""
    film = np.full((224, 224), 255, np.uint8)
    film[:16] = film[-16:] = 0
    film[:, :16] = film[:, -16:] = 0
    pixels = Rows(np.repeat(film[np.newaxis, :, :, np.newaxis], 3, axis=3), np.zeros(1, np.int64))

    table = exposure_traits(pixels)

    figures = dict(zip(table.names, table.values[0].tolist(), strict=True))
    inside = (192 / 224) ** 2
    assert figures["share of white"] == pytest.approx(inside)
    assert (figures["frame: mean"], figures["frame: share of black"], figures["frame less inside"]) == (0, 1, -255)
    assert (figures["percentile 1"], figures["percentile 50"]) == (0, 255)
    assert figures["mean"] == pytest.approx(255 * inside)
