"""Answered reports for the tests of what is learned from them."""

from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import msgspec

from doctor.learning.answered import Answered
from edge.study import INCONCLUSIVE, NOT_ASSESSABLE
from edge.wire.messages import ModelIdentity, Picture, Report, Review, report_id

GOLDEN = Path(__file__).parents[2] / "edge" / "golden" / "report.json"
REPORT = msgspec.json.decode(GOLDEN.read_bytes(), type=Report)
AT = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


def report(image: int, decision: str, *, site: str = "clinic", model: str = "m", **changes) -> Report:
    """What a box of `site` says of one image."""
    image_sha256 = sha256(b"image %d" % image).hexdigest()
    model_sha256 = sha256(model.encode()).hexdigest()
    not_assessed = {"probabilities": {}, "heatmap": None, "reason": "blank"} if decision == NOT_ASSESSABLE else {}
    identity = msgspec.structs.asdict(REPORT.model) | {"id": model, "sha256": model_sha256}
    return msgspec.structs.replace(
        REPORT,
        id=report_id(image_sha256, model_sha256),
        site=site,
        decision=decision,
        model=ModelIdentity(**identity),
        picture=Picture(width_px=512, height_px=480, preview_bytes=1, sha256=image_sha256),
        **(not_assessed | changes),
    )


def answered(image: int, decision: str, seen: str | None, *, at: datetime = AT, **changes) -> Answered:
    """A report on one image and a reader who sees `seen` in it, or cannot judge it."""
    of = report(image, decision, **changes)
    verdict = "cannot-judge" if seen is None else "agree" if seen == decision else "disagree"
    label = None if verdict == "agree" and decision == INCONCLUSIVE else seen
    review = Review(id=of.id, revision=1, state="answered", at=at, reader="Dr. A", verdict=verdict, label=label)
    return Answered(of, review, at)
