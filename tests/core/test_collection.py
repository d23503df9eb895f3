"""What the garbage collector finds, and what it gives back; and the end of the interpreter."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path

import pytest
from core.engine import COMPILED, child, counter, run

from pyrometer import CollectorRegistry, Counter, Gauge, Histogram, Info, generate_latest


def arenas() -> int:
    """How many arenas this process has mapped."""
    gc.collect()
    return Path("/proc/self/maps").read_text().count("/dev/zero (deleted)")


def use(registry: CollectorRegistry | None) -> Counter:
    """Everything that a registry's memory may be held by: callbacks that refer to metrics, exemplars, texts, pages."""
    plain = Counter("plain", "", registry=registry)
    plain.inc(exemplar={"trace": "a"})
    labelled = Counter("labelled", "", ["l"], registry=registry, max_series=3)
    for number in range(10):
        labelled.labels(f"{number}").inc()
    level = Gauge("level", "", ["l"], registry=registry)
    level.set_function(lambda: {"a": labelled.labels("1")._read(), "b": 2})
    single = Gauge("single", "", registry=registry)
    single.set_function(lambda: plain._read() + single._created_at())
    Histogram("spread", "", registry=registry).observe(1)
    Info("info", "", registry=registry).info({"a": "b"})
    if registry is not None:
        generate_latest(registry)
        labelled.remove("1")
        generate_latest(registry)
    return labelled


def test_registry_is_collected() -> None:
    """A registry whose metrics have callbacks that refer to metrics is collected when nobody holds it."""
    registry = CollectorRegistry()
    use(registry)
    gone = weakref.ref(registry)
    del registry
    gc.collect()
    assert gone() is None


@pytest.mark.compiled
@pytest.mark.parametrize("registered", [True, False])
def test_memory_is_given_back(registered: bool) -> None:
    """Registries give back their memory when they are collected; metrics without one have one memory for all."""
    use(None)
    before = arenas()
    for _ in range(20):
        use(CollectorRegistry() if registered else None)
    assert arenas() <= before


@pytest.mark.compiled
def test_thousands_of_registries() -> None:
    """A program may make and drop registries for ever: neither mappings nor resident memory grow."""
    code = """
import gc, resource
from pyrometer import CollectorRegistry, Counter
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize() >> 10
def make(number):
    for _ in range(number):
        registry = CollectorRegistry()
        metric = Counter("c", "", ["l"], registry=registry)
        for value in range(100):
            metric.labels(str(value)).inc()
make(300)
gc.collect()
before = resident()
make(3000)
gc.collect()
print(resident() - before < 4000)
"""
    assert run(code) == "True\n"


def test_child_outlives_its_registry() -> None:
    """A child that is still held counts on when its registry and its family were dropped and collected."""
    held = use(CollectorRegistry()).labels("2")
    gc.collect()
    assert held._read() == 1
    held.inc()
    assert held._read() == 2 and held._labelvalues == ("2",)


def test_garbage_that_holds_everything() -> None:
    """Families, children, removed children, snapshots and pages in a cycle are collected, in whatever order."""
    code = """
import gc
from itertools import permutations
from pyrometer import CollectorRegistry, Counter
from pyrometer._core.render_cy import VALUE, Page
from pyrometer._core.snapshot_cy import Snapshot
def make(order):
    registry = CollectorRegistry()
    metric = Counter("c", "", ["l"], registry=registry)
    child, removed = metric.labels("a"), metric.labels("b")
    metric.remove("b")
    snapshot = Snapshot(metric._family)
    page = Page()
    page.rows(snapshot, [(b"", b"", b"", VALUE, 0)])
    things = [registry, metric, child, removed, snapshot, page, registry._arena, metric._family]
    cycle = [things[place] for place in order]
    cycle.append(cycle)
gc.disable()
for order in permutations(range(6)):
    make([*order, 6, 7])
    make([7, 6, *order[:3]])
    if order[0] == order[1] - 1:
        gc.collect()
gc.collect()
def snapshots():
    for number in range(100):
        metric = Counter("c", "", registry=None)
        snapshot = Snapshot(metric._family)
        cycle = [snapshot]
        cycle.append(cycle)
snapshots()
gc.collect()
print("collected")
"""
    assert run(code) == "collected\n"


def test_resurrection() -> None:
    """A finalizer may save the child of a removed series: it counts on, and its cell stays its own."""
    saved: list[Counter] = []

    class Saved(Counter):
        def __del__(self) -> None:  # type: ignore[override]
            if self._removed and not saved:
                saved.append(self)

    metric = Saved("saved", "", ["l"], registry=None)
    metric.labels("a").inc(5)
    metric.remove("a")
    gc.collect()
    fresh = metric.labels("b")
    (old,) = saved
    old.inc(5)
    assert old._read() == 10 and fresh._read() == 0
    saved.append(saved.pop())
    del old
    saved[0] = fresh
    assert [metric.labels(value)._read() for value in "bcd"] == [0, 0, 0]


def test_subclass_with_attributes() -> None:
    """A subclass may have attributes and a weak reference; its children are of its class."""

    class Named(Counter):
        pass

    metric = Named("named", "", ["l"], registry=None)
    metric.purpose = "test"  # type: ignore[attr-defined]
    series = metric.labels("a")
    series.itself = series  # type: ignore[attr-defined]
    gone = weakref.ref(series)
    assert isinstance(series, Named)
    metric.remove("a")
    del series
    gc.collect()
    assert gone() is None
    assert metric.labels("b")._read() == 0


def test_exemplar_of_a_removed_series() -> None:
    """What a stale child is told (an exemplar, a text, a callback) never shows up on a later series."""
    registry = CollectorRegistry()
    metric = Counter("c", "", ["l"], registry=registry)
    text = Info("i", "", ["l"], registry=registry)
    stale, stale_text = metric.labels("a"), text.labels("a")
    metric.remove("a")
    text.remove("a")
    stale.inc(exemplar={"trace": "old"})
    stale.set_function(lambda: 99)
    stale_text.info({"version": "old"})
    del stale, stale_text
    gc.collect()
    metric.labels("b").inc()
    text.labels("b")
    samples = [sample for family in registry.collect() for sample in family.samples]
    shown = {sample.name: sample for sample in samples}
    assert shown["c_total"].exemplar is None and shown["c_total"].value == 1
    assert shown["i_info"].labels == {"l": "b"}


@pytest.mark.parametrize("interpreted", [True, False] if COMPILED else [True])
def test_end_of_the_interpreter(interpreted: bool) -> None:
    """A program that ends with metrics in globals, in cycles and in daemon threads ends well and says nothing."""
    code = """
import sys, threading, time
import pyrometer
from pyrometer import REGISTRY, CollectorRegistry, Counter, Gauge, generate_latest
from pyrometer._core.snapshot_cy import Snapshot
view = Counter("view", "", ["l"])
for number in range(1000):
    view.labels(str(number)).inc()
stale = view.labels("7")
view.remove("7")
snapshot = Snapshot(view._family)
other = CollectorRegistry()
level = Gauge("level", "", registry=other)
level.set_function(lambda: len(generate_latest(REGISTRY)))
sys.modules["kept"] = [stale, snapshot, other, level]
class Last:
    def __del__(self, labels=view.labels):
        labels("last").inc()
last = Last()
last.itself = last
started = threading.Event()
def count():
    while True:
        view.labels("a").inc()
        view.remove("a")
        started.set()
threading.Thread(target=count, daemon=True).start()
started.wait()
print(len(generate_latest()) > 1000)
"""
    assert run(code, interpreted=interpreted) == "True\n"


def test_collector_runs_in_the_middle(often: None) -> None:
    """Removed children that are part of garbage are given back whenever the collector comes."""
    metric = counter("l")
    for number in range(3000):
        series = child(metric, f"{number}")
        garbage: list[object] = [series]
        garbage.append(garbage)
        metric._family.remove((f"{number}",))
    gc.collect()
    assert child(metric, "a")._read() == 0
