"""How often the guard refuses what it should assess, and how often it assesses what it should refuse.

    python tests/benchmarks/guard_rates.py BUNDLE --chests DATA [--elsewhere DIR] [--others DIR]

Every file goes the box's own way: decoded, assessed. Of DATA only those images count that the bundle's model did not
learn from; they are also judged spoiled: inverted, turned on either side, upside down, cut to a fragment, blank, and as
noise of their own gray levels. `--elsewhere` holds chest X-rays of other collections (DIR/<class>/*, with manifest.csv
for the sources), `--others` pictures that are no chest from the front (DIR/<kind>/*); neither has been fitted on. The
guard's time is given beside the network's, the least of each: whatever else runs on the machine only adds. Prints one
JSON document.
"""

import argparse
import json
import os
import platform
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from edge.assess import Assessor
from edge.bundle.bundle import TRAINED_ON_DIGITS, read_bundle
from edge.decoding.decode import decode
from edge.guard import REASONS
from edge.preprocess import preprocess
from edge.study import NOT_ASSESSABLE, Finding, Radiograph
from trainer.dataset import read_dataset
from trainer.guard import spoiled


def rate(findings: Iterable[Finding]) -> dict[str, Any]:
    """How many there are, and which share was refused."""
    refused = [finding.decision == NOT_ASSESSABLE for finding in findings]
    return {"n": len(refused), "refused": round(sum(refused) / len(refused), 4)}


def films(root: Path, known: frozenset[str] = frozenset()) -> Iterator[tuple[str, Radiograph]]:
    """Source (or class, where none is named) and picture of each image that is not known."""
    for item in read_dataset(root).items:
        if item.sha256[:TRAINED_ON_DIGITS] not in known:
            yield item.source or item.label, decode((root / item.file).read_bytes())


def from_pixels(pixels: np.ndarray) -> Radiograph:
    """A picture as if it had been decoded."""
    height, width = pixels.shape
    copy = np.ascontiguousarray(pixels)
    return Radiograph(copy, media_type="image/png", source_mode="L", source_width_px=width, source_height_px=height)


def judged_spoiled(assessor: Assessor, chests: Iterable[Radiograph]) -> dict[str, Any]:
    """Each kind of spoiled film: the share refused, and the share refused with that kind's own sentence."""
    findings: dict[str, list[Finding]] = defaultdict(list)
    generator = np.random.default_rng(1)  # other fragments than those fitted on
    for chest in chests:
        film = preprocess(chest)[:, :, 0]
        for kind, picture in spoiled(film, generator):
            findings[kind].append(assessor.assess(from_pixels(picture)))
        findings["noise"].append(assessor.assess(from_pixels(generator.permuted(film.ravel()).reshape(film.shape))))
        findings["blank"].append(assessor.assess(from_pixels(np.full_like(film, film.mean()))))
    rows = {}
    for kind, found in findings.items():
        rows[kind] = rate(found)
        if kind in REASONS:
            rows[kind]["named"] = round(sum(each.reason == REASONS[kind] for each in found) / len(found), 4)
    return rows


def measure(bundle_path: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """All figures of one bundle."""
    bundle = read_bundle(bundle_path)
    assessor = Assessor(bundle, threads=1)
    digits, width = bundle.card.trained_on, TRAINED_ON_DIGITS
    known = frozenset(digits[start : start + width] for start in range(0, len(digits), width))
    chests = [film for _, film in films(arguments.chests, known)]
    found = [assessor.assess(chest) for chest in chests]
    assessed = [finding.timings_ms for finding in found if "classify" in finding.timings_ms]
    guard_ms, classify_ms = (min(t[stage] for t in assessed) for stage in ("guard", "classify"))
    figures: dict[str, Any] = {
        "model": bundle.model_id,
        "held_out": rate(found),
        "spoiled": judged_spoiled(assessor, chests),
        "guard_ms": guard_ms,
        "classify_ms": classify_ms,
        "guard_share": round(guard_ms / classify_ms, 4),
    }
    for name, root in (("elsewhere", arguments.elsewhere), ("others", arguments.others)):
        if root is not None:
            figures[name] = by_group(assessor, root)
    return figures


def by_group(assessor: Assessor, root: Path) -> dict[str, Any]:
    """Shares refused, by source or kind and over all, and how often which sentence was given."""
    groups: dict[str, list[Finding]] = defaultdict(list)
    for group, film in films(root):
        groups[group].append(assessor.assess(film))
    everything = [finding for found in groups.values() for finding in found]
    sentences = Counter(finding.reason for finding in everything if finding.reason)
    return {
        "all": rate(everything),
        **{group: rate(found) for group, found in sorted(groups.items())},
        "sentences": dict(sentences.most_common()),
    }


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", metavar="BUNDLE", nargs="+", type=Path)
    parser.add_argument("--chests", required=True, metavar="DATA", type=Path, help="what the model was trained on")
    parser.add_argument("--elsewhere", metavar="DIR", type=Path)
    parser.add_argument("--others", metavar="DIR", type=Path)
    arguments = parser.parse_args()
    figures = {path.stem: measure(path, arguments) for path in arguments.bundle}
    machine = {"machine": platform.processor() or platform.machine(), "cores": os.cpu_count()}
    print(json.dumps({**figures, **machine}, indent=2))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
