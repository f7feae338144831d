"""How long the box needs from nothing to its first finding, beside what importing TensorFlow alone takes.

    python tests/benchmarks/cold_start.py [--model BUNDLE] [--rounds N]

Three things are timed in turn, each in a new process: importing TensorFlow; `edge-agent classify` of one image, from
the start of the process to its line on stdout; `edge-agent` with a broker that is not there, to its first `finding` log
line. Prints one JSON document with median, p95 and n of each, and the ratios of the medians.
"""

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from edge.phantom import phantom


def seconds_until(command: Sequence[str], marker: str) -> float:
    """Start a command and time it to the first line, of either stream, that holds a text."""
    start_s = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        for line in process.stdout or ():
            if marker in line:
                elapsed_s = time.perf_counter() - start_s
                process.kill()
                return elapsed_s
    raise SystemExit(f"{command} ended without saying {marker!r}")


def summary(samples: list[float]) -> dict[str, float]:
    """Median, p95 and number of samples."""
    ordered = sorted(samples)
    return {
        "median_s": round(statistics.median(samples), 4),
        "p95_s": round(ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))], 4),
        "n": len(samples),
    }


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=str(files("edge") / "demo-model.bundle"))
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    samples: dict[str, list[float]] = {"import_tensorflow": [], "classify": [], "agent": []}
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder) / "image.png"
        image.write_bytes(phantom(1).png())
        agent = [sys.executable, "-m", "edge.cli"]
        for number in range(options.rounds + 1):
            watched = Path(folder) / f"in-{number}"
            watched.mkdir()
            (watched / "image.png").write_bytes(image.read_bytes())
            time.sleep(1.1)  # the agent takes a file that has settled
            tensorflow = [sys.executable, "-c", "import tensorflow; print('imported')"]
            bundle = ["--model", options.model, "--allow-unsigned"]
            classify = [*agent, "classify", str(image), *bundle, "--json"]
            run = [*agent, *bundle, "--watch", str(watched), "--broker", "127.0.0.1:1"]
            times = (
                seconds_until(tensorflow, "imported"),
                seconds_until(classify, '"decision"'),
                seconds_until(run, "finding id="),
            )
            if number:  # the first round warms the disk's cache
                for name, seconds in zip(samples, times, strict=True):
                    samples[name].append(seconds)
    result: dict[str, object] = {name: summary(values) for name, values in samples.items()}
    base_s = statistics.median(samples["import_tensorflow"])
    result["ratio"] = {name: round(base_s / statistics.median(samples[name]), 1) for name in ("classify", "agent")}
    result["machine"] = f"{platform.machine()}, {platform.python_implementation()} {platform.python_version()}"
    print(json.dumps(result, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
