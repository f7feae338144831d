"""On aarch64 the agent decides as on x86-64: the real wheels, under qemu, on a Pi 4's and a Pi 5's processor.

`make test-arm64` unpacks what is needed and runs this file, whose name keeps it out of `make test`: it takes minutes.
The demo's bundle sees phantoms and, where they are, real X-rays; EDGE_XRAY_BUNDLES=A.bundle:B.bundle adds one's own.
"""

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.phantom import phantom

ROOT = Path(__file__).resolve().parents[2]
ARM64 = Path(os.environ.get("EDGE_XRAY_ARM64", ROOT / ".cache" / "arm64"))
IMAGES = 50
QEMU = {"7.2": "qemu-7.2/usr/bin/qemu-aarch64-static", "10": "qemu-10/usr/bin/qemu-aarch64"}
RUNTIMES = {
    "litert, locked": ("litert", "10", ()),  # qemu 7.2 crashes on loading a model with ai-edge-litert 2.2 and later
    "litert, oldest": ("litert", "7.2", ("site-oldest",)),
    "litert 2.1.6": ("litert", "7.2", ("site-faulty",)),
    "tflite-runtime": ("tflite-runtime", "7.2", ()),
}
PROCESSORS = {"Raspberry Pi 4": "cortex-a72", "Raspberry Pi 5": "cortex-a76"}
FIRST_SEED = 5_000_000

Answers = dict[str, np.ndarray]


def interpreter(*, qemu: str, processor: str | None, sites: tuple[str, ...] = ()) -> list[str]:
    """The command that is the arm64 Python on a processor; None is qemu's default one."""
    root = ARM64 / "root"
    path = [ROOT, *(ARM64 / site for site in sites), ARM64 / "site"]
    command = [
        ARM64 / QEMU[qemu], *(() if processor is None else ("-cpu", processor)), "-L", root,
        "-E", f"PYTHONPATH={':'.join(map(str, path))}", "-E", f"PYTHONHOME={root}/usr", "-E", "OPENBLAS_CORETYPE=ARMV8",
        root / "usr" / "bin" / "python3.11",
    ]  # fmt: skip
    return list(map(str, command))


def emulated(*arguments: object, **where: Any) -> subprocess.CompletedProcess[str]:
    """Run the arm64 Python to its end."""
    command = [*interpreter(**where), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=3000, check=False)


def agent_command(*arguments: object, folder: Path, **where: Any) -> list[str]:
    """`edge-agent` on a processor; the Python that it starts itself, for decoding, is the arm64 one, too."""
    script = folder / "python3.11"
    script.write_text(f'#!/bin/sh\nexec {shlex.join(interpreter(**where))} "$@"\n')
    script.chmod(0o755)
    start = f"import sys; sys.executable = {str(script)!r}; from edge.cli import main; sys.exit(main())"
    return [*interpreter(**where), "-c", start, *map(str, arguments)]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of phantoms."""
    folder = tmp_path_factory.mktemp("phantoms")
    for seed in range(FIRST_SEED, FIRST_SEED + IMAGES):
        (folder / f"{seed}.png").write_bytes(phantom(seed).png())
    return folder


@pytest.fixture(scope="module")
def taken(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of real X-rays, as many of each class."""
    folder = tmp_path_factory.mktemp("x-rays")
    for label in ("covid", "normal"):
        files = sorted((shared / "data" / "cxr" / label).iterdir())
        for file in files[:: len(files) // (IMAGES // 2)][: IMAGES // 2]:
            shutil.copy(file, folder / f"{label}-{file.name}")
    return folder


@pytest.fixture(scope="module")
def native(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path, Path], Answers]:
    """What LiteRT on this machine's own processor says; asked once for each bundle and folder."""
    out, known = tmp_path_factory.mktemp("native"), {}

    def ask(bundle: Path, folder: Path) -> Answers:
        key = (bundle, folder)
        if key not in known:
            file = out / f"{len(known)}.npz"
            command = [sys.executable, ROOT / "tests" / "arm64" / "answers.py", bundle, "litert", folder, file]
            subprocess.run(list(map(str, command)), check=True, timeout=3000, cwd=ROOT, capture_output=True)
            known[key] = dict(np.load(file))
        return known[key]

    return ask


def bundles() -> list[str]:
    """The demo's bundle, which is in the repository, and those that were named."""
    more = os.environ.get("EDGE_XRAY_BUNDLES", "")
    return [str(ROOT / "edge" / "demo-model.bundle"), *filter(None, more.split(":"))]


def compare(here: Answers, there: Answers) -> None:
    """Bit for bit: pixels, features, logits, and what the agent makes of them."""
    assert len(here["decisions"]) >= IMAGES
    assert len(np.unique(there["logits"], axis=0)) > 1
    for what in ("pixels", "features", "logits", "decisions", "probabilities"):
        differing = int((here[what] != there[what]).reshape(len(here[what]), -1).any(axis=1).sum())
        assert differing == 0, f"{what} of {differing} images differ"


@pytest.mark.parametrize("board", PROCESSORS)
@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("bundle", bundles(), ids=lambda path: Path(path).stem)
@pytest.mark.parametrize("images", ["drawn", pytest.param("taken", marks=pytest.mark.shared)])
def test_a_board_answers_as_this_machine_does(
    bundle: str, runtime: str, board: str, images: str, native, request: pytest.FixtureRequest, tmp_path: Path
):
    """Fifty phantoms, fifty X-rays: every pixel, feature, logit, decision and probability is LiteRT's on x86-64, in
    tflite-runtime, too.
    """
    if images == "drawn" and bundle != bundles()[0]:
        pytest.skip("a bundle of one's own is shown X-rays")
    name, qemu, sites = RUNTIMES[runtime]
    folder = request.getfixturevalue(images)
    answers = ROOT / "tests" / "arm64" / "answers.py"

    done = emulated(
        answers, bundle, name, folder, tmp_path / "there.npz", qemu=qemu, processor=PROCESSORS[board], sites=sites
    )

    assert done.returncode == 0, done.stderr
    compare(native(Path(bundle), folder), dict(np.load(tmp_path / "there.npz")))


def box(folder: Path) -> tuple[object, ...]:
    """An agent's options, with a folder to watch and a broker that is not there."""
    (folder / "in").mkdir()
    return (
        "--model", ROOT / "edge" / "demo-model.bundle", "--allow-unsigned", "--watch", folder / "in",
        "--broker", "127.0.0.1:1", "--first-contact-s", "0",
    )  # fmt: skip


def test_a_processor_that_answers_nonsense_is_found_out(start: Any, tmp_path: Path):
    """Under qemu 7.2's default processor ai-edge-litert 2.1.6 gives one answer to all: no agent starts there."""
    where = {"qemu": "7.2", "processor": None, "sites": ("site-faulty",)}
    options = box(tmp_path)

    agent = start(*agent_command(*options, folder=tmp_path, **where))
    check = emulated("-m", "edge.cli", "check", "--json", *options, **where)

    assert agent.code(timeout_s=300) == 70, agent.err
    assert "of 8 known pictures are decided otherwise than where the model was made" in agent.err[-1]
    assert "Every picture got the same answer." in agent.err[-1]
    found = {each["name"]: each["state"] for each in json.loads(check.stdout)["checks"]}
    assert (check.returncode, found["runtime"], found["known pictures"]) == (1, "ok", "fail")


@pytest.mark.parametrize("board", PROCESSORS)
def test_a_board_that_answers_rightly_starts_and_finds(board: str, start: Any, tmp_path: Path):
    """The same wheel on a Pi's processor: the known pictures are right, and a film becomes a durable finding."""
    where = {"qemu": "7.2", "processor": PROCESSORS[board], "sites": ("site-faulty",)}
    options = box(tmp_path)
    (tmp_path / "in" / "film.png").write_bytes(phantom(FIRST_SEED).png())

    agent = start(*agent_command(*options, folder=tmp_path, **where))

    agent.wait_for_line("8 known pictures are decided as where the model was made", timeout_s=300)
    agent.wait_for_line("finding id=", timeout_s=300)
    assert agent.end(timeout_s=60) == 0
