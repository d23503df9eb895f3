"""What processes tell one another: a series made or removed by one is made or removed for all, exactly once."""

from __future__ import annotations

import os
import time
from typing import Any

import pytest
from core.engine import (
    Forked,
    Gate,
    Snapshot,
    calm,
    cells,
    check_apart,
    child,
    counted,
    counter,
    forked,
    refresh,
    remade,
    until_used_again,
)

pytestmark = pytest.mark.compiled

RING = 8192
"""So many events are remembered; who has slept through more looks at everything."""


@pytest.mark.parametrize("turn", range(3))
def test_same_new_series_at_the_same_time(turn: int) -> None:
    """Processes that make the same series at the same time make each once, lose nothing, and agree on their order."""
    metric = counter("l")
    begin, made, seen = Gate(), Gate(), Gate()

    def work() -> None:
        begin.take()
        for number in range(2000):
            child(metric, f"{number}").inc()
        made.give()
        seen.take()
        check_apart(metric)
        assert set(counted(metric).values()) == {4.0}

    processes = [Forked(work) for _ in range(4)]
    begin.give(4)
    made.take(4)
    seen.give(4)
    for process in processes:
        process.join()
    assert counted(metric) == {(f"{number}",): 4.0 for number in range(2000)}
    check_apart(metric)


def test_order_is_that_of_making() -> None:
    """Every process shows series in the order of their making, whichever made them, by turns."""
    metric = counter("l")
    expected = [(f"{number}",) for number in range(60)]
    gates, made, look = [Gate() for _ in range(3)], Gate(), Gate()

    def work(place: int) -> None:
        for number in range(place, 60, 3):
            gates[place].take()
            child(metric, f"{number}")
            gates[(place + 1) % 3].give()
        made.give()
        look.take()
        assert list(counted(metric)) == expected == metric._family.present()

    processes = [Forked(lambda place=place: work(place)) for place in range(3)]  # type: ignore[misc]
    gates[0].give()
    made.take(3)
    look.give(3)
    for process in processes:
        process.join()
    assert list(counted(metric)) == expected == metric._family.present()


def test_removal_is_seen_by_others() -> None:
    """After one process removed a series, another's child of it counts unseen, and its labels() makes a new one."""
    metric = counter("l")
    held = child(metric, "a")
    held.inc(5)
    ready, go = Gate(), Gate()

    def work() -> None:
        ready.give()
        go.take()
        held.inc(100)
        assert child(metric, "a") is not held
        child(metric, "a").inc(3)
        held.inc(100)
        assert held._removed and held._read() == 205
        assert counted(metric) == {("a",): 3.0}

    with forked(work) as process:
        ready.take()
        assert metric._family.remove(("a",))
        assert counted(metric) == {}
        go.give()
        process.join()
    assert counted(metric) == {("a",): 3.0}
    child(metric, "a").inc()
    assert counted(metric) == {("a",): 4.0}
    assert held._read() == 5


def test_removed_and_made_again_before_the_other_looks() -> None:
    """A process that slept while a series was removed and made again counts in the new one."""
    metric = counter("l")
    child(metric, "a").inc(5)
    ready, go = Gate(), Gate()

    def work() -> None:
        ready.give()
        go.take()
        child(metric, "a").inc(2)

    with forked(work) as process:
        ready.take()
        for _ in range(300):
            metric._family.remove(("a",))
            child(metric, "a").inc()
        go.give()
        process.join()
    assert counted(metric) == {("a",): 3.0}


@pytest.mark.parametrize("stopped", [False, True])
def test_sleeper(stopped: bool) -> None:
    """A process that sleeps for ever keeps what it holds, and only that: series made later are used again."""
    metric = counter("l")
    for number in range(100):
        child(metric, f"{number}")
    asleep, go = Gate(), Gate()

    def sleep() -> None:
        held = [child(metric, f"{number}") for number in range(100)]
        asleep.give()
        go.sleep()
        for series in held:
            series.inc(1e9)

    with forked(sleep) as process:
        asleep.take()
        if stopped:
            process.stop()
        held = set(cells(metric).values())
        metric._family.remove_where(None)
        calm()
        until_used_again(metric)
        addresses = {remade(metric, f"{number:05}") for number in range(20_000)}
        assert len(addresses) < 1000
        fresh = {child(metric, f"fresh{number}")._address for number in range(2000)}
        assert held.isdisjoint(addresses | fresh)
        process.go_on()
        go.give()
        process.join()
    assert set(counted(metric).values()) == {0.0}
    assert len(counted(metric)) == 2000


@pytest.mark.parametrize("events", [RING - 2, RING - 1, RING, RING + 1, 3 * RING + 5])
def test_ring_is_overtaken(events: int) -> None:
    """A process that slept through more events than are remembered knows all series, and none that were removed."""
    metric = counter("l")
    child(metric, "old").inc(1)
    child(metric, "stays").inc(1)
    ready, go = Gate(), Gate()

    def work() -> None:
        stale = child(metric, "old")
        ready.give()
        go.take()
        assert counted(metric) == {("stays",): 1.0, ("a",): 10.0, ("b",): 20.0}
        stale.inc(50)
        child(metric, "a").inc()
        child(metric, "old").inc()
        check_apart(metric)

    with forked(work) as process:
        ready.take()
        metric._family.remove(("old",))
        child(metric, "a").inc(10)
        for number in range((events - 3) // 2):
            remade(metric, f"{number}")
        child(metric, "b").inc(20)
        go.give()
        process.join()
    assert counted(metric) == {("stays",): 1.0, ("a",): 11.0, ("b",): 20.0, ("old",): 1.0}


def test_ring_is_overtaken_while_it_is_read() -> None:
    """A process that learns while others make and remove as fast as they can has no series twice, and none wrong."""
    metric = counter("l")
    child(metric, "stays").inc(7)
    deadline = time.monotonic() + 1.5

    def churn(mark: str) -> None:
        number = 0
        while time.monotonic() < deadline:
            for _ in range(1000):
                number += 1
                child(metric, f"{mark}{number}").inc(1)
                metric._family.remove((f"{mark}{number - 50}",))

    processes = [Forked(lambda mark=mark: churn(mark)) for mark in "ab"]  # type: ignore[misc]
    while time.monotonic() < deadline:
        shown = counted(metric)
        assert shown.pop(("stays",)) == 7
        assert set(shown.values()) <= {0.0, 1.0}
    for process in processes:
        process.join()
    assert len(counted(metric)) == 101
    check_apart(metric)


def test_note_of_another_process() -> None:
    """A note that one process writes is read by all, and goes with its series."""
    metric = counter("l")
    series = child(metric, "a")
    ready, go = Gate(), Gate()

    def work() -> None:
        ready.give()
        for turn in range(300):
            go.take()
            refresh(metric._family.arena)
            found = Snapshot(metric._family).notes
            assert found == {(child(metric, "a")._address, 0): (b"note" * turn, float(turn), 1.0)}
            ready.give()

    with forked(work) as process:
        ready.take()
        for turn in range(300):
            metric._family.put_note(series, 0, b"note" * turn, float(turn), 1.0)
            if turn % 10 == 9:
                metric._family.remove(("a",))
                series = child(metric, "a")
                assert Snapshot(metric._family).notes == {}
                metric._family.put_note(series, 0, b"note" * turn, float(turn), 1.0)
            go.give()
            ready.take()
        process.join()


def test_notes_are_heard_of_whole() -> None:
    """A process that listens while another makes notes hears of each, and of the series it belongs to."""
    metric = counter("l")
    arena: Any = metric._family.arena

    def work() -> None:
        for number in range(3000):
            metric._family.put_note(child(metric, f"{number}"), number % 7, b"text", float(number), 1.0)

    process = Forked(work)
    while not os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
        refresh(arena)
    refresh(arena)
    process.join()
    found = Snapshot(metric._family).notes
    known = cells(metric)
    assert set(found) == {(known[(f"{number}",)], number % 7) for number in range(3000)}
