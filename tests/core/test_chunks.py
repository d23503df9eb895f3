"""Room for records of all sizes: no two overlap, what is given back serves again, and memory goes back."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from core.engine import (
    COMPILED,
    HEAD,
    Arena,
    CounterBase,
    Forked,
    Gate,
    Snapshot,
    calm,
    child,
    counted,
    counter,
    forked,
    prepare,
    refresh,
)

SIZES = (1, 8, 40, 100, 400, 440, 500, 600, 1000, 3000, 8000, 8100, 8200, 16_000, 20_000, 70_000)
"""Lengths of label values on either side of where records change their lists, and begin to have chunks of their own."""
KILOBYTE = 1024


def extents(metric: CounterBase) -> list[tuple[int, int]]:
    """(begin, end) of the records of all series, by address; interpreted, of their cells."""
    records = Snapshot(metric._family).records()
    if not COMPILED:
        return sorted((cell, cell + 8) for cell, _, _ in records)
    return sorted((cell - HEAD, cell + 8 + len(text)) for cell, text, _ in records)


def check(metric: CounterBase, expected: dict[tuple[str, ...], float]) -> None:
    assert counted(metric) == expected
    taken = extents(metric)
    assert all(end <= begin for (_, end), (begin, _) in zip(taken, taken[1:]))


def resident(arena: Any) -> int:
    """Bytes of memory that the mapping of an arena takes."""
    lines = iter(Path("/proc/self/smaps").read_text().splitlines())
    for line in lines:
        if line.startswith(f"{arena.at:x}-"):
            return int(next(each for each in lines if each.startswith("Rss:")).split()[1]) * KILOBYTE
    raise AssertionError("no such mapping")


@pytest.mark.parametrize("length", SIZES)
def test_fill_free_refill(length: int) -> None:
    """Series of one size, all removed, then made again: each has a cell of its own that begins at zero, three times."""
    metric = counter("l")
    number = max(5, 40_000 // length)
    for turn in range(3):
        expected: dict[tuple[str, ...], float] = {}
        for i in range(number):
            value = f"{turn}-{i}".ljust(length, "x")
            assert child(metric, value)._read() == 0
            child(metric, value).inc(i + 1)
            expected[(value,)] = i + 1.0
        check(metric, expected)
        assert metric._family.remove_where(None) == number
    check(metric, {})


@pytest.mark.parametrize("seed", range(3))
def test_sizes_at_random(seed: int) -> None:
    """Series of all sizes made and removed at random: none overlaps another, and each keeps its count."""
    chance = random.Random(seed)
    metric = counter("l")
    expected: dict[tuple[str, ...], float] = {}
    for turn in range(3000):
        if expected and chance.random() < 0.47:
            values = chance.choice(list(expected))
            assert metric._family.remove(values)
            del expected[values]
        else:
            value = f"{turn}".ljust(chance.choice(SIZES) + chance.randrange(8), "x")
            assert child(metric, value)._read() == 0
            child(metric, value).inc(turn)
            expected[(value,)] = float(turn)
        if turn % 500 == 0:
            check(metric, expected)
    check(metric, expected)


@pytest.mark.compiled
def test_long_records_for_ever() -> None:
    """Records of 70 kB made and removed for ever need no more than the arena has, though it is passed through often."""
    metric = counter("l")
    kept = child(metric, "k" * 70_000)
    kept.inc()
    for number in range(20_000):  # 1.4 GB in an arena of 1 GB
        series = child(metric, f"{number:070000}")
        assert series._removed is False
        series.inc(number)
        assert metric._family.remove((f"{number:070000}",))
    assert child(metric, "new")._read() == 0
    assert counted(metric) == {("k" * 70_000,): 1.0, ("new",): 0.0}
    assert resident(metric._family.arena) < 40_000 * KILOBYTE


@pytest.fixture(params=["alone", "idle", "stopped"])
def company(request: pytest.FixtureRequest) -> Iterator[CounterBase]:
    """A counter, and either no other process attached to its arena, or one that sleeps for ever, or a stopped one."""
    metric = counter("l")
    child(metric, "held").inc()
    asleep, never = Gate(), Gate()

    def sleep() -> None:
        held = child(metric, "held")
        asleep.give()
        never.sleep()
        held.inc()

    if request.param == "alone":
        yield metric
        return
    with forked(sleep) as process:
        asleep.take()
        if request.param == "stopped":
            process.stop()
        yield metric


@pytest.mark.compiled
@pytest.mark.parametrize(("length", "number"), [(8, 200_000), (70_000, 300)])
def test_memory_goes_back(company: CounterBase, length: int, number: int) -> None:
    """The memory of many series goes back to the system once they are removed, whoever else sleeps attached."""
    calm()
    metric, arena = company, company._family.arena
    before = resident(arena)
    for i in range(number):
        child(metric, f"{i:0{length}}").inc()
    full = resident(arena)
    assert full > before + number * length
    assert metric._family.remove_where(lambda values: values != ("held",)) == number
    for i in range(1000):  # what was removed waits for a while
        child(metric, f"after{i}")
        metric._family.remove((f"after{i}",))
    assert resident(arena) < before + (full - before) // 10 + 2000 * KILOBYTE
    assert counted(metric) == {("held",): 1.0}


@pytest.mark.compiled
def test_memory_goes_back_that_another_process_took() -> None:
    """The memory of series that one process made and another removed goes back as well."""
    metric = counter("l")
    arena = metric._family.arena
    before = resident(arena)

    def make() -> None:
        for number in range(50_000):
            child(metric, f"{number}").inc()

    Forked(make).join()
    refresh(arena)
    assert metric._family.remove_where(None) == 50_000
    calm()
    for i in range(1000):
        child(metric, f"after{i}")
        metric._family.remove((f"after{i}",))
    assert resident(arena) < before + 2000 * KILOBYTE


@pytest.mark.compiled
def test_file_goes_back_to_its_size() -> None:
    """The memory that an arena's file takes is given back as well, for short and long records."""
    calm()
    file = os.memfd_create("arena")
    try:
        prepare(file, (os.getpid(), 1, 2), 0.0, 1)
        metric = counter("l", arena=Arena(file))
        child(metric, "held").inc()
        before = os.fstat(file).st_blocks
        for number in range(50_000):
            child(metric, f"{number}").inc()
        for number in range(100):
            child(metric, f"{number:070000}").inc()
        full = os.fstat(file).st_blocks
        assert full > before + 20_000
        assert metric._family.remove_where(lambda values: values != ("held",)) == 50_100
        for number in range(1000):  # what was removed waits for a while
            child(metric, f"after{number}")
            metric._family.remove((f"after{number}",))
        assert os.fstat(file).st_blocks < before + (full - before) // 4
        assert counted(metric) == {("held",): 1.0}
    finally:
        os.close(file)
