"""Processes forked from one another: they count in the same cells, and none hangs or breaks the others."""

from __future__ import annotations

import gc
import threading

import pytest
from core.engine import Forked, calm, child, counted, counter, gauge, histogram, page_of

from pyrometer import Counter

TURNS = 50_000


@pytest.mark.compiled
def test_processes_lose_nothing() -> None:
    """Four processes and their parent, counting in the same series at the same time, are exact to the last count."""
    metric, level, spread = counter("l"), gauge(), histogram("l")
    child(metric, "a")
    spread.labels("a")

    def work() -> None:
        for _ in range(TURNS):
            child(metric, "a").inc()
            level.inc(2)
            level.dec(1)
            spread.labels("a").observe(1)  # type: ignore[attr-defined]

    processes = [Forked(work) for _ in range(4)]
    work()
    for process in processes:
        process.join()
    assert counted(metric) == {("a",): 5 * TURNS}
    assert level._read() == 5 * TURNS
    assert [spread.labels("a")._read(place) for place in (0, 1)] == [5 * TURNS, 5 * TURNS]


@pytest.mark.compiled
def test_grandchildren() -> None:
    """A process forked from a forked one counts in the same cells, too."""
    metric = counter()

    def work() -> None:
        metric.inc()
        grandchild = Forked(lambda: metric.inc(10))
        grandchild.join()

    Forked(work).join()
    assert metric._read() == 11


@pytest.mark.interpreted
def test_each_goes_on_by_itself() -> None:
    """After a fork either process makes and removes series without the other seeing it, and its pages are whole."""
    metric = counter("l")
    child(metric, "a").inc()
    child(metric, "b").inc()

    def work() -> None:
        metric._family.remove(("a",))
        child(metric, "c").inc()
        assert list(counted(metric)) == [("b",), ("c",)]
        metric._family.remove_where(None)
        assert page_of(metric) == ""

    Forked(work).join()
    assert counted(metric) == {("a",): 1.0, ("b",): 1.0}
    assert page_of(metric) == 'c_total{l="a"} 1\nc_total{l="b"} 1\n'
    metric._family.remove(("b",))
    assert metric.labels("b")._read() == 0


@pytest.mark.compiled
def test_either_sees_what_the_other_did() -> None:
    """After a fork parent and child have the series that either makes, and neither those that one removed."""
    metric = counter("l")
    child(metric, "a").inc()
    child(metric, "b").inc()

    def work() -> None:
        metric._family.remove(("a",))
        child(metric, "b").inc()
        child(metric, "c").inc()
        assert page_of(metric) == 'c_total{l="b"} 2\nc_total{l="c"} 1\n'

    Forked(work).join()
    assert page_of(metric) == 'c_total{l="b"} 2\nc_total{l="c"} 1\n'
    child(metric, "c").inc()
    assert child(metric, "a")._read() == 0
    assert counted(metric) == {("b",): 2.0, ("c",): 2.0, ("a",): 0.0}


@pytest.mark.compiled
def test_metric_of_no_registry_over_a_fork() -> None:
    """A metric of no registry never shows a series of another, whatever a fork's child removed of it."""
    mine = Counter("mine", "", ["l"], registry=None)
    other = Counter("other", "", ["l"], registry=None)
    held = mine.labels("a")
    Forked(lambda: mine.remove("a")).join()
    calm()
    for number in range(500):
        other.labels(f"{number:03}").inc(7)
        if number < 400:
            other.remove(f"{number:03}")
    held.inc()
    shown = {sample.labels["l"] for family in mine.collect() for sample in family.samples}
    assert shown <= {"a"}
    assert {sample.value for sample in other.collect()[0].samples if sample.name == "other_total"} == {7.0}


@pytest.mark.compiled
def test_metric_dropped_in_a_fork() -> None:
    """A metric of no registry that a fork's child drops and collects counts on, unharmed, in its parent."""
    kept = [Counter("mine", "", ["l"], registry=None)]
    kept[0].labels("a").inc()

    def drop() -> None:
        kept.clear()
        gc.collect()

    Forked(drop).join()
    calm()
    other = Counter("other", "", ["l"], registry=None)
    for number in range(500):
        other.labels(f"{number:03}").inc(7)
        if number < 400:
            other.remove(f"{number:03}")
    kept[0].labels("a").inc()
    assert {sample.labels["l"] for sample in kept[0].collect()[0].samples} == {"a"}
    assert {sample.value for sample in other.collect()[0].samples if sample.name == "other_total"} == {7.0}
    assert kept[0].labels("a")._read() == 2


@pytest.mark.compiled
def test_hiding_in_two_processes() -> None:
    """A series that each of two processes hides and shows in turn is hidden in the one that hid it last."""
    metric = counter("l")
    series = child(metric, "a")

    def hide() -> None:
        metric._family.hide(series, True)
        assert page_of(metric) == ""

    Forked(hide).join()
    metric._family.hide(series, False)
    assert page_of(metric) != ""
    metric._family.hide(series, True)
    assert page_of(metric) == ""


@pytest.mark.gil  # without the lock, a fork can leave shut what guards a plain dict
def test_fork_while_threads_make_series() -> None:
    """A process forked while other threads make, count in, remove and show series can do all of that."""
    metric = counter("l")
    ended = threading.Event()

    def work(mark: str) -> None:
        turn = 0
        while not ended.is_set():
            child(metric, f"{mark}{turn % 300}").inc()
            metric._family.remove((f"{mark}{(turn + 150) % 300}",))
            if turn % 50 == 0:
                page_of(metric)
            turn += 1

    def forked() -> None:
        for number in range(200):
            child(metric, f"forked{number}").inc()
        page = page_of(metric)
        lines = [line.partition(" ")[0] for line in page.splitlines()]
        assert len(lines) == len(set(lines)) and page.count("forked") == 200
        metric._family.remove_where(lambda values: values[0].startswith("forked"))
        assert "forked" not in page_of(metric)

    threads = [threading.Thread(target=work, args=(mark,)) for mark in "xy"]
    for thread in threads:
        thread.start()
    try:
        for _ in range(60):
            Forked(forked).join()
    finally:
        ended.set()
        for thread in threads:
            thread.join()
