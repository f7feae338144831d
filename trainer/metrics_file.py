"""`metrics.json`: what a run found, for programs, and all that a reader needs to trust and to repeat it."""

from pathlib import Path
from typing import Any, Final

import msgspec

from edge.errors import ConfigError
from trainer.model_file import Training

METRICS_NAME: Final = "metrics.json"


def metrics_document(training: Training) -> dict[str, Any]:
    """What `metrics.json` holds: the metrics, and what a reader needs to trust and to repeat them."""
    recipe, split = training.recipe, training.split
    return {
        **msgspec.to_builtins(training.metrics),
        "recipe": recipe.name,
        "backbone": recipe.backbone,
        "head": recipe.head,
        "split": split.name,
        "seed": training.seed,
        "seconds": training.seconds,
        "n_train": len(split.train),
        "duplicates": training.data.duplicates,
        "n_validation": len(split.validation),
        "near_duplicates": split.near_duplicates,
        "left_out": split.left_out,
        "held_out_source": split.source,
        "operating_point": msgspec.to_builtins(training.operating_point),
        "patients_on_both_sides": split.patients_on_both_sides,
        "choices": msgspec.to_builtins(recipe),
        "data": msgspec.to_builtins(training.data),
        "weights": msgspec.to_builtins(training.weights),
        "versions": training.versions,
        "created_at": msgspec.to_builtins(training.created_at),
    }


def write_document(document: dict[str, Any], path: Path) -> None:
    """Write `metrics.json`, making its folder where it is missing.

    Raises:
        ConfigError: The folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n")
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}; free some space or name another --out") from error
