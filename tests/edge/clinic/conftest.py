"""A box with a real outbox full of phantoms, and its page served by the real server."""

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest

from edge.clinic.box import Box
from edge.clinic.serve import serving
from edge.decoding.decode import decode
from edge.delivery.health import Vitals
from edge.intake.quarantine import list_quarantine, try_again
from edge.intake.spool import Spool
from edge.mqtt.reconnect import LineState
from edge.outbox.entry import State
from edge.outbox.outbox import Outbox
from edge.phantom import phantom
from edge.preview import preview
from edge.pseudonym import Pseudonyms
from edge.settings.page import PageConfig
from edge.wire.messages import ModelIdentity, Picture, Report, Review

MODEL = ModelIdentity(
    id="phantom-mobilenet@b71d25bfb6cc",
    sha256="b7" * 32,
    signed=True,
    runtime="litert",
    validated_on="98% right on 700 phantoms",
    not_validated_on="people",
)
HEAT = tuple(
    tuple(round(max(0, 1 - ((row - 2) ** 2 + (column - 4) ** 2) / 9), 3) for column in range(7)) for row in range(7)
)


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    """The agent's connection to the outbox."""
    with Outbox(tmp_path / "outbox.sqlite3") as outbox:
        yield outbox


@cache
def _picture(seed: int) -> tuple[bytes, int, int]:
    film = decode(phantom(seed).png())
    return preview(film, max_bytes=30_000), *film.pixels.shape


@pytest.fixture
def put(outbox: Outbox) -> Callable[..., str]:
    """Put a picture of a phantom into the outbox, as the pipeline does; returns the report's id.

    Arguments: the seed, how long ago, how far it has come, and the fields of the doctor's review.
    """

    def put_one(
        seed: int, *, ago: timedelta = timedelta(), state: State = State.RECEIVED, review: dict | None = None, **fields
    ) -> str:
        jpeg, height_px, width_px = _picture(seed)
        at = datetime.now(UTC) - ago
        report = Report(
            id=f"{seed:032x}", site="hill", device="box-1", received_at=at, clock_synced=True,
            origin=fields.pop("origin", "folder"), decision=fields.pop("decision", "opacity" if seed % 2 else "clear"),
            probabilities=fields.pop("probabilities", {"clear": 0.07, "opacity": 0.93}), positive="opacity",
            threshold=0.5, heatmap=fields.pop("heatmap", HEAT), guard={}, reason=fields.pop("reason", None),
            model=MODEL,
            timings_ms={"decode": 1.0},
            picture=Picture(width_px=width_px, height_px=height_px, preview_bytes=len(jpeg)), **fields,
        )  # fmt: skip
        with_clock = outbox._clock
        outbox._clock = lambda: at
        outbox.put(report, preview=jpeg, place=Path(f"/srv/xray/in/archive/film-{seed}.png"))
        outbox._clock = with_clock
        seq = outbox.entry(report.id).report.seq
        match state:
            case State.SENT:
                outbox.mark_sent(seq)
            case State.REFUSED:
                outbox.mark_refused(seq, "Not authorized")
            case State.RECEIVED:
                outbox.mark_received(report.id)
        if review is not None:
            about = {"revision": 2, "state": "answered", "at": datetime.now(UTC), "reader": "Dr. Weber"}
            outbox.add_review(Review(id=report.id, **(about | review)))
        return report.id

    return put_one


@pytest.fixture
def box(tmp_path: Path) -> Box:
    """The agent as its page sees it, on a free port of the loopback interface."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    watched = tmp_path / "in"
    watched.mkdir()
    return Box(
        site="hill",
        device="box-1",
        page=PageConfig(listen=f"127.0.0.1:{port}"),
        model=MODEL,
        open_outbox=lambda: Outbox(tmp_path / "outbox.sqlite3"),
        vitals=Vitals(
            state_dir=tmp_path,
            model_id=MODEL.id,
            unanswered_after=timedelta(hours=1),
            count_quarantined=lambda: len(list_quarantine([watched])),
        ),
        unanswered_after=timedelta(hours=1),
        quarantined=lambda: list_quarantine([watched]),
        try_again=lambda file_id: try_again([watched], file_id),
        line=LineState(is_up=True),
        keep=Spool(tmp_path, "http").put,
        open_pseudonyms=lambda: Pseudonyms(tmp_path),
    )


@pytest.fixture
def serve(box: Box) -> Iterator[Callable[..., str]]:
    """Serve the box's page, with some of its fields replaced; returns the address."""
    with ExitStack() as stack:

        def serve_one(**fields: object) -> str:
            changed = replace(box, **fields)
            stack.enter_context(serving(changed))
            return f"http://{changed.page.listen}"

        yield serve_one
