"""What boxes are asked, and pictures in full resolution, piece by piece."""

from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest

from doctor import images, requests
from doctor.requests import Command
from doctor.reviews import UnknownReportError
from edge.errors import MessageError
from edge.wire.messages import Chunk, Response

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
PNG = bytes(range(256)) * 10
BOX = ("clinic", "box-1")


@pytest.fixture
def respond(store):
    """Let a box answer."""

    def answer(command: str, transaction: str, *, device: str = "box-1", **fields: object) -> bool:
        response = Response(transaction=transaction, at=NOW, **fields)
        with store.database.writing() as writing:
            return requests.answer(writing, "clinic", device, command, response)

    return answer


def piece(offset: int, size: int, *, whole: bytes = PNG, **changes: object) -> Chunk:
    """A piece of a picture."""
    fields = {
        "media_type": "image/png", "total_bytes": len(whole), "sha256": sha256(whole).hexdigest(),
        "offset_bytes": offset, "content": whole[offset : offset + size],
    }  # fmt: skip
    return Chunk(**{**fields, **changes})


@pytest.fixture
def transaction(store, make_report, reader) -> str:
    """A picture that was asked for."""
    store.add(make_report())
    return store.ask(1, Command.IMAGE, reader)


def offsets(store) -> list[int]:
    """Where the next wanted pieces begin."""
    return [owed.request.offset_bytes for owed in store.requests_owed()]


def test_a_picture_is_fetched_piece_by_piece(store, respond, transaction):
    """It is shown when it is whole, and asked for no more."""
    progress = []
    for offset in range(0, len(PNG), 1000):
        assert offsets(store) == [offset]
        assert store.image_content(1) is None
        assert respond("image", transaction, chunk=piece(offset, 1000))
        progress.append(store.image(1).received_bytes)

    assert progress == [1000, 2000, 2560]
    assert store.image(1).verified
    assert store.image_content(1) == PNG
    assert store.requests_owed() == []
    (asked,) = store.asked_about(1)
    assert (asked.command, asked.error, asked.answered_at is not None) == (Command.IMAGE, None, True)


def test_a_piece_that_comes_twice_or_too_early_changes_nothing(store, respond, transaction):
    """The broker may deliver again, and a box may answer an older request late."""
    respond("image", transaction, chunk=piece(0, 1000))

    respond("image", transaction, chunk=piece(0, 1000))
    respond("image", transaction, chunk=piece(2000, 560))

    assert offsets(store) == [1000]
    assert store.image(1).received_bytes == 1000


def test_another_whole_begins_anew(store, respond, transaction):
    """The box may have made the picture again, and otherwise."""
    other = PNG[::-1]
    respond("image", transaction, chunk=piece(0, 1000))

    respond("image", transaction, chunk=piece(1000, 1000, whole=other))
    assert offsets(store) == [0]
    for offset in (0, 1000, 2000):
        respond("image", transaction, chunk=piece(offset, 1000, whole=other))

    assert store.image_content(1) == other


def test_a_picture_that_does_not_fit_its_hash_is_thrown_away(store, respond, transaction, reader):
    """And said to be; asking again begins at the beginning."""
    respond("image", transaction, chunk=piece(0, 1000))
    respond("image", transaction, chunk=piece(1000, 1000, content=bytes(1000)))
    respond("image", transaction, chunk=piece(2000, 560))

    assert store.image(1) is None
    assert store.requests_owed() == []
    assert "does not fit the hash" in store.asked_about(1)[0].error
    store.ask(1, Command.IMAGE, reader)
    assert offsets(store) == [0]


@pytest.mark.parametrize(
    "changes",
    [
        {"media_type": "text/html"},
        {"total_bytes": 0},
        {"total_bytes": images.MAX_IMAGE_BYTES + 1},
        {"sha256": "../../etc/passwd"},
        {"offset_bytes": -1},
        {"content": b""},
        {"content": bytes(3000)},
    ],
)
def test_pieces_that_cannot_be_are_refused(store, respond, transaction, changes):
    """Nothing of them is kept."""
    with pytest.raises(MessageError, match="expected"):
        respond("image", transaction, chunk=piece(0, 1000, **changes))

    assert store.image(1) is None


def test_an_interrupted_picture_goes_on_where_it_was(store, respond, transaction, reader):
    """Also after the box has refused once."""
    respond("image", transaction, chunk=piece(0, 1000))
    respond("image", transaction, error="the original is not there any more")

    assert store.asked_about(1)[0].error == "the original is not there any more"
    store.ask(1, Command.IMAGE, reader)
    assert offsets(store) == [1000]


def test_asking_twice_is_one_request(store, transaction, reader):
    """Until it is answered."""
    assert store.ask(1, Command.IMAGE, reader) == transaction
    assert store.ask(1, Command.RESEND, reader) != transaction
    assert len(store.requests_owed()) == 2


def test_a_self_test_brings_its_results(store, respond, reader):
    """Asked of the box, not of a report."""
    transaction = store.ask_box(*BOX, Command.SELF_TEST, reader)
    (owed,) = store.requests_owed()

    assert respond("self-test", transaction, result={"disk": "ok"})

    (asked,) = store.asked_of(*BOX)
    assert (owed.request.id, owed.command) == (None, Command.SELF_TEST)
    assert (asked.result, asked.account) == ({"disk": "ok"}, "ada")


def test_answers_that_nobody_asked_for_are_told(respond, transaction):
    """By another box, for another command, or a second time."""
    assert not respond("image", transaction, device="box-2", chunk=piece(0, 1000))
    assert not respond("resend", transaction)
    assert not respond("image", "t-unknown")
    assert respond("image", transaction, error="no")
    assert not respond("image", transaction, error="no")


@pytest.mark.parametrize(
    ("command", "waits"), [(Command.RESTART, timedelta(minutes=11)), (Command.IMAGE, timedelta(days=8))]
)
def test_a_box_that_comes_back_late_is_not_asked_any_more(store, make_report, reader, command, waits):
    """Nobody restarts a box by a click of last week."""
    store.add(make_report())
    store.ask(1, command, reader)

    early = store.give_up_requests(datetime.now(UTC) + waits / 2)
    late = store.give_up_requests(datetime.now(UTC) + waits)

    assert (early, late) == (0, 1)
    assert store.requests_owed() == []
    assert "did not answer in time" in store.asked_about(1)[0].error


def test_a_report_that_is_not_there_cannot_be_asked_about(store, reader):
    """The error names it."""
    with pytest.raises(UnknownReportError, match="number 3"):
        store.ask(3, Command.IMAGE, reader)
