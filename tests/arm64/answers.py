"""What the agent's own code says of images on this processor: run by `aarch64.py` under qemu and natively.

    python tests/arm64/answers.py BUNDLE RUNTIME FOLDER OUT.npz

Decoding, preprocessing, the network and the finding, for each file of the folder in order of names.
"""

import sys
from hashlib import sha256
from pathlib import Path

import numpy as np

from edge.assess import Assessor
from edge.bundle.bundle import read_bundle
from edge.classify import Classifier
from edge.decoding.decode import decode
from edge.preprocess import preprocess


def main() -> None:
    """Write pixels' hashes, logits, features' hashes, decisions and probabilities."""
    bundle, runtime, folder, out = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4])
    loaded = read_bundle(bundle)
    classifier = Classifier(loaded.model, runtime=runtime, threads=1)
    assessor = Assessor(loaded, runtime=runtime, threads=1)
    said: dict[str, list[object]] = {
        name: [] for name in ("pixels", "logits", "features", "decisions", "probabilities")
    }
    for file in sorted(folder.iterdir()):
        radiograph = decode(file.read_bytes())
        pixels = preprocess(radiograph)
        output, finding = classifier.run(pixels), assessor.assess(radiograph)
        said["pixels"].append(sha256(pixels.tobytes()).hexdigest())
        said["logits"].append(output.logits)
        said["features"].append(sha256(output.features.tobytes()).hexdigest())
        said["decisions"].append(finding.decision)
        said["probabilities"].append([finding.probabilities.get(label, -1.0) for label in loaded.card.labels])
    np.savez(out, **{name: np.array(values) for name, values in said.items()})


if __name__ == "__main__":
    main()
