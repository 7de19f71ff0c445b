"""Nothing that was stamped before a look and written after it is ever missed, on both databases."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

from demur import clock
from demur.people import Registry, Told

T0 = datetime(2026, 3, 1, tzinfo=UTC)


def test_what_is_written_after_a_look_is_recorded_after_it(registry: Registry) -> None:
    registry.look(T0)
    (kept,) = registry.record_objections([Told("web", person_id="m:1")], recorded_at=T0 - timedelta(seconds=1))
    registry.record(
        {"type": "status", "account_id": "m:1", "status": "deleted", "valid_at": "2026-01-01"},
        recorded_at=T0 - timedelta(days=1),
    )
    found = registry.restrictions_since(T0)
    assert {one.kind for one in found} == {"objection", "status"}
    assert all(one.recorded_at and one.recorded_at > T0 for one in found)
    assert kept.recorded_at > T0
    assert kept.said_at < T0


def test_a_later_look_moves_the_mark_and_an_earlier_one_does_not(registry: Registry) -> None:
    registry.look(T0)
    registry.look(T0 - timedelta(days=1))
    (kept,) = registry.record_objections([Told("web", person_id="m:1")], recorded_at=T0 - timedelta(hours=1))
    assert kept.recorded_at > T0
    (later,) = registry.record_objections([Told("web", person_id="m:2")], recorded_at=T0 + timedelta(hours=1))
    assert later.recorded_at == T0 + timedelta(hours=1)


def test_writers_and_looks_side_by_side_miss_nobody(registry: Registry) -> None:
    """What stands at a look was seen by it; everything else is after it."""
    gone = threading.Event()
    written: list[list[str]] = [[], []]

    def write(place: int) -> None:
        number = 0
        while not gone.is_set():
            person = f"m:{place}-{number}"
            stamped = clock.now()  # read long before it is on disk
            registry.record_objections([Told("web", person_id=person)], recorded_at=stamped)
            written[place].append(person)
            number += 1

    writers = [threading.Thread(target=write, args=(place,)) for place in range(2)]
    for one in writers:
        one.start()
    looks: list[tuple[datetime, set[str | None]]] = []
    while len(looks) < 12 or (not all(written) and all(one.is_alive() for one in writers)):
        at = clock.now()
        registry.look(at)
        seen = {one.person_id for one in registry.restrictions_since(None) if one.recorded_at and one.recorded_at <= at}
        looks.append((at, seen))
    gone.set()
    for one in writers:
        one.join()
    everybody = {person for some in written for person in some}
    assert everybody
    for at, seen in looks:
        assert seen | {one.person_id for one in registry.restrictions_since(at)} == everybody
