"""The memory of the cells: handed out, given back, used again, and when it must not be."""

from __future__ import annotations

import gc

import pytest
from core.engine import (
    Arena,
    Forked,
    Gate,
    Snapshot,
    calm,
    child,
    counted,
    counter,
    forked,
    page_of,
    remade,
    run,
    until_used_again,
)

LIMBO = 64
"""So many removed records, and as many as are in use besides, wait before they are used again."""


def test_records_are_apart_and_zero() -> None:
    """Every series has a cell of its own that begins at zero, also where records differ in size."""
    metric = counter("l")
    for length in (0, 1, 7, 8, 9, 430, 440, 450, 500, 1000, 70_000):
        child(metric, "v" * length).inc(length + 1)
    assert counted(metric) == {("v" * n,): n + 1.0 for n in (0, 1, 7, 8, 9, 430, 440, 450, 500, 1000, 70_000)}


@pytest.mark.compiled
@pytest.mark.parametrize("length", [1, 500, 5000])
def test_removed_record_is_used_again(length: int) -> None:
    """Records whose series were removed serve later series of their size, which begin at zero."""
    calm()
    metric = counter("l")
    addresses = []
    for number in range(4 * LIMBO):
        value = f"{number:0{length + 4}}"
        series = child(metric, value)
        assert series._read() == 0
        series.inc(5)
        addresses.append(series._address)
        metric._family.remove((value,))
    assert len(set(addresses)) < 2 * LIMBO
    assert counted(metric) == {}


@pytest.mark.compiled
def test_churn_needs_no_more_memory() -> None:
    """Making and removing series for ever takes a few more records than there were series at once."""
    calm()
    metric = counter("l")
    assert len({remade(metric, f"{number:06}") for number in range(50_000)}) <= 2 * LIMBO


def test_held_child_keeps_its_record() -> None:
    """A record is not used for another series while anyone holds the child of the removed one."""
    metric = counter("l")
    stale = child(metric, "a")
    metric._family.remove(("a",))
    fresh = [child(metric, value) for value in "abcdefgh"]
    stale.inc(7)
    assert stale._address not in {each._address for each in fresh}
    assert set(counted(metric).values()) == {0.0}


@pytest.mark.compiled
def test_nothing_is_used_again_while_a_page_is_written() -> None:
    """As long as any snapshot of the arena exists, records that were removed wait; the last one frees them."""
    calm()
    arena = Arena()
    metric, other = counter("l", arena=arena), counter("l", arena=arena)
    child(metric, "a")
    first, second = Snapshot(metric._family), Snapshot(other._family)
    addresses = [remade(metric, f"{number:04}") for number in range(10 * LIMBO)]
    del first
    addresses += [remade(other, f"{number:04}") for number in range(10 * LIMBO)]
    assert len(set(addresses)) == len(addresses)
    del second
    until_used_again(other)


@pytest.mark.compiled
def test_snapshot_shows_what_was_removed_after_it() -> None:
    """A page that is being written shows the series of its moment, whatever is removed and made meanwhile."""
    metric = counter("l")
    for number in range(300):
        child(metric, f"old{number}").inc(number)
    snapshot = Snapshot(metric._family)
    metric._family.remove_where(None)
    for number in range(300):
        child(metric, f"new{number}").inc(1000)
    texts = [text for _, text, _ in snapshot.records()]
    assert texts == [f'l="old{number}"'.encode() for number in range(300)]


@pytest.mark.compiled
def test_child_held_over_a_fork() -> None:
    """A child held in one process never counts in another series, whatever the other removes and makes meanwhile."""
    metric = counter("l")
    held = [child(metric, f"{number}") for number in range(100)]
    asleep, go = Gate(), Gate()

    def hold() -> None:
        asleep.give()
        go.sleep()
        for series in held:
            series.inc(1e6)

    with forked(hold) as process:
        asleep.take()
        metric._family.remove_where(None)
        calm()
        for number in range(20_000):
            remade(metric, f"{number:05}")
        shown = [child(metric, f"new{number}") for number in range(1000)]
        assert {series._address for series in shown}.isdisjoint(series._address for series in held)
        go.give()
        process.join()
    assert set(counted(metric).values()) == {0.0}
    assert len(counted(metric)) == 1000


@pytest.mark.compiled
def test_both_processes_make_series_after_a_fork() -> None:
    """Series that parent and child make at the same time have cells of their own, and both show all of them."""
    metric = counter("l")
    child(metric, "before").inc(-0.0)
    made = [Gate(), Gate()]
    everything = {(f"{mark}{number}",): float(number) for mark in "pc" for number in range(3000)}

    def work(mark: str, own: Gate, other: Gate) -> None:
        for number in range(3000):
            child(metric, f"{mark}{number}").inc(number)
        own.give()
        other.take()
        assert counted(metric) == {("before",): 0.0, **everything}

    process = Forked(lambda: work("c", *made))
    work("p", *reversed(made))
    process.join()


@pytest.mark.compiled
def test_snapshot_held_over_a_fork() -> None:
    """A page that was being written when the process forked keeps the child from using records again no longer."""
    metric = counter("l")
    child(metric, "a")
    calm()
    snapshot = Snapshot(metric._family)
    forked_off, go = Gate(), Gate()

    def work() -> None:
        nonlocal snapshot
        forked_off.give()
        go.take()  # the parent's page is done
        until_used_again(metric)
        assert [text for _, text, _ in snapshot.records()] == [b'l="a"']
        del snapshot
        until_used_again(metric)

    process = Forked(work)
    forked_off.take()
    del snapshot
    counted(metric)
    calm()
    counted(metric)
    go.give()
    until_used_again(metric)
    process.join()


@pytest.mark.compiled
def test_full_arena() -> None:
    """Where the address space of an arena is used up, new series go to the overflow child and all others count on."""
    code = """
import logging, resource
logging.disable()
from pyrometer import CollectorRegistry, Counter, generate_latest
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (64 << 20), -1))
registry = CollectorRegistry()
metric = Counter("c", "", ["l"], registry=registry)
made = 0
try:
    while True:
        child = metric.labels(f"{made:0100000}")
        child.inc()
        made += 1
        if child._labelvalues == ("__overflow__",):
            break
except MemoryError:
    print("no memory for the overflow child")
for letter in "abc":
    assert metric.labels(letter * 100000) is child
metric.labels(f"{0:0100000}").inc()
print(made > 5, metric.labels(f"{0:0100000}")._read(), metric.labels("small")._read())
"""
    assert run(code) == "True 2.0 0.0\n"


def test_page_of_an_empty_family() -> None:
    """A family without series has no lines."""
    assert page_of(counter("l")) == ""


@pytest.mark.compiled
@pytest.mark.parametrize("loose", [True, False])
def test_family_gives_its_records_back(loose: bool) -> None:
    """A family that is gone, with labels or without, leaves its records to the families that stay in its arena."""
    calm()
    arena = Arena()
    staying = counter("l", arena=arena)

    def come_and_go() -> set[int]:
        metric, plain = counter("l", arena=arena, loose=loose), counter(arena=arena, loose=loose)
        plain.inc()
        addresses = {plain._address, *(child(metric, f"{number}")._address for number in range(100))}
        if not loose:
            for each in (metric, plain):
                each._family.withdraw()
        return addresses

    used = set()
    for _ in range(50):
        used |= come_and_go()
        gc.collect()
    assert len(used) < 6 * 101
    assert child(staying, "a")._read() == 0
