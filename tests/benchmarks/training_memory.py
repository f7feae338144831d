"""The most memory that `edge-trainer train` ever holds, and how it grows with the number of images.

    python tests/benchmarks/training_memory.py [DATA ...] [--synthetic N ...] [--recipe NAME] [--weights FILE]

Each folder, and each number of made-up pictures, is trained on by the real command in a process of its own; `peak_mb`
is what the kernel counted as its largest resident set, pages of mapped files included. Made-up pictures are soft random
clouds, the two classes brightened on opposite sides, 64 pixels a side: small files, but from decoding on each is as
large as any film. Without `--cache` everything is computed in an empty one, deleted afterwards: 350 kB an image for
MobileNet. Prints one JSON document.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = ("covid", "normal")
SIDE_PX = 64
CLOUD_PX = 8


@dataclass(frozen=True, slots=True)
class Used:
    """One run.

    Attributes:
        data: The folder's name, or how many pictures were made up.
        recipe: Its name.
        images: Pictures in the folder.
        peak_mb: Largest resident set, in MB of 1,048,576 bytes.
        seconds: From the start of the process to its end.
        computed: Whether the cache was empty at the start.
    """

    data: str
    recipe: str
    images: int
    peak_mb: int
    seconds: float
    computed: bool


def make_up(root: Path, count: int) -> Path:
    """Write `count` different pictures, the first half of them of the first class."""
    generator = np.random.default_rng(3)
    for name in CLASSES:
        (root / name).mkdir(parents=True)
    for number in range(count):
        first = number < count // 2
        cloud = generator.integers(0, 160, (CLOUD_PX, CLOUD_PX), np.uint8)
        cloud[:, : CLOUD_PX // 2] += np.uint8(60 * first)
        cloud[:, CLOUD_PX // 2 :] += np.uint8(60 * (not first))
        picture = Image.fromarray(cloud).resize((SIDE_PX, SIDE_PX), Image.Resampling.BICUBIC)
        picture.save(root / CLASSES[0 if first else 1] / f"{number:06}.png")
    return root


def measure(data: Path, name: str, arguments: argparse.Namespace, scratch: Path) -> Used:
    """Train on one folder."""
    cache = arguments.cache or scratch / "cache"
    command = [sys.executable, "-m", "trainer.cli", "train", data, "--recipe", arguments.recipe]
    command += ["--weights", arguments.weights, "--out", scratch / "out", "--cache", cache]
    start_s = time.perf_counter()
    process = subprocess.Popen(command)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"training on {name} ended with exit code {os.waitstatus_to_exitcode(status)}")
    return Used(
        data=name,
        recipe=arguments.recipe,
        images=sum(1 for path in data.glob("*/*") if path.is_file()),
        peak_mb=usage.ru_maxrss // 1024,  # Linux counts in kB
        seconds=round(time.perf_counter() - start_s, 1),
        computed=arguments.cache is None,
    )


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="*", metavar="DATA", type=Path)
    parser.add_argument("--synthetic", nargs="+", default=[], type=int, metavar="N", help="pictures to make up")
    parser.add_argument("--recipe", default="clinic-mobilenet")
    parser.add_argument("--weights", default="none", metavar="imagenet|none|FILE")
    parser.add_argument("--cache", type=Path, help="with pixels and features already in it, perhaps")
    arguments = parser.parse_args()
    runs = []
    for asked in [*arguments.data, *arguments.synthetic]:
        with tempfile.TemporaryDirectory() as folder:
            scratch = Path(folder)
            data = asked if isinstance(asked, Path) else make_up(scratch / "data", asked)
            name = asked.resolve().name if isinstance(asked, Path) else str(asked)
            runs.append(measure(data, name, arguments, scratch))
    machine = {"machine": platform.processor() or platform.machine(), "cores": os.cpu_count()}
    print(json.dumps({"runs": [asdict(run) for run in runs], **machine}, indent=2))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
