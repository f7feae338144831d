"""A refitted head is kept whole, or not at all."""

import resource
from pathlib import Path

import numpy as np
import pytest

from converter.refit import find, keep
from edge.errors import ConfigError
from trainer.heads import build_head


def test_what_is_kept_is_found_by_its_hash(tmp_path: Path):
    """And a damaged file counts as lost."""
    head, other = build_head("gap", (7, 7, 4), 2, seed=1), build_head("gap", (7, 7, 4), 2, seed=2)

    digest = keep(head, tmp_path)

    found = find(digest, other, tmp_path)
    assert all(map(np.array_equal, found.get_weights(), head.get_weights()))
    kept = tmp_path / "refitted" / f"{digest}.npz"
    np.savez(kept, *other.get_weights())
    assert find(digest, other, tmp_path) is None


def test_a_full_disk_under_the_cache(tmp_path: Path):
    """The refitted head is whole there or not at all."""
    head = build_head("paper", (7, 7, 4), 2, seed=1)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))  # the kernel refuses to write on, as on a full disk
    try:
        with pytest.raises(ConfigError, match=r"cannot write to the cache .*free some space or name another"):
            keep(head, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert list((tmp_path / "refitted").iterdir()) == []
