"""How far apart the probabilities lie that two runtimes give for the same bundle and the same images.

    python tests/benchmarks/runtime_agreement.py BUNDLE IMAGE... [--runtimes litert tflite-runtime]

Each runtime runs in a process of its own. Prints one JSON document.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from edge.bundle.bundle import read_bundle
from edge.decide import softmax
from edge.decoding.decode import decode
from edge.golden import decisions
from edge.preprocess import preprocess

RUN = """
import sys
from pathlib import Path
import numpy as np
from edge.bundle.bundle import read_bundle
from edge.classify import Classifier
classifier = Classifier(read_bundle(Path(sys.argv[1])).model, runtime=sys.argv[2], threads=1)
outputs = [classifier.run(image) for image in np.load(sys.argv[3])]
np.savez(sys.argv[4], logits=[each.logits for each in outputs], features=[each.features for each in outputs])
"""


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("images", nargs="+", type=Path)
    parser.add_argument("--runtimes", nargs=2, default=("litert", "tflite-runtime"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        images = Path(folder) / "images.npy"
        np.save(images, np.stack([preprocess(decode(file.read_bytes())) for file in options.images]))
        said = []
        for runtime in options.runtimes:
            out = Path(folder) / f"{runtime}.npz"
            subprocess.run([sys.executable, "-c", RUN, options.bundle, runtime, images, out], check=True)
            said.append(dict(np.load(out)))
    bundle = read_bundle(options.bundle)
    one, other = (softmax(each["logits"], bundle.card.temperature) for each in said)
    moved = np.abs(one - other).max(axis=1)
    result = {
        "model": bundle.model_id,
        "runtimes": options.runtimes,
        "n": len(moved),
        "decisions_differing": int((decisions(one, bundle.card) != decisions(other, bundle.card)).sum()),
        "max_probability_shift": round(float(moved.max()), 4),
        "further_than_0.02": int((moved > 0.02).sum()),
        "features_differing": round(float((said[0]["features"] != said[1]["features"]).mean()), 4),
    }
    print(json.dumps(result, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
