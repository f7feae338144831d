"""Whatever a file does to its decoder, the agent goes on."""

import os
import signal
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import edge.decoding.decoder
from edge.decoding.attempts import Attempts
from edge.decoding.child import NICENESS
from edge.decoding.decode import decode
from edge.decoding.decoder import Decoder, one_ahead
from edge.errors import PoisonError, UnreadableImageError
from edge.phantom import phantom
from edge.preprocess import preprocess
from edge.preview import preview
from edge.study import Arrival, sha256_of

MIB = 1024 * 1024


@pytest.fixture
def attempts(tmp_path: Path):
    """The memory of deaths."""
    with Attempts(tmp_path) as attempts:
        yield attempts


@pytest.fixture
def decoder(attempts: Attempts):
    """A running child."""
    with Decoder(attempts, timeout_s=10, max_memory_bytes=256 * MIB) as decoder:
        yield decoder


def arrival(path: Path, content: bytes | None = None) -> Arrival:
    """A file that is due."""
    if content is not None:
        path.write_bytes(content)
    return Arrival(path, datetime.now(UTC), "folder", sha256_of(os.fsencode(path.name))[:32])


def pid(decoder: Decoder) -> int:
    """The child's process id."""
    return decoder._child.pid


def test_a_picture_comes_back_as_it_would_without_a_child(decoder: Decoder, tmp_path: Path):
    """Pixel for pixel what the network takes, with the hash of the file."""
    content = phantom(1).png()
    radiograph = decode(content)

    decoded = decoder.start(arrival(tmp_path / "a.png", content)).result()

    assert np.array_equal(decoded.prepared.pixels, preprocess(radiograph))
    assert (decoded.prepared.height_px, decoded.prepared.width_px) == radiograph.pixels.shape
    assert decoded.prepared.source_width_px == radiograph.source_width_px
    assert (decoded.capture.sha256, decoded.capture.identity) == (sha256_of(content), None)
    assert decoded.preview is None
    assert min(decoded.timings_ms.values()) > 0


def test_the_child_makes_the_preview_too(attempts: Attempts, tmp_path: Path):
    """The very one that would be made here, with the same regions black."""
    content, blank = phantom(1).png(), ((0.0, 0.0, 0.5, 0.1),)
    with Decoder(attempts, timeout_s=10, max_memory_bytes=256 * MIB, max_preview_bytes=20_000, blank=blank) as decoder:
        decoded = decoder.start(arrival(tmp_path / "a.png", content)).result()

    assert decoded.preview == preview(decode(content), max_bytes=20_000, blank=blank)


def test_the_child_goes_behind_the_agent_where_both_want_a_core(decoder: Decoder, tmp_path: Path):
    """It works ahead; the network has an image that somebody waits for."""
    decoder.start(arrival(tmp_path / "a.png", phantom(1).png())).wait()

    assert os.getpriority(os.PRIO_PROCESS, pid(decoder)) == min(os.getpriority(os.PRIO_PROCESS, 0) + NICENESS, 19)
    assert NICENESS > 0


def test_a_name_that_is_no_text_is_read(decoder: Decoder, tmp_path: Path):
    """A file's name is bytes."""
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\n.png"))

    assert decoder.start(arrival(path, phantom(1).png())).result().prepared.pixels.any()


@pytest.mark.parametrize(("content", "complaint"), [(b"text", "none of them"), (b"", "empty file"), (None, "No such")])
def test_what_is_no_picture_is_told_and_costs_no_child(
    decoder: Decoder, tmp_path: Path, content: bytes | None, complaint: str
):
    """The same sentences as ever, and the same process."""
    before = pid(decoder)

    with pytest.raises(UnreadableImageError, match=complaint):
        decoder.start(arrival(tmp_path / "a.png", content)).result()

    assert pid(decoder) == before


def test_a_picture_that_needs_too_much_memory_is_refused(attempts: Attempts, tmp_path: Path):
    """The limit holds, it is told by name, and the child lives on."""
    big = Image.effect_noise((700, 700), 60).resize((7000, 7000))
    big.convert("RGBA").save(tmp_path / "big.png", compress_level=1)
    with Decoder(attempts, timeout_s=20, max_memory_bytes=128 * MIB) as decoder:
        before = pid(decoder)

        with pytest.raises(UnreadableImageError, match=r"decode\.max_memory_bytes"):
            decoder.start(arrival(tmp_path / "big.png")).result()

        assert decoder.start(arrival(tmp_path / "a.png", phantom(1).png())).result()
        assert pid(decoder) == before


def test_a_file_that_kills_its_decoder_three_times_is_poison(
    decoder: Decoder, attempts: Attempts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Each death is answered with a new child; the fourth is not waited for, and the next file passes."""
    bad = arrival(tmp_path / "bad.png", phantom(1).png())
    pids = {pid(decoder)}
    ask = Decoder.ask

    def kill_on_bad(self: Decoder, asked: Arrival) -> None:
        if asked.path == bad.path:
            pids.add(pid(self))
            os.kill(pid(self), signal.SIGSEGV)
            os.waitid(os.P_PID, pid(self), os.WEXITED | os.WNOWAIT)
        ask(self, asked)

    monkeypatch.setattr(edge.decoding.decoder.Decoder, "ask", kill_on_bad)

    with pytest.raises(PoisonError, match=r"given up after 3 tries .*SIGSEGV"):
        decoder.start(bad).result()

    assert len(pids) == 3
    assert attempts.tries(bad.key) == 3
    assert decoder.start(arrival(tmp_path / "good.png", phantom(2).png())).result()


def test_a_file_that_takes_too_long_is_given_up(attempts: Attempts, tmp_path: Path):
    """A pipe that nobody writes to stands for a share that hangs."""
    os.mkfifo(tmp_path / "hangs.png")
    with Decoder(attempts, timeout_s=0.5, max_memory_bytes=256 * MIB) as decoder:
        with pytest.raises(PoisonError, match=r"took longer than 0\.5 s"):
            decoder.start(arrival(tmp_path / "hangs.png")).result()

        decoder._timeout_s = 10
        assert decoder.start(arrival(tmp_path / "good.png", phantom(2).png())).result()


def test_a_file_that_ended_the_agent_three_times_is_not_tried_again(decoder: Decoder, attempts: Attempts, tmp_path):
    """The count comes from the disk, so the agent's own death counts as well."""
    bad = arrival(tmp_path / "bad.png", phantom(1).png())
    for _ in range(3):
        attempts.blame(bad.key)

    with pytest.raises(PoisonError, match="the box stopped 3 times while it worked on this picture"):
        decoder.start(bad).result()


def test_a_decoded_file_that_waits_is_in_nobody_s_hand(decoder: Decoder, tmp_path: Path):
    """A death meanwhile is another file's doing; once the agent takes it up it is in hand again."""
    good = arrival(tmp_path / "good.png", phantom(1).png())
    decoding, mark = decoder.start(good), tmp_path / "in-hand"
    begun = mark.read_text().split()

    decoding.wait()
    waiting = mark.read_text().split()
    decoding.result()

    assert (begun, waiting, mark.read_text().split()) == ([good.key], [], [good.key])


def test_the_child_is_gone_as_soon_as_the_agent_is(tmp_path: Path):
    """Also when the agent is killed while the child hangs."""
    os.mkfifo(tmp_path / "hangs.png")
    read, write = os.pipe()
    agent = os.fork()
    if agent == 0:
        decoder = Decoder(Attempts(tmp_path), timeout_s=60, max_memory_bytes=256 * MIB)
        decoder.start(arrival(tmp_path / "good.png", phantom(2).png())).result()
        decoder.start(arrival(tmp_path / "hangs.png"))
        os.write(write, str(pid(decoder)).encode())
        os.kill(os.getpid(), signal.SIGKILL)
    child = int(os.read(read, 20))
    os.waitpid(agent, 0)

    stat = Path(f"/proc/{child}/stat")
    deadline = 200
    while stat.exists() and stat.read_text().split(") ")[1][0] != "Z" and deadline:
        signal.sigtimedwait([], 0.05)
        deadline -= 1

    assert deadline


def test_the_next_file_is_decoded_while_the_first_is_looked_at(decoder: Decoder, tmp_path: Path):
    """When a file is handed on, the child is at work on the next."""
    arrivals = [arrival(tmp_path / f"{seed}.png", phantom(seed).png()) for seed in range(3)]
    started = []
    start = decoder.start

    def noted(asked: Arrival):
        started.append(asked.path.name)
        return start(asked)

    decoder.start = noted
    seen = [(decoding.arrival.path.name, list(started)) for decoding in one_ahead([*arrivals, None], decoder)]

    assert seen == [
        ("0.png", ["0.png", "1.png"]),
        ("1.png", ["0.png", "1.png", "2.png"]),
        ("2.png", ["0.png", "1.png", "2.png"]),
    ]


def test_a_file_that_ended_a_process_before_is_decoded_alone(decoder: Decoder, attempts: Attempts, tmp_path: Path):
    """Nothing else is in hand with it, so nothing else is blamed."""
    arrivals = [arrival(tmp_path / f"{seed}.png", phantom(seed).png()) for seed in range(3)]
    attempts.blame(arrivals[1].key)
    in_hand = []

    for decoding in one_ahead([*arrivals, None], decoder):
        decoding.result()
        in_hand.append(list(attempts._in_hand))
        decoding.end()

    assert in_hand == [[arrivals[0].key], [arrivals[1].key], [arrivals[2].key]]
