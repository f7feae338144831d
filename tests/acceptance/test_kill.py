"""Nothing is lost and nothing comes twice, whatever is killed."""

import json
import random
import signal
import time
from collections import Counter
from pathlib import Path

IMAGES = 200
KILLS = 50
BROKER_RESTARTS_AFTER = {KILLS // 3, 2 * KILLS // 3}


def test_every_image_arrives_exactly_once_through_kills_and_broker_restarts(
    agent, doctor, mosquitto, demo_bundle, phantoms, tmp_path: Path
):
    """The agent is killed 50 times and the broker twice while 200 images pass: each is printed exactly once."""
    watched = tmp_path / "in"
    watched.mkdir()
    inbox = doctor(mosquitto.address)
    command = ("--broker", mosquitto.address, "--model", demo_bundle, "--watch", watched, "--device", "box-1")
    quick = ("--receipt-timeout-s", "1", "--settle-s", "0.1")
    luck = random.Random(1)
    names: list[str] = []

    for kill in range(1, KILLS + 1):
        box = agent(*command, *quick)
        time.sleep(luck.uniform(0, 0.5))
        names += phantoms(watched, IMAGES // KILLS, first_seed=len(names))
        time.sleep(luck.uniform(0, 0.6))
        assert box.end(signal.SIGKILL) == -signal.SIGKILL
        if kill in BROKER_RESTARTS_AFTER:
            mosquitto.restart()
    box = agent(*command, *quick)
    inbox.wait_for(lambda process: len(process.out) >= IMAGES, timeout_s=120)
    time.sleep(3)  # would show what comes twice

    reports = [json.loads(line) for line in inbox.out]
    assert Counter(Counter(report["id"] for report in reports).values()) == {1: IMAGES}
    assert sorted(report["seq"] for report in reports) == list(range(1, IMAGES + 1))
    assert sorted(path.name for path in (watched / "archive").iterdir()) == names
    assert box.end() == 0
