"""What chooses the operating point has not been learned from; every backbone's recipe learns, end to end."""

from collections.abc import Sequence
from pathlib import Path

import keras
import msgspec
import numpy as np
import numpy.typing as npt
import pytest

from trainer.augment import copies_of
from trainer.cli import main
from trainer.clock import Clock
from trainer.dataset import Dataset, Item
from trainer.features import compute_features
from trainer.heads import build_head, fit_head, root_mean_square
from trainer.learn import Task, learn, schedule_of, unseen_logits
from trainer.material import Material
from trainer.model_file import read_model
from trainer.recipes import Augmentation, Recipe
from trainer.split import Split, draw_split, set_aside
from trainer.store import Rows
from trainer.trunk import Trunk, load_trunk

Pixels = npt.NDArray[np.uint8]

IMAGES = 40
QUICK = Recipe(name="quick", backbone="mobilenet", head="gap", frozen=True, epochs=2, batch=8, alpha=0.25, folds=3)
RANGES = Augmentation(rotation_deg=10, width_shift=0.2, height_shift=0.2, shear_deg=0.2, zoom=0.2, copies=2)


@pytest.fixture(scope="module")
def trunk() -> Trunk:
    """A small backbone with random weights."""
    loaded = load_trunk("mobilenet", weights="none", alpha=0.25, seed=0)
    loaded.model.trainable = False
    return loaded


def a_dataset(*, patients: Sequence[str | None] = (None,) * IMAGES) -> Dataset:
    """Two classes in turn."""
    items = (
        Item(f"{n}.png", ("covid", "normal")[n % 2], f"{n * 7919:064x}", patient) for n, patient in enumerate(patients)
    )
    return Dataset(Path(), tuple(items), ("covid", "normal"), 0)


def noise() -> Pixels:
    """One picture each."""
    return np.random.default_rng(1).integers(0, 256, (IMAGES, 224, 224, 3)).astype(np.uint8)


def a_split(dataset: Dataset, together: Sequence[frozenset[str]]) -> Split:
    """A fifth held out at random."""
    return draw_split(dataset, "random", test_share=0.2, seed=0, together=together)


def unseen(
    trunk: Trunk,
    cache: Path,
    pixels: Pixels,
    dataset: Dataset,
    *,
    recipe: Recipe = QUICK,
    together: tuple[frozenset[str], ...] = (),
) -> dict[str, list[float]]:
    """Learn, and ask for the logits that choose the operating point: image key -> logits."""
    split = a_split(dataset, together)
    if recipe.validation_share:
        split = set_aside(split, dataset, together, share=recipe.validation_share)
    material = Material(dataset, Rows(pixels, np.arange(len(pixels))), together, skipped=0)
    task = Task(recipe, material, split, trunk, cache, seed=0)
    logits, targets = unseen_logits(learn(task, Clock()), Clock())
    asked = dataset.only(split.validation if recipe.validation_share else split.train)
    assert targets.tolist() == asked.targets(dataset.labels).tolist()
    return dict(zip(asked.keys, logits.tolist(), strict=True))


def unmoved_by(key: str, trunk: Trunk, folder: Path, dataset: Dataset, **options: object) -> tuple[set[str], set[str]]:
    """Images whose logits stay, to the bit, when one image becomes another picture; and all that were asked about."""
    pixels = noise()
    before = unseen(trunk, folder / "before", pixels, dataset, **options)
    pixels[dataset.keys.index(key)] = 255 - pixels[dataset.keys.index(key)] // 2
    after = unseen(trunk, folder / "after", pixels, dataset, **options)
    return {name for name in before if before[name] == after[name]}, set(before)


def test_the_head_that_judges_an_image_has_not_learned_from_it(trunk: Trunk, tmp_path: Path):
    """Another picture in its place moves the logits of all other folds, and in its own fold nobody's but its own."""
    dataset = a_dataset()
    key = a_split(dataset, ()).train[0]

    unmoved, asked = unmoved_by(key, trunk, tmp_path, dataset)

    assert len(asked) == 32
    assert key not in unmoved
    assert 8 <= len(unmoved) <= 12, "a third of the images learned from, less one, is its fold"


@pytest.mark.parametrize("by", ["patient", "film"])
def test_what_belongs_together_is_judged_by_one_head(trunk: Trunk, tmp_path: Path, by: str):
    """That head has learned from none of a patient's images, nor from any copy of a film."""
    group = [str(key) for key in a_dataset().keys[:20:4]] if by == "film" else []
    patients = ["one" if by == "patient" and n % 8 == 0 else None for n in range(IMAGES)]
    dataset = a_dataset(patients=patients)
    group = group or [item.sha256 for item in dataset.items if item.patient]
    together = (frozenset(group),) if by == "film" else ()
    learned = [key for key in group if key in a_split(dataset, together).train]

    unmoved, _ = unmoved_by(learned[0], trunk, tmp_path, dataset, together=together)

    assert len(learned) > 2
    assert set(learned[1:]) <= unmoved


def test_an_augmented_recipe_judges_the_image_itself(trunk: Trunk, tmp_path: Path):
    """Two keys of one picture get one answer, though their copies were moved differently."""
    dataset, pixels = a_dataset(), noise()
    pixels[4] = pixels[0]
    twins = frozenset(dataset.keys[0:5:4])
    recipe = msgspec.structs.replace(QUICK, augmentation=RANGES)

    answers = unseen(trunk, tmp_path, pixels, dataset, recipe=recipe, together=(twins,))

    copies = [path.read_text().split() for path in tmp_path.glob("features-*/keys.txt")]
    assert sorted(map(len, copies)) == [32, 32, 40]
    first, second = (answers[key] for key in sorted(twins))
    assert first == second
    assert len({tuple(answer) for answer in answers.values()}) == len(answers) - 1


def test_an_epoch_of_the_images_themselves_closes_each_round_of_copies(trunk: Trunk, tmp_path: Path):
    """One copy, the other, the images, and so again: the head is the one that these six epochs make, to the bit."""
    dataset, pixels = a_dataset(), Rows(noise(), np.arange(IMAGES))
    recipe = msgspec.structs.replace(QUICK, epochs=6, augmentation=msgspec.structs.replace(RANGES, with_originals=True))
    task = Task(recipe, Material(dataset, pixels, (), skipped=0), a_split(dataset, ()), trunk, tmp_path, seed=0)
    own, first, second = (
        compute_features(pixels, dataset.keys, trunk.model, tmp_path, view).select(task.learned)
        for view in (None, *copies_of(recipe.augmentation))
    )
    rms = root_mean_square(first)
    start = build_head(recipe.head, trunk.features_shape, 2, seed=0, features_rms=rms)

    learned = learn(task, Clock()).head

    expected = fit_head(start, [first, second, own], task.targets[task.learned], schedule_of(recipe, 0), what="t")
    assert all(np.array_equal(*pair) for pair in zip(learned.get_weights(), expected.get_weights(), strict=True))


def test_a_recipe_whose_last_epoch_would_be_a_copys_is_refused():
    """The images as they are have the last word, so rounds are whole."""
    rounds = msgspec.structs.replace(RANGES, with_originals=True)

    with pytest.raises(ValueError, match=r"whole rounds of 2 copies .* got 4"):
        msgspec.structs.replace(QUICK, epochs=4, augmentation=rounds)


def test_a_part_set_aside_teaches_nothing(trunk: Trunk, tmp_path: Path):
    """Where a recipe sets images aside, one of them can change without moving what is said of the others."""
    dataset = a_dataset()
    recipe = msgspec.structs.replace(QUICK, folds=0, validation_share=0.25)
    key = set_aside(a_split(dataset, ()), dataset, (), share=0.25).validation[0]

    unmoved, asked = unmoved_by(key, trunk, tmp_path, dataset, recipe=recipe)

    assert len(asked) == 8
    assert unmoved == asked - {key}


def test_a_backbone_added_by_its_facts_trains_end_to_end(dataset_root: Path, tmp_path: Path):
    """EfficientNetV2-B0 by its own recipe: the command writes a model that Keras reads, its training with it."""
    paths = ["--out", str(tmp_path / "out"), "--cache", str(tmp_path / "cache")]

    code = main(["train", str(dataset_root), "--recipe", "clinic-efficientnetv2b0", "--weights", "none", *paths])

    assert code == 0
    trained = read_model(tmp_path / "out" / "model.keras")
    assert trained.training.recipe.backbone == "efficientnetv2b0"
    assert trained.trunk.output_shape == (None, 7, 7, 1280)
    pixels = np.zeros((1, 224, 224, 3), np.float32)
    whole = keras.models.load_model(tmp_path / "out" / "model.keras")
    assert whole.predict_on_batch(pixels).sum() == pytest.approx(1, abs=1e-5)
