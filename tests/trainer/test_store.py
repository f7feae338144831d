"""What is in the store survives interruptions, and only what is in it counts."""

from pathlib import Path

import numpy as np
import pytest

from edge.errors import ConfigError
from trainer.store import Store

KEYS = [f"{n:064x}" for n in range(6)]
ROWS = np.arange(24, dtype=np.float32).reshape(6, 4)


def test_rows_come_back_in_the_order_asked_for(tmp_path: Path):
    """A second opening sees what the first has written, and says what is missing."""
    Store(tmp_path / "s", (4,), np.float32).append(KEYS[:3], ROWS[:3])
    store = Store(tmp_path / "s", (4,), np.float32)
    store.append(KEYS[3:5], ROWS[3:5])

    rows = store.rows([KEYS[4], KEYS[0], KEYS[2]])

    assert store.missing(KEYS) == [KEYS[5]]
    assert rows.take(slice(0, 3)).tolist() == ROWS[[4, 0, 2]].tolist()
    assert rows.select(np.array([False, True, True])).take(np.array([1])).tolist() == [ROWS[2].tolist()]
    assert [len(batch) for batch in rows.batches(2)] == [2, 1]


@pytest.mark.parametrize("lost", ["half a row", "rows without keys", "half a key"])
def test_an_interruption_loses_only_the_batch_under_way(tmp_path: Path, lost: str):
    """Whatever half of a batch has reached the disk, the rows before it stay and the next ones come right."""
    store = Store(tmp_path / "s", (4,), np.float32)
    store.append(KEYS[:2], ROWS[:2])
    with (tmp_path / "s" / "rows.bin").open("ab") as rows:
        rows.write(b"\x01" * (7 if lost == "half a row" else 32))
    if lost == "half a key":
        with (tmp_path / "s" / "keys.txt").open("a") as keys:
            keys.write(KEYS[5][:40])

    again = Store(tmp_path / "s", (4,), np.float32)
    again.append(KEYS[2:4], ROWS[2:4])

    assert again.missing(KEYS) == KEYS[4:]
    assert again.rows(KEYS[:4]).take(slice(0, 4)).tolist() == ROWS[:4].tolist()


def test_a_key_keeps_its_first_row(tmp_path: Path):
    """Two runs that computed the same image write it once."""
    store = Store(tmp_path / "s", (4,), np.float32)
    store.append(KEYS[:2], ROWS[:2])

    store.append(KEYS[1:3], ROWS[4:6])

    assert store.rows(KEYS[:3]).take(slice(0, 3)).tolist() == ROWS[[0, 1, 5]].tolist()


def test_a_cache_that_cannot_be_written_is_told(tmp_path: Path):
    """A file where the folder should be: the message names the option that helps."""
    (tmp_path / "cache").write_text("in the way")

    with pytest.raises(ConfigError, match="name another with --cache"):
        Store(tmp_path / "cache" / "s", (4,), np.float32)


def test_rows_of_another_shape_are_refused(tmp_path: Path):
    """A row that does not fit would shift all that follow."""
    store = Store(tmp_path / "s", (4,), np.float32)

    with pytest.raises(ValueError, match=r"expected \(1, 4\) float32, got \(1, 5\) float32"):
        store.append(KEYS[:1], np.zeros((1, 5), np.float32))
