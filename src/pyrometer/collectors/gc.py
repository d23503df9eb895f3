"""What Python's cyclic garbage collector has done."""

from __future__ import annotations

import gc
import os
import sys

from pyrometer._core.layout import GC_FIRST
from pyrometer.collectors import _workers
from pyrometer.collectors._registration import DEFAULT, register
from pyrometer.families import CounterMetricFamily

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrometer.collectors._workers import SharedArena
    from pyrometer.families import Metric
    from pyrometer.registry import CollectorRegistry

_FAMILIES = {
    "collected": ("python_gc_objects_collected", "Objects that the garbage collector has freed."),
    "uncollectable": (
        "python_gc_objects_uncollectable",
        "Objects found to be garbage that could not be freed.",
    ),
    "collections": ("python_gc_collections", "Runs of the garbage collector."),
}

_SHARED_GENERATIONS = 3
"""An arena has values for so many; of more, each process has its own alone."""


class GCCollector:
    """Three counters by `generation`: `python_gc_objects_collected_total`, `..._uncollectable_total`,
    `python_gc_collections_total`, from `gc.get_stats()`.

    They count for all processes of the program together, those that have ended included: this process as it is now,
    each other one as it was when it ended, or when it was asked last. Where processes share nothing, they are this
    process's.

    Interpreters other than CPython have no such statistics: there it registers nowhere and gives no metrics.
    """

    def __init__(self, registry: CollectorRegistry | None = DEFAULT) -> None:
        """Raises TypeError for a registry that is none, and what `registry.register` raises."""
        if _has_statistics():
            register(self, registry)

    def describe(self) -> list[Metric]:
        """The families that `collect()` can give, without samples."""
        return list(_families().values()) if _has_statistics() else []

    def collect(self) -> list[Metric]:
        """The families, each with one sample for a generation."""
        if not _has_statistics():
            return []
        families = _families()
        arena = _workers.shared_arena()
        for generation, statistics in enumerate(gc.get_stats() if arena is None else _totals(arena)):
            for key, family in families.items():
                family.add_metric([str(generation)], statistics[key])
        return list(families.values())


class _Inherited:
    """What a process has of the statistics from the one that it was forked from, which counts it already."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.seen = gc.get_stats()
        self.statistics = [dict.fromkeys(generation, 0) for generation in self.seen]

    def after_fork(self) -> None:
        self.pid = os.getpid()
        self.statistics = gc.get_stats()

    def own(self) -> list[dict[str, int]]:
        """The statistics of this process since it began."""
        if self.pid != os.getpid():  # forked by what runs no hooks of Python's; what it saw last is known at least
            self.pid = os.getpid()
            self.statistics = self.seen
        self.seen = gc.get_stats()
        return [
            {key: value - before[key] for key, value in now.items()}
            for now, before in zip(self.seen, self.statistics, strict=True)
        ]


def _keep(arena: SharedArena) -> None:
    for generation, statistics in enumerate(_inherited.own()[:_SHARED_GENERATIONS]):
        for place, key in enumerate(_FAMILIES):
            arena.keep(_index(generation, place), statistics[key])


def _totals(arena: SharedArena) -> list[dict[str, int]]:
    """Statistics like `gc.get_stats()`, of all processes of the program."""
    _keep(arena)
    totals = gc.get_stats()
    for generation, statistics in enumerate(totals[:_SHARED_GENERATIONS]):
        for place, key in enumerate(_FAMILIES):
            statistics[key] = int(arena.total(_index(generation, place)))
    return totals


def _index(generation: int, place: int) -> int:
    return GC_FIRST + len(_FAMILIES) * generation + place


def _has_statistics() -> bool:
    return sys.implementation.name == "cpython" and hasattr(gc, "get_stats")


def _families() -> dict[str, CounterMetricFamily]:
    return {
        key: CounterMetricFamily(name, documentation, labels=["generation"])
        for key, (name, documentation) in _FAMILIES.items()
    }


if _has_statistics():
    _inherited = _Inherited()
    _workers.at_exit(_keep)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_inherited.after_fork)
