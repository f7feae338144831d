"""What is in the store survives interruptions, and only what is in it counts."""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from edge.errors import ConfigError
from trainer.store import Store

KEYS = [f"{n:064x}" for n in range(6)]
ROWS = np.arange(24, dtype=np.float32).reshape(6, 4)

READ_A_GIGABYTE = """
import resource, sys
from pathlib import Path
import numpy as np
from trainer.store import Store

def peak_mb(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

store = Store(Path(sys.argv[1]), (256, 512), np.float32)  # half a megabyte a row
rows = store.rows([f"{n:064x}" for n in range(2048)])
before = peak_mb()
for batch in rows.batches(32):
    batch.sum()
for seed in range(64):
    rows.take(np.random.default_rng(seed).permutation(2048)[:32])
print(peak_mb() - before)
"""

APPEND_FOREVER = """
import sys
from itertools import count
from pathlib import Path
import numpy as np
from trainer.store import Store

store = Store(Path(sys.argv[1]), (256,), np.float32)
first = len((Path(sys.argv[1]) / "keys.txt").read_bytes()) // 65
for start in count(first, 32):
    numbers = range(start, start + 32)
    store.append([f"{n:064x}" for n in numbers], np.repeat(np.float32(numbers), 256).reshape(32, 256))
    print(start + 32, flush=True)
"""


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


def test_a_key_given_twice_in_one_batch_is_written_once(tmp_path: Path):
    """Else every row after it would be read from the wrong place."""
    store = Store(tmp_path / "s", (4,), np.float32)
    store.append([KEYS[0], KEYS[0], KEYS[1]], ROWS[[0, 0, 1]])

    store.append(KEYS[2:3], ROWS[2:3])

    assert store.rows(KEYS[:3]).take(slice(0, 3)).tolist() == ROWS[:3].tolist()


def test_what_another_process_adds_is_seen(tmp_path: Path):
    """Two stores on one folder take turns, and neither writes over the other's rows."""
    one, other = (Store(tmp_path / "s", (4,), np.float32) for _ in range(2))
    one.append(KEYS[:2], ROWS[:2])
    other.append(KEYS[1:4], ROWS[1:4])

    one.append(KEYS[2:6], ROWS[2:6])

    assert other.rows(KEYS).take(slice(0, 6)).tolist() == ROWS.tolist()


def test_memory_grows_with_the_batch_and_not_with_the_store(tmp_path: Path):
    """Reading a gigabyte in order and at random leaves a few batches of 16 MB in memory, and no more."""
    store = tmp_path / "s"
    Store(store, (256, 512), np.float32)
    (store / "keys.txt").write_text("".join(f"{n:064x}\n" for n in range(2048)))
    with (store / "rows.bin").open("r+b") as rows:
        rows.truncate(2048 * 256 * 512 * 4)  # a hole: nothing of it lies on the disk

    run = subprocess.run(
        [sys.executable, "-c", READ_A_GIGABYTE, store], capture_output=True, text=True, check=True, timeout=60
    )

    assert int(run.stdout) < 200


def test_a_killed_run_loses_at_most_the_batch_under_way(tmp_path: Path):
    """SIGKILL at any moment: all that was acknowledged is there and right, and the next run goes on from it."""
    for attempt in range(5):
        command = [sys.executable, "-c", APPEND_FOREVER, tmp_path / "s"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            first = process.stdout.readline()
            time.sleep(0.005 + 0.013 * attempt)
            process.kill()
            acknowledged = int((first + process.stdout.read()).split()[-1])

        store = Store(tmp_path / "s", (256,), np.float32)
        keys = [f"{n:064x}" for n in range(acknowledged + 64)]
        written = len(keys) - len(store.missing(keys))
        assert acknowledged <= written <= acknowledged + 32
        rows = store.rows(keys[:written]).take(slice(0, written))
        assert (rows == np.arange(written, dtype=np.float32)[:, np.newaxis]).all()
