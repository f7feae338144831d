"""The wire is a contract: its JSON, its topics, its limits."""

import json
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import MessageError
from edge.terminal import finding_line
from edge.wire.messages import (
    MAX_CHUNK_BYTES,
    MESSAGES,
    Chunk,
    Confirmation,
    Health,
    Message,
    ModelIdentity,
    Picture,
    Receipt,
    Report,
    Request,
    Response,
    Review,
    Status,
    decode,
    encode,
    report_id,
)

GOLDEN = Path(__file__).parents[1] / "golden"
AT = datetime(2026, 1, 2, tzinfo=UTC)


def a_report(**changes: object) -> Report:
    """A report as a box would send it."""
    report = Report(
        id="0123456789abcdef0123456789abcdef",
        site="clinic",
        device="box-1",
        received_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        clock_synced=True,
        origin="folder",
        decision="covid",
        probabilities={"covid": 0.971, "normal": 0.029},
        positive="covid",
        threshold=0.5,
        band=(0.4, 0.6),
        heatmap=tuple(tuple(round((row + column) / 12, 3) for column in range(7)) for row in range(7)),
        guard={"side_px": 512.0, "contrast": 60.2},
        reason=None,
        model=ModelIdentity(
            id="paper-mobilenet@0123456789ab",
            sha256="0" * 64,
            signed=False,
            runtime="litert",
            validated_on="200 held-out images",
            not_validated_on="other hospitals",
        ),
        timings_ms={"decode": 3.1, "classify": 9.8},
        picture=Picture(width_px=2048, height_px=2500, preview_bytes=24000, sha256="c0ffee" + 58 * "0"),
        patient="p-7d3f0a51c2e84b96",
        study="s-19be6f03a7d2c845",
        seq=7,
    )
    return msgspec.structs.replace(report, **changes)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("report", a_report()),
        ("receipt", Receipt(id="0" * 32, stored_at=AT, preview=True)),
        ("status", Status(state="online", at=AT, model="paper-mobilenet@0123456789ab")),
        (
            "health",
            Health(
                at=AT,
                clock_synced=True,
                owed=2,
                unanswered=1,
                quarantined=3,
                disk_free_bytes=2**33,
                uptime_s=86400.5,
                version="0.1.0",
                model="paper-mobilenet@0123456789ab",
                temperature_c=48.5,
            ),
        ),
        (
            "review",
            Review(
                id="0" * 32,
                revision=2,
                state="answered",
                at=AT,
                reader="Dr. A. Reader",
                verdict="disagree",
                label="normal",
                call_back=True,
                text="No consolidation; the shadow is the scapula.",
            ),
        ),
        ("confirmation", Confirmation(id="0" * 32, revision=2)),
        ("request", Request(transaction="t-1", id="0" * 32, offset_bytes=32768)),
        (
            "response",
            Response(
                transaction="t-1",
                at=AT,
                chunk=Chunk(
                    media_type="image/png", total_bytes=70000, sha256="1" * 64, offset_bytes=32768, content=b"abc"
                ),
            ),
        ),
    ],
)
def test_the_json_of_a_message_is_golden(name: str, message: Message):
    """A change of these files is a change of the protocol: add fields freely, removing one means schema 2."""
    golden = json.loads((GOLDEN / f"{name}.json").read_text())

    assert json.loads(encode(message)) == golden
    assert decode(json.dumps(golden).encode(), type(message)) == message


def test_a_newer_field_is_ignored():
    """A box may say more than this reader knows."""
    newer = json.dumps({**json.loads(encode(a_report())), "projection": "PA"}).encode()

    assert decode(newer, Report) == a_report()


@pytest.mark.parametrize(
    ("payload", "complaint"),
    [
        (b"", "schema 1"),
        (b"no json", "schema 1"),
        (b"\xff\xfe", "schema 1"),
        (b"[" * 5000, "schema 1"),
        (b"{}", "missing required field"),
        (json.dumps({**json.loads(encode(a_report())), "schema": "xray.report/2"}).encode(), r"\$\.schema"),
        (json.dumps({**json.loads(encode(a_report())), "seq": "seven"}).encode(), r"\$\.seq"),
        (json.dumps({**json.loads(encode(a_report())), "id": "../etc"}).encode(), "32 hex digits"),
        (json.dumps({**json.loads(encode(a_report())), "heatmap": [[1], [1, 2]]}).encode(), "rows of one length"),
        (json.dumps({**json.loads(encode(a_report())), "received_at": "2026-01-02T03:04:05"}).encode(), "aware"),
        (b" " * 9000, "at most 8192 bytes"),
    ],
)
def test_a_bad_report_names_the_place(payload: bytes, complaint: str):
    """The error says what is wrong, and where."""
    with pytest.raises(MessageError, match=complaint):
        decode(payload, Report)


@given(st.binary(max_size=300))
def test_no_bytes_crash_the_reader(payload: bytes):
    """Whatever comes over the wire, the outcome is a message or a MessageError."""
    try:
        decode(payload, Receipt)
    except MessageError:
        return

    assert json.loads(payload)["schema"] == "xray.receipt/1"


def test_an_oversized_report_is_never_sent():
    """8 KB is a promise to poor lines."""
    with pytest.raises(MessageError, match="at most 8192 bytes"):
        encode(a_report(reason="x" * 9000))


def test_every_message_has_a_golden_file():
    """No kind of message can change unseen."""
    assert {path.stem for path in GOLDEN.glob("*.json")} >= {kind.__name__.lower() for kind in MESSAGES}


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"verdict": None}, "a verdict exactly if it is answered"),
        ({"state": "opened"}, "a verdict exactly if it is answered"),
        ({"revision": 0}, r"\$\.revision"),
        ({"verdict": "maybe"}, r"\$\.verdict"),
        ({"text": "x" * 1001}, r"\$\.text"),
    ],
)
def test_a_review_that_answers_nothing_is_refused(changes: dict[str, object], complaint: str):
    """What comes from another inbox is checked like everything else."""
    review = {**json.loads((GOLDEN / "review.json").read_text()), **changes}

    with pytest.raises(MessageError, match=complaint):
        decode(json.dumps(review).encode(), Review)


def test_the_largest_chunk_fits_into_a_response():
    """What a box may be asked for can be sent."""
    chunk = Chunk(
        media_type="image/png", total_bytes=2**31, sha256="f" * 64, offset_bytes=2**30, content=bytes(MAX_CHUNK_BYTES)
    )
    response = Response(transaction="t" * 64, at=AT, chunk=chunk)

    assert decode(encode(response), Response) == response


def test_the_id_depends_on_image_and_model():
    """The same image under a new model is a new report."""
    assert report_id("a" * 64, "b" * 64) == report_id("a" * 64, "b" * 64)
    assert report_id("a" * 64, "b" * 64) != report_id("a" * 64, "c" * 64)
    assert len(report_id("a" * 64, "b" * 64)) == 32


def test_an_inconclusive_finding_says_how_much_speaks_for_what_is_looked_for():
    """In the terminal it stands without a certainty of its own."""
    line = finding_line(
        a_report(decision="inconclusive", probabilities={"covid": 0.54, "normal": 0.46}),
        datetime(2026, 1, 2, tzinfo=UTC),
    )

    assert "INCONCLUSIVE (covid 54.0%)" in line
