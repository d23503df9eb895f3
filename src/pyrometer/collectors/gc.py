"""What Python's cyclic garbage collector has done."""

from __future__ import annotations

import gc
import sys

from pyrometer.collectors._registration import DEFAULT, register
from pyrometer.families import CounterMetricFamily

TYPE_CHECKING = False
if TYPE_CHECKING:
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


class GCCollector:
    """Three counters by `generation`: `python_gc_objects_collected_total`, `..._uncollectable_total`,
    `python_gc_collections_total`, from `gc.get_stats()` of this process.

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
        for generation, statistics in enumerate(gc.get_stats()):
            for key, family in families.items():
                family.add_metric([str(generation)], statistics[key])
        return list(families.values())


def _has_statistics() -> bool:
    return sys.implementation.name == "cpython" and hasattr(gc, "get_stats")


def _families() -> dict[str, CounterMetricFamily]:
    return {
        key: CounterMetricFamily(name, documentation, labels=["generation"])
        for key, (name, documentation) in _FAMILIES.items()
    }
