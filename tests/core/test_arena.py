"""The memory of the cells: handed out, given back, used again, and when it must not be."""

from __future__ import annotations

import gc

import pytest
from core.engine import Arena, Forked, Snapshot, child, counted, counter, page_of, run

from pyrometer._core.series_cy import MetricBase


def remake(metric: MetricBase, value: str) -> int:
    """The address of a new series, which is removed at once."""
    address = child(metric, value)._address
    metric._family.remove((value,))
    return address


def test_records_are_apart_and_zero() -> None:
    """Every series has a cell of its own that begins at zero, also where records differ in size."""
    metric = counter("l")
    for length in (0, 1, 7, 8, 9, 430, 440, 450, 500, 1000, 70_000):
        child(metric, "v" * length).inc(length + 1)
    assert counted(metric) == {("v" * n,): n + 1.0 for n in (0, 1, 7, 8, 9, 430, 440, 450, 500, 1000, 70_000)}


@pytest.mark.compiled
@pytest.mark.parametrize("length", [1, 500, 5000])
def test_removed_record_is_used_again(length: int) -> None:
    """A record whose series was removed, and whose child is gone, serves the next series of its size, at zero."""
    metric = counter("l")
    child(metric, "a" * length).inc(5)
    address = child(metric, "a" * length)._address
    metric._family.remove(("a" * length,))
    again = child(metric, "b" * length)
    assert again._address == address
    assert counted(metric) == {("b" * length,): 0.0}


@pytest.mark.compiled
def test_churn_needs_no_more_memory() -> None:
    """Making and removing series for ever takes as many records as there were series at once."""
    metric = counter("l")
    assert len({remake(metric, f"{number:06}") for number in range(50_000)}) == 1


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
    """As long as any snapshot of the arena exists, records that were given back wait; the last one frees them."""
    arena = Arena()
    metric, other = counter("l", arena=arena), counter("l", arena=arena)
    child(metric, "a")
    first, second = Snapshot(metric._family), Snapshot(other._family)
    address = remake(metric, "a")
    assert remake(other, "b") != address
    del first
    assert remake(other, "c") != address
    del second
    assert address in {child(other, value)._address for value in "defg"}


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
def test_nothing_from_before_a_fork_is_used_again() -> None:
    """After a fork, neither process hands out the records that both know; each goes on with records of its own."""
    metric = counter("l")
    shared = {child(metric, f"{number}")._address for number in range(100)}
    free = remake(metric, "100")

    def work() -> None:
        metric._family.remove_where(None)
        made = [child(metric, f"{number}")._address for number in range(200, 300)]
        assert shared.union([free]).isdisjoint(made)
        assert len({remake(metric, f"{number}") for number in range(300, 400)}) == 1

    forked = Forked(work)
    work()
    forked.join()


@pytest.mark.compiled
def test_both_processes_make_series_after_a_fork() -> None:
    """Series that parent and child make at the same time have cells of their own, although they share the arena."""
    metric = counter("l")
    child(metric, "before")

    def work(mark: str) -> None:
        for number in range(3000):
            child(metric, f"{mark}{number}").inc(number)
        shown = {**counted(metric)}
        del shown[("before",)]
        assert shown == {(f"{mark}{number}",): number for number in range(3000)}

    forked = Forked(lambda: work("child"))
    work("parent")
    forked.join()


@pytest.mark.compiled
def test_snapshot_held_over_a_fork() -> None:
    """A page that was being written when the process forked keeps the child from using records again no longer."""
    metric = counter("l")
    child(metric, "a")
    snapshot = Snapshot(metric._family)

    def work() -> None:
        assert len({remake(metric, f"{number:06}") for number in range(1000)}) == 1
        assert [text for _, text, _ in snapshot.records()] == [b'l="a"']

    Forked(work).join()
    work()


@pytest.mark.compiled
def test_full_arena() -> None:
    """Where the address space of an arena is used up, new series go to the overflow child and all others count on."""
    code = """
import logging, resource
logging.disable()
from pyrometer import CollectorRegistry, Counter, generate_latest
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (48 << 20), -1))
registry = CollectorRegistry()
metric = Counter("c", "", ["l"], registry=registry)
made = 0
try:
    while True:
        child = metric.labels(f"{made:01000000}")
        child.inc()
        made += 1
        if child._labelvalues == ("__overflow__",):
            break
except MemoryError:
    print("no memory for the overflow child")
for letter in "abc":
    assert metric.labels(letter * 1000000) is child
metric.labels(f"{0:01000000}").inc()
print(made > 10, metric.labels(f"{0:01000000}")._read(), metric.labels("small")._read())
"""
    assert run(code) == "True 2.0 0.0\n"


def test_page_of_an_empty_family() -> None:
    """A family without series has no lines."""
    assert page_of(counter("l")) == ""


@pytest.mark.compiled
def test_family_gives_its_records_back() -> None:
    """A family that is gone, with labels or without, leaves its records to the families that stay in its arena."""
    arena = Arena()
    staying = counter("l", arena=arena)

    def come_and_go() -> set[int]:
        metric, plain = counter("l", arena=arena), counter(arena=arena)
        plain.inc()
        return {plain._address, *(child(metric, f"{number}")._address for number in range(100))}

    used = come_and_go()
    gc.collect()
    for _ in range(10):
        used |= come_and_go()
        gc.collect()
    assert len(used) == 101
    assert child(staying, "a")._read() == 0
