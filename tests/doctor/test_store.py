"""The store keeps each report once, in order of arrival, on both databases."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import msgspec

from doctor.store import Store


def test_a_report_is_stored_once(store, make_report):
    """Adding it again gives what was stored first, and nothing new to show."""
    first = store.add(make_report())

    second = store.add(msgspec.structs.replace(make_report(), replayed=True))

    assert first == second
    assert [stored.report for stored in store.unshown()] == [make_report()]


def test_the_same_id_of_another_box_is_another_report(store, make_report):
    """Two clinics may see the same image."""
    store.add(make_report())

    store.add(make_report(device="box-2"))

    assert [stored.report.device for stored in store.unshown()] == ["box-1", "box-2"]


def test_a_report_that_comes_from_many_threads_is_stored_once(store, make_report):
    """However they meet."""
    with ThreadPoolExecutor(8) as threads:
        stored = list(threads.map(lambda number: store.add(make_report(number % 5)), range(40)))

    assert len({one.number for one in stored}) == 5
    assert len(list(store.unshown())) == 5


def test_what_was_shown_is_not_shown_again_after_a_restart(place, make_report):
    """And what was not shown is."""
    with Store.open(place) as store:
        shown = store.add(make_report(1))
        waiting = store.add(make_report(2))
        store.mark_shown(shown.number)

    with Store.open(place) as store:
        assert [stored.number for stored in store.unshown()] == [waiting.number]


def test_more_reports_than_are_fetched_at_once_are_all_shown(store, make_report):
    """In order, also while each is marked."""
    for number in range(205):
        store.add(make_report(number))

    seen = []
    for stored in store.unshown():
        seen.append(stored.report.seq)
        store.mark_shown(stored.number)

    assert seen == list(range(205))
    assert list(store.unshown()) == []


def test_a_preview_is_kept_with_its_report(store, make_report):
    """Once; the first stays."""
    stored = store.add(make_report())

    added = store.add_preview("clinic", "box-1", make_report().id, b"\xff\xd8\xff first")
    store.add_preview("clinic", "box-1", make_report().id, b"\xff\xd8\xff second")

    assert added.has_preview
    assert store.add(make_report()).has_preview
    assert store.preview(stored.number) == b"\xff\xd8\xff first"


def test_a_preview_without_its_report_is_not_kept(store, make_report):
    """The box sends it again; its report comes first."""
    assert store.add_preview("clinic", "box-1", make_report().id, b"\xff\xd8\xff") is None
    assert not store.add(make_report()).has_preview


def test_an_inbox_keeps_its_name(place):
    """The broker knows the inbox by it."""
    with Store.open(place) as store:
        name = store.inbox_id

    with Store.open(place) as store:
        assert store.inbox_id == name
        assert len(name) == 32


def test_times_are_this_machine_s_and_aware(store, make_report):
    """Whatever zone the database thinks it is in."""
    first = store.add(make_report())

    again = store.item(first.number)

    assert again.stored_at == first.stored_at
    assert again.stored_at.utcoffset() == timedelta(0)
