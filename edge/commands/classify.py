"""`edge-agent classify`: the pipeline's stages on files at hand, without intake, outbox or broker."""

import time
from collections.abc import Mapping
from pathlib import Path

import msgspec
from PIL import Image

from edge.assess import Assessor
from edge.decoding.decode import MAX_SIZE_BYTES, decode
from edge.errors import QuarantineError, UnreadableImageError
from edge.explain import as_rows, overlay
from edge.study import sha256_of
from edge.wire.messages import NOTICE, ModelIdentity, report_id


class FileFinding(msgspec.Struct, frozen=True, kw_only=True):
    """What is said of one file. The fields mean what they mean in a report."""

    file: str
    id: str
    decision: str
    probabilities: Mapping[str, float]
    reason: str | None
    model: ModelIdentity
    heatmap: tuple[tuple[float, ...], ...] | None
    timings_ms: Mapping[str, float]
    notice: str = NOTICE


class FileError(msgspec.Struct, frozen=True, kw_only=True):
    """Why one file could not be read."""

    file: str
    error: str


def classify_file(path: Path, assessor: Assessor, *, heatmap_dir: Path | None) -> FileFinding | FileError:
    """Classify one file; what is wrong with it comes back instead of being raised."""
    try:
        content = _read(path)
        start_s = time.perf_counter()
        radiograph = decode(content)
        decode_ms = round((time.perf_counter() - start_s) * 1000, 2)
        finding = assessor.assess(radiograph)
    except QuarantineError as error:
        return FileError(file=str(path), error=str(error))
    if heatmap_dir is not None and finding.heatmap is not None:
        Image.fromarray(overlay(radiograph.pixels, finding.heatmap)).save(heatmap_dir / f"{path.name}.heatmap.png")
    return FileFinding(
        file=str(path),
        id=report_id(sha256_of(content), assessor.identity.sha256),
        decision=finding.decision,
        probabilities=finding.probabilities,
        reason=finding.reason,
        model=assessor.identity,
        heatmap=None if finding.heatmap is None else as_rows(finding.heatmap),
        timings_ms={"decode": decode_ms, **finding.timings_ms},
    )


def text_line(result: FileFinding | FileError) -> str:
    """A result for a person."""
    if isinstance(result, FileError):
        return f"{result.file}: CANNOT BE READ: {result.error}"
    if result.reason is not None:
        return f"{result.file}: {result.decision.upper()}: {result.reason}"
    shares = ", ".join(f"{label} {value:.1%}" for label, value in result.probabilities.items())
    return f"{result.file}: {result.decision.upper()} ({shares})"


def closing_lines(assessor: Assessor) -> list[str]:
    """What whoever reads the results should know of the model."""
    identity = assessor.identity
    unsigned = [] if identity.signed else [f"{identity.id} is NOT SIGNED by a key that is trusted here"]
    return [*unsigned, f"{identity.id}, not validated on: {identity.not_validated_on}", NOTICE]


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_SIZE_BYTES + 1)
    except IsADirectoryError as error:
        raise UnreadableImageError(f"expected an image file, got a folder; name the files: {path}/*") from error
    except FileNotFoundError as error:
        raise UnreadableImageError("expected an image file, found nothing; mind the spelling") from error
    except OSError as error:
        raise UnreadableImageError(f"expected a readable image file: {error.strerror}") from error
