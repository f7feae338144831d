"""Throw damaged input at what meets the outside: pictures, configurations, messages, bundles.

    python tests/fuzz/campaign.py decode|config|messages|bundle [--inputs N] [--seed N] [--seconds S] [--engine E]

Every input must be taken, or refused with the error that says so; anything else ends the campaign with the input in a
file. The engine `random` damages valid inputs: bits, bytes, pieces, lengths, and words that mean something to a parser;
pictures go through the agent's own decoder, so a child that dies is counted and the campaign, like the agent, goes on.
`atheris` looks for new paths through the code and needs that package, which is no dependency of the project; pictures
are then decoded in this process. Prints one JSON document.
"""

import argparse
import io
import json
import logging
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Final

import numpy as np
import pydicom
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

from edge.bundle.bundle import pack, read_bundle, unpack
from edge.decoding.attempts import Attempts
from edge.decoding.decode import decode
from edge.decoding.decoder import Decoder
from edge.errors import BundleError, ConfigError, MessageError, PoisonError, UnreadableImageError
from edge.settings.config import load
from edge.study import Arrival, sha256_of
from edge.wire import messages
from edge.wire.topics import Topic

Target = Callable[[bytes], str]
"""Takes one input; says what became of it, or raises what must not be raised."""
MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a folder of our own in it
"""A disk would take longer than what is tested."""
TOKENS: Final = (
    b"\x00", b"\xff", b"\xff" * 4, b"\x00\x00\x00\x80", b"DICM", b"\xff\xd8", b"\xff\xd9", b"IHDR", b"IDAT", b"RIFF",
    b"II*\x00", b"null", b"true", b"-1", b"1e999", b"[]", b"{}", b'""', b"\n[", b"]]", b"=", b"PK\x03\x04", b"\xe2\x82",
    b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0", b"SQ\x00\x00", b"\x28\x00\x10\x00US\x02\x00", b"9" * 30,
)  # fmt: skip


def picture_seeds() -> list[bytes]:
    """One small picture of each kind."""
    ramp = Image.fromarray(np.linspace(0, 255, 48 * 40).reshape(48, 40).astype(np.uint8))
    deep = Image.fromarray(np.linspace(0, 4095, 48 * 40).reshape(48, 40).astype(np.uint16))
    seeds = []
    for picture, kind, options in (
        (ramp, "PNG", {}), (deep, "PNG", {}), (ramp.convert("P"), "PNG", {}), (ramp, "JPEG", {}),
        (ramp.convert("RGB"), "JPEG", {"progressive": True}), (ramp.convert("CMYK"), "JPEG", {}), (ramp, "WEBP", {}),
        (ramp, "WEBP", {"lossless": True}), (ramp, "TIFF", {}), (deep, "TIFF", {"compression": "tiff_lzw"}),
        (ramp, "TIFF", {"compression": "jpeg"}), (ramp, "TIFF", {"compression": "tiff_deflate"}),
    ):  # fmt: skip
        buffer = io.BytesIO()
        picture.save(buffer, kind, **options)
        seeds.append(buffer.getvalue())
    seeds.append(_dicom(np.asarray(deep)))
    return seeds


def _dicom(pixels: np.ndarray) -> bytes:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset = FileDataset(None, {}, file_meta=meta, preamble=bytes(128))
    dataset.PatientID, dataset.StudyInstanceUID = "P-1", generate_uid()
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME1"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.WindowCenter, dataset.WindowWidth = 2048, 1000
    dataset.PixelData = pixels.tobytes()
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()


def decode_here(content: bytes) -> str:
    """Decode in this process."""
    try:
        decode(content)
    except UnreadableImageError:
        return "refused"
    return "taken"


def decode_in_child(folder: Path, stack: ExitStack) -> Target:
    """Decode as the agent does."""
    attempts = stack.enter_context(Attempts(folder))
    decoder = stack.enter_context(Decoder(attempts, timeout_s=10, max_memory_bytes=512 * 1024 * 1024))
    path = folder / "picture"

    def target(content: bytes) -> str:
        path.write_bytes(content)
        arrival = Arrival(path, datetime.now(UTC), "folder", sha256_of(content)[:32])
        decoding = decoder.start(arrival)
        try:
            decoding.result()
        except UnreadableImageError:
            return "refused"
        except PoisonError:
            return "killed the child"
        finally:
            decoding.end()
        return "taken"

    return target


def config_seeds(root: Path) -> list[bytes]:
    """The sections of the example configuration, each on its own, without comments."""
    example = (root / "deploy" / "systemd" / "config.example.toml").read_bytes()
    plain = b"\n".join(line for line in example.splitlines() if not line.startswith(b"#"))
    first, *rest = plain.split(b"\n[")
    return [first, *(b"[" + section for section in rest), b"[dicom]\nport = 104\nallowed = ['A']\n"]


def read_config(folder: Path) -> Target:
    """Read the input as a configuration file, and as a variable of the environment."""
    path = folder / "config.toml"

    def target(content: bytes) -> str:
        path.write_bytes(content)
        text = content.decode("utf-8", "replace").replace("\0", "")
        outcomes = []
        for file, environ in ((path, {}), (None, {f"EDGE_AGENT_{text[:20]}": text, "EDGE_AGENT_SETTLE_S": text})):
            try:
                load({}, file=file, environ=environ)
            except ConfigError:
                outcomes.append("refused")
            else:
                outcomes.append("taken")
        return outcomes[0]

    return target


def read_message(content: bytes) -> str:
    """Read the input as every kind of message, and as a topic."""
    outcomes = set()
    for kind in messages.MESSAGES:
        try:
            messages.decode(content, kind)
        except MessageError:
            outcomes.add("refused")
        else:
            outcomes.add("taken")
    try:
        Topic.parse(content.decode("utf-8", "replace"), "xray")
    except MessageError:
        outcomes.add("refused")
    return "taken" if "taken" in outcomes else "refused"


def message_seeds(root: Path) -> list[bytes]:
    """The golden message of each kind, and a topic."""
    golden = sorted((root / "tests" / "edge" / "golden").glob("*.json"))
    return [path.read_bytes() for path in golden] + [b"xray/v1/clinic/box-1/report/0123456789abcdef0123456789abcdef"]


def bundle_seeds() -> list[bytes]:
    """The demo's bundle with a model of few bytes, so that the damage meets what stands around it."""
    bundle = read_bundle(Path(str(files("edge") / "demo-model.bundle")))
    content = pack(bundle)
    return [content[:3000] + content[-3000:], content]


def open_bundle(content: bytes) -> str:
    """Unpack a bundle, as far as its model's hash."""
    try:
        unpack(content)
    except BundleError:
        return "refused"
    return "taken"


def damage(content: bytes, luck: random.Random, seeds: list[bytes]) -> bytes:
    """One to six changes to a valid input."""
    data = bytearray(content)
    for _ in range(luck.randint(1, 6)):
        at = luck.randrange(len(data) + 1)
        match luck.randrange(8):
            case 0 if data:
                data[at % len(data)] ^= 1 << luck.randrange(8)
            case 1 if data:
                data[at % len(data)] = luck.randrange(256)
            case 2:
                data[at:at] = luck.choice(TOKENS)
            case 3:
                data[at : at + 4] = luck.choice(TOKENS)
            case 4:
                del data[at : at + luck.randint(1, 64)]
            case 5:
                del data[at:]
            case 6:
                other = luck.choice(seeds)
                start = luck.randrange(len(other))
                data[at:at] = other[start : start + luck.randint(1, 256)]
            case _:
                data[at : at + 4] = luck.randrange(2**32).to_bytes(4, luck.choice(("big", "little")))
    return bytes(data)


def prepare(name: str, folder: Path, stack: ExitStack, *, in_child: bool) -> tuple[Target, list[bytes]]:
    """A target and the valid inputs to begin with."""
    root = Path(__file__).resolve().parents[2]
    if name == "decode":
        return decode_in_child(folder, stack) if in_child else decode_here, picture_seeds()
    if name == "config":
        return read_config(folder), config_seeds(root)
    if name == "messages":
        return read_message, message_seeds(root)
    return open_bundle, bundle_seeds()


def run_random(target: Target, seeds: list[bytes], inputs: int, seed: int, seconds: float) -> Counter[str]:
    """Damage, throw, count."""
    luck, outcomes = random.Random(seed), Counter[str]()
    for _ in range(inputs):
        if time.monotonic() - STARTED_S > seconds:
            break
        content = damage(luck.choice(seeds), luck, seeds)
        try:
            outcomes[target(content)] += 1
        except Exception:
            Path("fuzz-finding.bin").write_bytes(content)
            raise
    return outcomes


def run_atheris(target: Target, seeds: list[bytes], inputs: int, seed: int, folder: Path) -> Counter[str]:
    """Let libFuzzer look for paths that no input has taken yet."""
    import atheris  # noqa: PLC0415 - no dependency of the project

    outcomes = Counter[str]()
    corpus = folder / "corpus"
    corpus.mkdir()
    for number, content in enumerate(seeds):
        (corpus / str(number)).write_bytes(content)

    def once(content: bytes) -> None:
        outcomes[target(content)] += 1
        if outcomes.total() >= inputs:
            print_result("atheris", outcomes)
            os._exit(0)  # libFuzzer would end the process without a word

    atheris.instrument_all()
    atheris.Setup([sys.argv[0], str(corpus), f"-seed={seed}", "-max_len=20000", "-verbosity=0", "-timeout=60"], once)
    atheris.Fuzz()
    return outcomes


def print_result(engine: str, outcomes: Counter[str]) -> None:
    """What became of all inputs."""
    result = {"target": sys.argv[1], "engine": engine, "inputs": outcomes.total(), **outcomes}
    print(json.dumps(result | {"seconds": round(time.monotonic() - STARTED_S)}), flush=True)


STARTED_S: Final = time.monotonic()


def main() -> None:
    """Run the campaign."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", choices=("decode", "config", "messages", "bundle"))
    parser.add_argument("--inputs", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--seconds", type=float, default=float("inf"), help="stop after so long; go on with a new --seed"
    )
    parser.add_argument("--engine", choices=("random", "atheris"), default="random")
    options = parser.parse_args()
    logging.disable(logging.WARNING)  # each child's death is a warning
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None)))
        target, seeds = prepare(options.target, folder, stack, in_child=options.engine == "random")
        if options.engine == "atheris":
            run_atheris(target, seeds, options.inputs, options.seed, folder)
        else:
            print_result("random", run_random(target, seeds, options.inputs, options.seed, options.seconds))


if __name__ == "__main__":
    main()
