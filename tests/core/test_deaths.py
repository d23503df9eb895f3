"""Processes that are killed or stopped anywhere: what they finished stays, and nobody waits for them."""

from __future__ import annotations

import mmap
import random
import time
from typing import Any

import pytest
from core.engine import Forked, Gate, check_apart, child, counted, counter, forked

pytestmark = pytest.mark.compiled

WAIT = 0.1
"""Seconds for which a new series waits for another process that makes one."""


class Tally:
    """Counts that outlive whoever counts: numbers in memory that forked processes share."""

    def __init__(self, size: int) -> None:
        # One store of eight bytes, which a kill leaves whole; struct.pack_into clears them first.
        self._numbers = memoryview(mmap.mmap(-1, 8 * size)).cast("q")

    def __getitem__(self, index: int) -> int:
        return self._numbers[index]

    def __setitem__(self, index: int, value: int) -> None:
        self._numbers[index] = value


def test_killed_at_any_moment() -> None:
    """Processes killed anywhere in making, removing and counting leave nothing broken, and lose no finished count."""
    metric = counter("l")
    chance = random.Random(1)
    series = [(f"kept{number}",) for number in range(20)]
    done = Tally(2)
    started = Tally(2)
    deaths = 0

    def work(place: int) -> None:
        number = 0
        while True:
            number += 1
            started[place] = number
            child(metric, *series[number % 20]).inc()
            done[place] = number
            child(metric, f"{place}-{number % 37}").inc()
            if number % 3 == 0:
                child(metric, f"{place}-{number}-{'x' * (number % 11 * 300)}")
            metric._family.remove((f"{place}-{(number + 19) % 37}",))
            metric._family.remove_where(lambda values: values[0].startswith(f"{place}-") and len(values[0]) > 300)

    least = most = 0
    end = time.monotonic() + 4
    while time.monotonic() < end:
        for place in range(2):
            done[place] = started[place] = 0
        processes = [Forked(lambda place=place: work(place)) for place in range(2)]  # type: ignore[misc]
        instant = time.perf_counter() + 0.003 + 0.004 * chance.random()
        while time.perf_counter() < instant:
            child(metric, f"p{chance.randrange(100)}")
            metric._family.remove((f"p{chance.randrange(100)}",))
        for process in processes:
            process.kill()
            deaths += 1
        least += done[0] + done[1]
        most += started[0] + started[1]
        check_apart(metric)
    assert deaths > 100
    total = sum(value for values, value in counted(metric).items() if values in series)
    assert least <= total <= most, (least, total, most)
    for number, values in enumerate(metric._family.present()):
        child(metric, *values)._write(number)
    assert list(counted(metric).values()) == list(range(len(metric._family.present())))
    metric._family.remove_where(None)
    assert counted(metric) == {}
    assert child(metric, "new")._read() == 0
    metric._family.arena.processes()
    assert metric._family.arena.attached() == 1


def test_holder_of_the_lock_is_killed() -> None:
    """Where a process dies with the lock held the next one takes it, and everything there was is there."""
    metric = counter("l")
    arena: Any = metric._family.arena
    for turn in range(20):
        child(metric, f"{turn}").inc(turn)
        holds = Gate()

        def hold(holds: Gate = holds, turn: int = turn) -> None:
            child(metric, f"killed{turn}").inc(turn)
            assert arena.hold()
            holds.give()
            Gate().sleep()

        process = Forked(hold)
        holds.take()
        process.kill()
        begun = time.monotonic()
        child(metric, f"after{turn}").inc(turn)
        assert time.monotonic() - begun < WAIT
        assert metric._family.remove((f"{turn - 1}",)) == (turn > 0)
        check_apart(metric)
    expected = {(f"{mark}{turn}",): float(turn) for mark in ("killed", "after") for turn in range(20)}
    assert counted(metric) == {**expected, ("19",): 19.0}


def test_holder_of_the_lock_is_stopped() -> None:
    """While a process with the lock is stopped, new series count by themselves at once; afterwards they are merged."""
    metric = counter("l")
    arena: Any = metric._family.arena
    child(metric, "known").inc()
    holds, release, released = Gate(), Gate(), Gate()

    def hold() -> None:
        assert arena.hold()
        holds.give()
        release.take()
        arena.let_go()
        child(metric, "new").inc(100)
        child(metric, "other").inc(1000)
        released.give()
        Gate().sleep()

    with forked(hold) as process:
        holds.take()
        process.stop()
        begun = time.monotonic()
        series = child(metric, "new")
        assert time.monotonic() - begun < WAIT + 0.05
        series.inc(3)
        begun = time.monotonic()
        for number in range(100):
            child(metric, f"more{number}").inc(number)
        child(metric, "known").inc()
        assert time.monotonic() - begun < WAIT  # it waits no second time
        assert child(metric, "new") is series
        release.give()
        process.go_on()
        released.take()
        child(metric, "settled")
        series.inc(4)
        assert child(metric, "new") is series
        expected = {("known",): 2.0, ("new",): 107.0, ("other",): 1000.0, ("settled",): 0.0}
        expected |= {(f"more{number}",): float(number) for number in range(100)}
        assert counted(metric) == expected
        check_apart(metric)
    assert counted(metric) == expected


def test_removed_while_the_holder_of_the_lock_is_stopped() -> None:
    """A series removed while nobody can have the lock is gone at once; what is counted afterwards is kept."""
    metric = counter("l")
    arena: Any = metric._family.arena
    child(metric, "a").inc(5)
    child(metric, "b").inc(5)
    holds = Gate()

    def hold() -> None:
        assert arena.hold()
        holds.give()
        Gate().sleep()

    with forked(hold):
        holds.take()
        assert metric._family.remove(("a",))
        assert counted(metric) == {("b",): 5.0}
        child(metric, "a").inc(3)
    child(metric, "c").inc()
    child(metric, "a").inc()
    assert counted(metric) == {("b",): 5.0, ("a",): 4.0, ("c",): 1.0}
