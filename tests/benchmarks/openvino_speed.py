"""How fast a bundle's model runs in LiteRT beside OpenVINO running the same file: what else this processor could do.

    python tests/benchmarks/openvino_speed.py BUNDLE [--rounds 100]

One thread each, one process, one interleaved run; prints one JSON document. OpenVINO is a comparison for x86-64, never
part of the box.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
import openvino

from edge.bench import Contender, machine, named, race
from edge.bundle.bundle import read_bundle
from edge.classify import Timed


class OpenVino:
    """The same file, compiled by OpenVINO for one thread."""

    def __init__(self, model: bytes) -> None:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "model.tflite"
            file.write_bytes(model)
            options = {"INFERENCE_NUM_THREADS": 1, "PERFORMANCE_HINT": "LATENCY"}
            compiled = openvino.Core().compile_model(file, "CPU", options)
        self._request = compiled.create_infer_request()

    def run(self, pixels: npt.NDArray[np.uint8]) -> None:
        """Run on one image."""
        self._request.infer([pixels[np.newaxis]])


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--rounds", type=int, default=100)
    options = parser.parse_args()
    bundle = read_bundle(options.bundle)
    contenders: list[Contender] = [Timed(bundle.model, runtime="litert", threads=1), OpenVino(bundle.model)]
    times_ms = race(contenders, rounds=options.rounds, max_s=240)  # (rounds, 2)
    names = (named("litert"), f"openvino {openvino.__version__.partition('-')[0]}")
    result = {
        "model": bundle.model_id,
        "machine": machine(),
        "n": len(times_ms),
        "p50_ms": {name: round(float(np.median(column)), 2) for name, column in zip(names, times_ms.T, strict=True)},
        "times_of_openvino": round(float(np.median(times_ms[:, 0] / times_ms[:, 1])), 3),
    }
    print(json.dumps(result, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
