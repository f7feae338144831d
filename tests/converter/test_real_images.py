"""The line on a few real X-rays with the pretrained MobileNet, where they are at hand."""

import shutil
from pathlib import Path

import msgspec
import pytest

from converter import convert as converter
from edge.bundle.bundle import read_bundle
from trainer import train as trainer
from trainer.recipes import RECIPES

PER_CLASS = 40


@pytest.mark.shared
def test_a_few_real_x_rays_lead_to_a_bundle_that_decides_like_its_model(shared: Path, tmp_path: Path):
    """The paper's recipe on 84 images, so the bound on accuracy is a loose one."""
    data = tmp_path / "cxr"
    for label in ("covid", "normal"):
        (data / label).mkdir(parents=True)
        for file in sorted((shared / "data" / "cxr" / label).iterdir())[:: 500 // PER_CLASS]:
            shutil.copy(file, data / label)
    recipe = msgspec.structs.replace(RECIPES["paper-mobilenet"], epochs=12)
    weights = shared / "weights" / "mobilenet_imagenet_notop.weights.h5"

    metrics = trainer.train(
        trainer.Order(data=data, recipe=recipe, weights=str(weights), out=tmp_path / "out", cache=tmp_path / "cache")
    )
    converter.convert(
        converter.Order(
            model=tmp_path / "out" / "model.keras", data=data, out=tmp_path / "x.bundle", cache=tmp_path / "cache"
        )
    )

    card = read_bundle(tmp_path / "x.bundle").card
    assert metrics["accuracy"] >= 0.8
    assert card.parity is not None
    assert card.parity.agreement >= 0.99
    assert card.metrics["accuracy"] >= metrics["accuracy"] - 0.05
