"""Whether there is room for one more image."""

from pathlib import Path
from threading import Event, Timer

import pytest

from edge.outbox import room as room_module
from edge.outbox.outbox import Outbox
from edge.outbox.room import Room
from edge.settings.delivery import OutboxConfig

ROOMY = OutboxConfig(min_free_bytes=0)
FULL = OutboxConfig(min_free_bytes=2**60)


def test_an_outbox_with_room_is_not_asked_again_at_once(tmp_path: Path):
    """The answer costs several statements, and a folder may hold a thousand images."""
    asked = []
    with Outbox(tmp_path / "outbox", limits=ROOMY) as outbox:
        outbox.is_full = lambda: asked.append(1)
        room = Room(outbox, Event())

        assert [room.wait() for _ in range(5)] == [True] * 5
        assert len(asked) == 1


def test_the_answer_is_asked_for_anew_after_a_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Otherwise an outbox that fills up would never be noticed."""
    monkeypatch.setattr(room_module, "ROOM_HOLDS_S", 0.0)
    asked = []
    with Outbox(tmp_path / "outbox", limits=ROOMY) as outbox:
        outbox.is_full = lambda: asked.append(1)
        room = Room(outbox, Event())

        assert [room.wait() for _ in range(5)] == [True] * 5
        assert len(asked) == 5


def test_a_full_outbox_holds_up_the_line_until_it_is_stopped(tmp_path: Path):
    """Then the image stays where it is."""
    stop = Event()
    with Outbox(tmp_path / "outbox", limits=FULL) as outbox:
        Timer(0.1, stop.set).start()

        assert not Room(outbox, stop).wait()


def test_it_goes_on_once_there_is_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Nobody has to start the box anew."""
    monkeypatch.setattr(room_module, "ROOM_LOOK_S", 0.01)
    answers = ["full", "full", "full", None]
    with Outbox(tmp_path / "outbox", limits=ROOMY) as outbox:
        outbox.is_full = lambda: answers.pop(0)

        assert Room(outbox, Event()).wait()
        assert answers == []
