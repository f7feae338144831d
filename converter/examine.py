"""MODEL.keras and BUNDLE -> Parity, measured anew: does a finished bundle still decide like what it was made from?"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from converter.material import Material, read_material
from converter.parity import measure
from converter.refit import KEPT, OTHER, SAME, Refitted, find, int8_features, refit
from edge.bundle.bundle import Bundle, Parity, read_bundle
from edge.errors import DataError
from trainer.heads import Schedule
from trainer.trunk import hash_of


@dataclass(frozen=True, slots=True)
class Examination:
    """What was found.

    Attributes:
        parity: The figures.
        refitted_head: Where the refitted head came from.
        allowed: Why the bundle was let pass, as its card says; None where it did not have to be.
    """

    parity: Parity
    refitted_head: str
    allowed: str | None

    def document(self) -> dict[str, Any]:
        """For `--json`: the figures first."""
        return {
            **msgspec.to_builtins(self.parity),
            "refitted_head": self.refitted_head,
            "allowed": self.allowed,
        }


def examine(model: Path, bundle: Path, data: Path, cache: Path) -> Examination:
    """Measure anew how a bundle compares with the refitted and the trainer's float model.

    Raises:
        ConfigError: There is no such model or bundle.
        BundleError: The bundle is not what the converter wrote.
        DataError: The bundle was not made from this model, or DATA is not what it was trained on.
    """
    shipped = read_bundle(bundle)
    material = read_material(model, data, cache)
    _check_same(shipped, material)
    refitted = _refitted(shipped, material, cache)
    parity, _ = measure(shipped.model, refitted.head, material, cache)
    return Examination(parity, refitted.provenance, shipped.card.allowed)


def _refitted(bundle: Bundle, material: Material, cache: Path) -> Refitted:
    facts = bundle.card.recipe["refit"]
    digest = facts["head_sha256"]
    kept = find(digest, material.trained.head, cache)
    if kept is not None:
        return Refitted(kept, KEPT)
    schedule = Schedule(**{name: facts[name] for name in ("epochs", "batch", "learning_rate", "seed")})
    features = int8_features(bundle.model, material.learned, cache)
    head = refit(material.trained.head, features, material.learned.targets, schedule)
    return Refitted(head, SAME if hash_of(head) == digest else OTHER)


def _check_same(bundle: Bundle, material: Material) -> None:
    training = material.trained.training
    if bundle.card.recipe.get("trained_head_sha256") != hash_of(material.trained.head):
        raise DataError(
            f"the bundle ({bundle.model_id}) was not made from this model ({training.recipe.name} on "
            f"{training.data.name}); name the model.keras it was converted from"
        )
