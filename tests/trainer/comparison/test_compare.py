"""The command compares on one split, keeps what it has done, and its page says what the figures do not."""

import csv
import json
import re
from collections.abc import Callable, Sequence
from html import unescape
from pathlib import Path

import msgspec
import numpy as np
import pytest

from edge.errors import ConfigError
from trainer.cli import main
from trainer.clock import Clock
from trainer.comparison import runs
from trainer.comparison.baselines import METHODS
from trainer.comparison.runs import weights_for
from trainer.learn import Task
from trainer.recipes import Augmentation, Recipe

PLAIN = Recipe(
    name="paper-mobilenet", backbone="mobilenet", head="gap", frozen=True, epochs=2, batch=8, alpha=0.25, folds=2
)
MOVED = msgspec.structs.replace(
    PLAIN,
    name="paper-mobilenet-aug",
    augmentation=Augmentation(
        rotation_deg=10, width_shift=0.2, height_shift=0.2, shear_deg=0.2, zoom=0.2, copies=1, with_originals=True
    ),
)


@pytest.fixture(autouse=True)
def quick_recipes(monkeypatch: pytest.MonkeyPatch):
    """Two recipes that take seconds, under names of the paper's."""
    monkeypatch.setattr("trainer.comparison.compare.PAPER", (MOVED, PLAIN))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for the made-up pictures of all tests here."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def compare(tmp_path: Path, dataset_root: Path, cache: Path) -> Callable[..., int]:
    """Call `edge-trainer compare` on the made-up pictures, always into one folder."""
    return lambda *more: main([
        *("compare", str(dataset_root), "--weights-dir", "none", "--out", str(tmp_path / "out")),
        *("--cache", str(cache), *map(str, more)),
    ])  # fmt: skip


class Fits:
    """Stands for the networks' learning and notes it; right about half of the images."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.interrupt_at: str | None = None

    def learn(self, task: Task, clock: Clock) -> "Fits":
        """What `trainer.learn.learn` is called as."""
        if task.recipe.name == self.interrupt_at:
            raise KeyboardInterrupt
        with clock.stage("fit"):
            self.done.append(f"{task.recipe.name} {task.seed}")
        return self

    def logits(self, keys: Sequence[str]) -> np.ndarray:
        """As `trainer.learn.Learned.logits`."""
        return np.tile(np.float32([1, 0]), (len(keys), 1))


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> Fits:
    """Networks that learn nothing and one classical method: what is tested is what is done again."""
    fits = Fits()
    fit_methods = runs.fit_methods

    def noted(*arguments, seed: int):
        fits.done.append(f"methods {seed}")
        return fit_methods(*arguments, seed=seed)

    monkeypatch.setattr(runs, "learn", fits.learn)
    monkeypatch.setattr(runs, "fit_methods", noted)
    for module in ("baselines", "compare", "runs"):
        monkeypatch.setattr(f"trainer.comparison.{module}.METHODS", METHODS[:1])
    return fits


def write_manifest(root: Path, **columns: Callable[[str, int], str]) -> None:
    """A manifest with further columns, each a function of label and number."""
    with (root / "manifest.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "label", *columns])
        for path in sorted(root.glob("*/*.png")):
            label, number = path.parent.name, int(path.stem)
            writer.writerow([f"{label}/{path.name}", label, *(value(label, number) for value in columns.values())])


def test_the_whole_comparison_is_one_page_with_the_papers_figures_and_the_limits(
    compare, dataset_root: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    """Stdout is compare.json; the page loads nothing; sources, patients and the missing joint model are named."""
    write_manifest(
        dataset_root,
        patient=lambda _, number: f"p{number % 3}",
        source=lambda label, _: f"clinic of {label}",
        age=lambda label, number: str(30 + number) if label == "covid" else "",
    )

    assert compare("--json") == 0

    document = json.loads(capfd.readouterr().out)
    assert document == json.loads((tmp_path / "out" / "compare.json").read_bytes())
    assert [network["method"] for network in document["networks"]] == ["paper-mobilenet-aug", "paper-mobilenet"]
    image_methods = [method.name for method in METHODS if not method.clinical]
    assert [(row["features"], row["method"]) for row in document["methods"]] == [
        (features, method) for features in ("pixels", "mobilenet") for method in image_methods
    ]
    page, tables = ((tmp_path / "out" / name).read_text() for name in ("compare.html", "compare.md"))
    assert not re.search(r"<script|(src|href)=\"(?!#|data:)|url\(|@import", page)
    words = re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", page)))
    assert "12a MobileNet with augmentation Paper, 12a 11 of 200 wrong" in words
    assert "one version of each in an epoch, 1 in a round that an epoch of the images as they are closes" in words
    assert "random weights" in words
    for text in (words, tables):
        assert "No source has images of more than one class" in text
        assert re.search(r"[123] patients? (has|have) images on both sides", text)
        assert "edge-trainer audit DATA" in text
        assert "joint model was not run: age: known for 100% of covid and 0% of normal" in text
        assert "support vector machines" in text
        assert "92.5%" in text


@pytest.mark.usefixtures("fits")
def test_the_joint_model_is_run_where_every_class_has_the_columns(compare, dataset_root, tmp_path, monkeypatch):
    """And the page says what it read."""
    write_manifest(dataset_root, age=lambda _, number: str(30 + number), sex=lambda _, number: "fm"[number % 2])
    for module in ("baselines", "compare", "runs"):
        monkeypatch.setattr(f"trainer.comparison.{module}.METHODS", METHODS[-1:])

    assert compare() == 0

    document = json.loads((tmp_path / "out" / "compare.json").read_bytes())
    assert (document["columns"], document["not_run"]) == (["age", "sex"], {})
    assert [(row["method"], row["features"]) for row in document["methods"]] == [
        ("joint", "pixels"),
        ("joint", "mobilenet"),
    ]
    assert "The joint model read age, sex" in (tmp_path / "out" / "compare.html").read_text()


def test_every_method_is_run_once_per_seed_and_a_second_call_fits_nothing(compare, fits: Fits, tmp_path: Path):
    """One seed, then two: the first is not done again; then nothing is left to do, and the figures stay."""
    assert compare() == 0
    once = list(fits.done)
    assert compare("--seeds", 2) == 0
    twice, first = list(fits.done), json.loads((tmp_path / "out" / "compare.json").read_bytes())
    assert compare("--seeds", 2) == 0

    assert once == ["paper-mobilenet-aug 0", "paper-mobilenet 0", "methods 0", "methods 0"]
    assert twice == [*once, "paper-mobilenet-aug 1", "paper-mobilenet 1", "methods 1", "methods 1"]
    assert fits.done == twice
    again = json.loads((tmp_path / "out" / "compare.json").read_bytes())
    assert again | {"created_at": ""} == first | {"created_at": ""}
    for row in (*again["networks"], *again["methods"]):
        assert [run["seed"] for run in row["runs"]] == [0, 1]
        assert (sum(map(sum, row["first"])), sum(map(sum, row["total"])), row["accuracy"]["n"]) == (4, 8, 2)


def test_what_was_kept_under_other_conditions_is_done_again(
    compare, fits: Fits, tmp_path: Path, dataset_root: Path, monkeypatch: pytest.MonkeyPatch
):
    """Another recipe concerns its own fits, a broken file its own, other images all of them."""
    assert compare() == 0
    marks = [len(fits.done)]
    monkeypatch.setattr("trainer.comparison.compare.PAPER", (MOVED, msgspec.structs.replace(PLAIN, epochs=3)))
    assert compare() == 0
    marks.append(len(fits.done))
    (tmp_path / "out" / "runs" / "paper-mobilenet-aug-seed0.json").write_text('{"stamp": "cut sh')
    assert compare() == 0
    marks.append(len(fits.done))
    (dataset_root / "covid" / "003.png").unlink()
    assert compare() == 0

    every, recipe, damage = marks
    assert fits.done[every:recipe] == ["paper-mobilenet 0"]
    assert fits.done[recipe:damage] == ["paper-mobilenet-aug 0"]
    assert fits.done[damage:] == fits.done[:every]


def test_an_interrupted_comparison_goes_on_where_it_was(compare, fits: Fits):
    """Ctrl-C in the second fit: the first is kept."""
    fits.interrupt_at = "paper-mobilenet"
    assert compare() == 130
    before = list(fits.done)
    fits.interrupt_at = None

    assert compare() == 0

    assert before == ["paper-mobilenet-aug 0"]
    assert fits.done[1:] == ["paper-mobilenet 0", "methods 0", "methods 0"]


def test_weights_are_found_by_the_backbones_name(tmp_path: Path):
    """One file per backbone; another network's with a longer name is not mistaken for it."""
    for name in ("MobileNet_imagenet.weights.h5", "mobilenetv3_imagenet.weights.h5", "vgg19.h5", "README.md"):
        (tmp_path / name).touch()

    found = [Path(weights_for(str(tmp_path), backbone)).name for backbone in ("mobilenet", "vgg19")]

    assert found == ["MobileNet_imagenet.weights.h5", "vgg19.h5"]
    assert weights_for("imagenet", "vgg19") == "imagenet"


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ([], "expected one weights file of vgg19 in .*, found none"),
        (["vgg19-a.h5", "vgg19-b.h5"], "found vgg19-a.h5, vgg19-b.h5; keep exactly one there"),
        (None, "expected --weights-dir to be imagenet, none or a folder, found no folder"),
    ],
)
def test_weights_that_are_missing_or_ambiguous_are_named(tmp_path: Path, files: list[str] | None, sentence: str):
    """The message names the folder, what was found and what to do."""
    folder = tmp_path / "weights"
    if files is not None:
        folder.mkdir()
        for name in files:
            (folder / name).touch()

    with pytest.raises(ConfigError, match=sentence):
        weights_for(str(folder), "vgg19")


def test_less_than_one_seed_is_a_wrong_call(compare, capfd: pytest.CaptureFixture[str]):
    """Exit code 2 and a sentence."""
    with pytest.raises(SystemExit) as stopped:
        compare("--seeds", 0)

    assert (stopped.value.code, "expected 1 or more, got 0" in capfd.readouterr().err) == (2, True)
