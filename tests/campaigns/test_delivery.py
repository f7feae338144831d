"""A few minutes of the long campaign in a few seconds; docs/reliability.md has the figures of the long one."""

import json
import subprocess
import sys
from pathlib import Path

CAMPAIGN = Path(__file__).with_name("delivery.py")


def test_nothing_is_lost_comes_twice_or_moves_early(tmp_path: Path):
    """Kills at exact places and random moments, a killed broker, a full and a failing disk, a clock that jumps."""
    short = ("--kills", "4", "--restarts", "2", "--disk", "1", "--jumps", "1")

    done = subprocess.run(
        [sys.executable, CAMPAIGN, *short, "--folder", tmp_path],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(done.stdout)
    assert result["verdict"].pop("images") >= 7
    assert set(result["verdict"].values()) == {0}
    assert result["done"]["kills of mosquitto"] == 2
    assert result["done"]["ENOSPC"] == result["done"]["EIO"] == 1


CARELESS = """
import sys
import delivery
drop = delivery.Images.drop
def moved_at_once(images):
    drop(images)
    archive = images.folder / "archive"
    archive.mkdir(exist_ok=True)
    name = list(images.dropped.values())[-1]
    (images.folder / name).rename(archive / name)
delivery.Images.drop = moved_at_once
sys.exit(delivery.main())
"""


def test_the_campaign_can_fail(tmp_path: Path):
    """Originals that somebody moves to the archive before their reports are there are found out."""
    short = ("--kills", "1", "--restarts", "0", "--disk", "0", "--jumps", "0")

    done = subprocess.run(
        [sys.executable, "-c", CARELESS, *short, "--folder", tmp_path],
        capture_output=True, text=True, check=False, timeout=120, cwd=CAMPAIGN.parent,
    )  # fmt: skip

    assert done.returncode == 1, done.stdout + done.stderr
    verdict = json.loads(done.stdout)["verdict"]
    assert verdict["moved before the report was durable"] == verdict["images"] > 0
    assert verdict["lost"] > 0
