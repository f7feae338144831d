"""The audit tells a clean set from one with a shortcut, and names the kind of shortcut by the right probe.

Made of phantoms whose opacities are made plainer, so that few films are enough; the shortcuts are planted in the films
that show one.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from edge.phantom import phantom
from trainer.audit.audit import Order, audit
from trainer.audit.record import Audit
from trainer.cli import main
from trainer.trunk import load_trunk

COUNT = 48
FARTHER = 8
PLAINER = 60
Film = npt.NDArray[np.uint8]
Save = Callable[[Film, Path, bool], None]


@dataclass(frozen=True)
class Specimen:
    """A phantom as it is written."""

    pixels: Film
    label: str
    number: int


def specimen(seed: int) -> Specimen:
    """A film of a phantom, 8 bits, its opacity brightened."""
    film = phantom(seed)
    levels = film.pixels.astype(np.float32) / (2**film.bit_depth - 1) * 255
    return Specimen(np.clip(levels + PLAINER * film.mask, 0, 255).astype(np.uint8), film.label, seed)


@pytest.fixture(scope="module")
def specimens() -> list[Specimen]:
    """Films, half of them with an opacity."""
    return [specimen(seed) for seed in range(COUNT + FARTHER)]


def as_it_is(film: Film, path: Path, _: bool) -> None:  # noqa: FBT001 - one of several savers
    """No shortcut."""
    Image.fromarray(film).save(path.with_suffix(".png"), compress_level=1)


def dark_frame(film: Film, path: Path, planted: bool) -> None:  # noqa: FBT001 - likewise
    """A collimator that closed farther."""
    framed = film.copy()
    if planted:
        rows, columns = film.shape[0] // 30, film.shape[1] // 30
        for edge in np.s_[:rows, :], np.s_[-rows:, :], np.s_[:, :columns], np.s_[:, -columns:]:
            framed[edge] = 0
    as_it_is(framed, path, planted)


def letter_between_the_lungs(film: Film, path: Path, planted: bool) -> None:  # noqa: FBT001 - likewise
    """A bright stroke in the middle of the picture."""
    marked = film.copy()
    if planted:
        height, width = film.shape
        marked[int(0.3 * height) : int(0.6 * height), int(0.485 * width) : int(0.515 * width)] = 250
    as_it_is(marked, path, planted)


def another_size(film: Film, path: Path, planted: bool) -> None:  # noqa: FBT001 - likewise
    """One scanner's films are all of one size."""
    picture = Image.fromarray(film)
    (picture.resize((400, 400)) if planted else picture).save(path.with_suffix(".png"), compress_level=1)


def another_quality(film: Film, path: Path, planted: bool) -> None:  # noqa: FBT001 - likewise
    """One archive keeps better JPEGs."""
    Image.fromarray(film).save(path.with_suffix(".jpg"), quality=92 if planted else 88)


def write(root: Path, films: list[Specimen], save: Save = as_it_is) -> Path:
    """DATA, with the shortcut planted in the films of one class."""
    for film in films:
        (root / film.label).mkdir(parents=True, exist_ok=True)
        save(film.pixels, root / film.label / f"{film.number:03}", film.label == "opacity")
    return root


def add_manifest(root: Path, source_of: Callable[[str, int], str]) -> None:
    """Name a source and a patient for each film; two neighbours of one class are one patient."""
    rows = ["file,label,patient,source"]
    for file in sorted(root.glob("*/*")):
        label, number = file.parent.name, int(file.stem)
        rows.append(f'{label}/{file.name},{label},{label}-{number // 4},"{source_of(label, number)}"')
    (root / "manifest.csv").write_text("\n".join(rows) + "\n")


def audited(root: Path, **options: object) -> Audit:
    """Audit without a network."""
    return audit(Order(data=root, out=root.parent / "out", cache=root.parent / "cache", weights="none", **options))


def telling(record: Audit) -> set[str]:
    """The blind probes that beat chance."""
    return {probe.name for probe in record.probes if probe.blind and (probe.metrics.ci95["auc"] or (0, 0))[0] > 0.5}


def test_films_without_a_shortcut_come_out_clean(specimens: list[Specimen], tmp_path: Path):
    """Nothing but the whole image tells the classes apart; sources of both classes are left out one by one, and other
    data is asked about as far as its classes are known.
    """
    data = write(tmp_path / "data", specimens[:COUNT])
    add_manifest(data, lambda _, number: ("<script>alert(1)", "north", "south")[min(number // 2 % 8, 2)])
    other = write(tmp_path / "other", specimens[COUNT:])
    (other / "fracture").mkdir()
    as_it_is(specimens[0].pixels[::-1], other / "fracture" / "0", False)
    as_it_is(specimens[0].pixels, other / "clear" / "known", False)

    record = audited(data, external=other)

    assert (record.verdict, telling(record)) == ("clean", set())
    assert record.probes[0].metrics.auc > 0.8
    assert record.design.mixed_share == 1
    assert record.design.cramers_v < 0.3
    assert {left.source for left in record.left_out} == {"south", "2 sources of fewer than 10 images"}
    south = next(left for left in record.left_out if left.source == "south")
    assert south.paired_with == {}
    assert south.metrics.n == sum(south.counts.values())
    assert record.external.unknown_classes == {"fracture": 1}
    assert (record.external.known_files, record.external.metrics.n) == (1, FARTHER)
    page = (tmp_path / "out" / "audit.html").read_text()
    assert "&lt;script&gt;" in page
    assert not re.search(r"<script|(?:src|href)=.(?!#|data:)", page)


@pytest.mark.parametrize(
    ("save", "probe", "figure"),
    [
        (dark_frame, "border-only", ""),
        (letter_between_the_lungs, "lungs-blanked", ""),
        (another_quality, "metadata", "JPEG quantisation, mean"),
    ],
)
def test_a_planted_shortcut_is_found_by_the_right_probe(
    specimens: list[Specimen], tmp_path: Path, save: Save, probe: str, figure: str
):
    """The verdict is `shortcut`, the probe keeps nearly the whole advantage, and the others stay where they can."""
    data = write(tmp_path / "data", specimens[:COUNT], save)

    record = audited(data)

    found = next(each for each in record.probes if each.name == probe)
    assert record.verdict == "shortcut"
    assert (found.metrics.auc > 0.9, found.kept > 0.8) == (True, True)
    assert not figure or figure in {each.name for each in found.strongest}
    assert telling(record) - {probe} <= ({"lungs-blanked"} if probe == "border-only" else set())  # it shows the frame


def test_the_gate_fails_where_a_shortcut_is_found(
    specimens: list[Specimen], tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    """Exit code 1 with --gate; the header betrays the class by the film's size; stdout is `audit.json`."""
    data, out = write(tmp_path / "data", specimens[:24], another_size), tmp_path / "out"

    code = main(["audit", str(data), "--out", str(out), "--cache", str(tmp_path / "cache"), "--json", "--gate"])

    record = json.loads(capfd.readouterr().out)
    assert (code, record["verdict"]) == (1, "shortcut")
    assert record == json.loads((out / "audit.json").read_bytes())
    header = record["probes"][-1]
    assert (header["name"], header["kept"] > 0.8) == ("metadata", True)
    assert {"width / height", "width, px", "height, px"} & {each["name"] for each in header["strongest"]}


def test_with_weights_the_frozen_network_looks(dataset_root: Path, tmp_path: Path):
    """The features of each view are kept in the cache, and tell where the bright corner is."""
    weights = tmp_path / "small.weights.h5"
    load_trunk("mobilenet", weights="none", alpha=0.25).model.get_layer("backbone").save_weights(weights)
    order = Order(data=dataset_root, out=tmp_path / "out", cache=tmp_path / "cache", weights=str(weights), alpha=0.25)

    record = audit(order)

    assert "frozen mobilenet (small.weights.h5)" in record.seen_as
    assert len(list((tmp_path / "cache").glob("features-*"))) == 3
    assert record.probes[0].metrics.auc > 0.9
