"""Every shared real image through the real commands: agent, mosquitto, doctor's end, and DCMTK's storescu.

    python tests/acceptance/every_real_image.py SHARED --model BUNDLE [--sample N] [--allow-unsigned]

X-rays and raw files are dropped into the watched folder, DICOM files are sent to the agent's port. Both ends' ledgers
are compared: each image's report must be at the doctor's end exactly once, each original in an archive. Prints one JSON
document; exit code 1 where anything is missing, double or set aside.
"""

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pydicom

from edge.bundle.bundle import read_bundle
from edge.decoding.decode import SUFFIXES
from edge.study import sha256_of
from edge.wire.messages import report_id

PROPOSE = {
    "1.2.840.10008.1.2.4.50": "-xy",
    "1.2.840.10008.1.2.4.51": "-xx",
    "1.2.840.10008.1.2.4.70": "-xs",
    "1.2.840.10008.1.2.4.90": "-xv",
    "1.2.840.10008.1.2.4.91": "-xw",
}
"""Transfer syntax to what `storescu` must be told to offer it."""
SEARCH_PATH = os.pathsep.join(["/usr/bin", "/usr/sbin", os.environ["PATH"]])
"""DCMTK's tools before pynetdicom's of the same name; mosquitto lies in sbin."""
QUIET_S = 3.0
"""Would show what comes twice."""


def free_port() -> int:
    """A port of the loopback interface that nobody uses."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def start(stack: ExitStack, *command: object, out: Path) -> subprocess.Popen[bytes]:
    """Start a command, its output in files; it is ended with the stack."""
    with out.open("wb") as stdout, out.with_suffix(".err").open("wb") as stderr:
        process = subprocess.Popen([str(part) for part in command], stdout=stdout, stderr=stderr)

    def end() -> None:
        process.send_signal(signal.SIGTERM)
        process.wait(30)

    stack.callback(end)
    return process


def wait_for_port(port: int) -> None:
    """Wait until somebody listens."""
    deadline_s = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > deadline_s:
                raise
            time.sleep(0.1)
        else:
            return


def images_of(shared: Path, sample: int | None) -> tuple[list[Path], list[Path]]:
    """Files to drop, and DICOM files to send; `sample` of each kind, evenly taken, or all."""
    kinds = [sorted((shared / "data" / "cxr" / label).iterdir()) for label in ("covid", "normal")]
    kinds += [sorted((shared / "data" / "intake").iterdir()), sorted((shared / "data" / "dicom").iterdir())]
    usable = [[path for path in kind if path.suffix.lower() in SUFFIXES] for kind in kinds]
    taken = [kind if sample is None else kind[:: max(1, len(kind) // sample)][:sample] for kind in usable]
    return [path for kind in taken[:3] for path in kind], taken[3]


def send(path: Path, port: int) -> bytes:
    """Send a DICOM file with DCMTK's storescu, which must succeed."""
    syntax = pydicom.dcmread(path, stop_before_pixels=True).file_meta.TransferSyntaxUID
    storescu = shutil.which("storescu", path=SEARCH_PATH) or "storescu"
    subprocess.run([storescu, PROPOSE.get(syntax, "-xe"), "127.0.0.1", str(port), path], check=True, timeout=60)


def run(options: argparse.Namespace, folder: Path, stack: ExitStack) -> dict[str, object]:
    """Start all of it, let everything through, and compare the ledgers."""
    watched, state = folder / "in", folder / "state"
    watched.mkdir()
    broker_port, dicom_port = free_port(), free_port()
    (folder / "mosquitto.conf").write_text(f"listener {broker_port} 127.0.0.1\nallow_anonymous true\n")
    start(stack, shutil.which("mosquitto", path=SEARCH_PATH), "-c", folder / "mosquitto.conf", out=folder / "broker")
    wait_for_port(broker_port)
    broker = f"127.0.0.1:{broker_port}"
    inbox = folder / "doctor"
    start(
        stack, sys.executable, "-m", "doctor.cli", "watch", "--broker", broker, "--json",
        "--store", folder / "inbox.sqlite3", out=inbox,
    )  # fmt: skip
    dropped, sent = images_of(options.shared, options.sample)
    for number, path in enumerate(dropped):
        shutil.copy(path, watched / f"{number:05d}-{path.name}")
    started_s = time.monotonic()
    start(
        stack, sys.executable, "-m", "edge.cli", "--broker", broker, "--model", options.model, "--watch", watched,
        "--state", state, "--dicom-port", dicom_port, *(["--allow-unsigned"] if options.allow_unsigned else []),
        out=folder / "agent",
    )  # fmt: skip
    wait_for_port(dicom_port)
    for path in sent:
        send(path, dicom_port)
    model_sha256 = read_bundle(options.model).card.model_sha256
    ids = {report_id(sha256_of(path.read_bytes()), model_sha256) for path in dropped}
    expected = len(ids) + len(sent)
    deadline_s = time.monotonic() + options.timeout_s
    while len(inbox.read_bytes().splitlines()) < expected and time.monotonic() < deadline_s:
        time.sleep(0.2)
    seconds = round(time.monotonic() - started_s, 1)
    time.sleep(QUIET_S)
    reports = [json.loads(line) for line in inbox.read_bytes().splitlines()]
    counts = {"dropped": len(dropped), "of them different": len(ids), "sent by storescu": len(sent)}
    return counts | compare(folder, reports, ids, len(sent)) | {"seconds to the last report": seconds}


def compare(folder: Path, reports: list[dict[str, object]], ids: set[str], sent: int) -> dict[str, object]:
    """What is missing, double or set aside."""
    arrived = Counter(report["id"] for report in reports)
    by_dicom = sum(report["origin"] == "dicom" for report in reports)
    return {
        "reports": len(reports),
        "missing": len(ids - set(arrived)) + max(0, sent - by_dicom),
        "double": sum(count > 1 for count in arrived.values()),
        "originals archived": sum(1 for place in folder.rglob("archive") for _ in place.iterdir()),
        "set aside": len(list(folder.rglob("*.reason.txt"))),
        "decisions": dict(Counter(report["decision"] for report in reports)),
    }


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shared", type=Path)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--sample", type=int, help="of each kind so many only")
    parser.add_argument("--allow-unsigned", action="store_true")
    parser.add_argument("--timeout-s", type=float, default=1200)
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        result = run(options, folder, stack)
    print(json.dumps(result, indent=2))
    return int(bool(result["missing"] or result["double"] or result["set aside"]))


if __name__ == "__main__":
    sys.exit(main())
