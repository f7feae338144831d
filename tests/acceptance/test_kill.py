"""Nothing is lost and nothing comes twice, whatever is killed."""

import json
import os
import random
import signal
import time
from collections import Counter
from pathlib import Path

IMAGES = int(os.environ.get("KILL_IMAGES", "200"))
KILLS = int(os.environ.get("KILL_KILLS", "50"))


def test_every_image_arrives_exactly_once_through_kills_and_broker_restarts(
    agent, doctor, mosquitto, demo_bundle, phantoms, tmp_path: Path
):
    """The agent is killed 50 times and the broker twice while 200 images pass: the doctor's end prints each exactly once."""
    watched = tmp_path / "in"
    watched.mkdir()
    inbox = doctor(mosquitto.address)
    luck = random.Random(1)
    names = phantoms(watched, IMAGES // 2)
    kills = 0

    while kills < KILLS:
        box = agent(
            "--broker", mosquitto.address, "--model", demo_bundle, "--watch", watched,
            "--receipt-timeout-s", "1", "--settle-s", "0.2",
        )  # fmt: skip
        time.sleep(luck.uniform(0.1, 1.5))
        assert box.end(signal.SIGKILL) == -signal.SIGKILL
        kills += 1
        if kills in {KILLS // 3, 2 * KILLS // 3}:
            mosquitto.restart()
        if kills == KILLS // 2:
            names += phantoms(watched, IMAGES - IMAGES // 2, first_seed=IMAGES)
    box = agent(
        "--broker", mosquitto.address, "--model", demo_bundle, "--watch", watched,
        "--receipt-timeout-s", "1", "--settle-s", "0.2",
    )  # fmt: skip
    inbox.wait_for(lambda process: len(process.out) >= IMAGES, timeout_s=120)
    time.sleep(3)  # would show what comes twice

    reports = [json.loads(line) for line in inbox.out]
    assert len(names) == IMAGES
    assert max(Counter(report["id"] for report in reports).values()) == 1
    assert len(reports) == IMAGES
    assert sorted(path.name for path in (watched / "archive").iterdir()) == sorted(names)
    assert sorted(report["seq"] for report in reports) == sorted({report["seq"] for report in reports})
    assert box.end() == 0
