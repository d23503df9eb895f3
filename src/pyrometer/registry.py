"""Registries: which collectors a page shows."""

from __future__ import annotations

import os

from pyrometer._core.arena_cy import Arena
from pyrometer._core.children_cy import CounterBase
from pyrometer._core.family_cy import Family
from pyrometer._core.lock import ForkSafeLock
from pyrometer._holdings import Holdings
from pyrometer._kinds import COUNTER_LINES, cells_of, family_of, series_names
from pyrometer._names import UNDERSCORES, checked_labels, escape_metric_name
from pyrometer._policy import Policy

# `typing` alone costs 8 ms to import, a good part of what the whole package may take.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any, Protocol

    from pyrometer._flight import Flight
    from pyrometer._scrape import Item, Scrape
    from pyrometer.families import Metric

    class Collector(Protocol):
        """What a registry takes: `collect()` gives families, as an iterable, a coroutine or an async generator."""

        def collect(self) -> Any:
            """The families, with their samples."""

else:

    class Collector:
        """What a registry takes; a base for whoever wants one. `collect()` gives families, as an iterable, a coroutine
        or an async generator."""

        def collect(self):
            """The families, with their samples."""
            raise NotImplementedError(f"{type(self).__qualname__} has no collect()")


_ERRORS = "pyrometer_scrape_errors"
_OVERFLOWS = "pyrometer_series_overflow"
_OWN_SERIES = [name for own in (_ERRORS, _OVERFLOWS) for name in series_names(own, "counter")]


class DuplicateTimeseries(ValueError):
    """Two collectors of a registry would expose series of the same name; `duplicates` has the names."""

    def __init__(self, message: str, duplicates: set[str]) -> None:
        super().__init__(message)
        self.duplicates = duplicates


class CollectorRegistry:
    """The collectors whose families a page shows, in the order of their registration.

    name: registries of one name are one registry for all processes of the program; one without a name belongs to its
        process and those forked from it.
    target_info: labels of the `target_info` series, which describes the program as a whole; None for no such series.
    policy: the manner of the registry, see `Policy`.
    auto_describe, support_collectors_without_names: taken for the sake of `prometheus_client` and without effect:
        `collect()` never runs at registration, and a restricted registry asks collectors that do not describe
        themselves.

    The cells of its families lie in one arena, shared with the processes forked from this one. Safe from any thread.
    """

    def __init__(
        self,
        auto_describe: bool = False,
        target_info: dict[str, str] | None = None,
        support_collectors_without_names: bool = False,
        *,
        name: str = "",
        policy: Policy | None = None,
    ) -> None:
        if not isinstance(name, str):
            raise TypeError(f"registry: name must be a str, got {name!r}")
        if policy is not None and not isinstance(policy, Policy):
            raise TypeError(f"registry: policy must be a Policy or None, got {policy!r}")
        self.policy = Policy() if policy is None else policy
        self.name = name
        self._holdings = Holdings(name)
        self._lock = ForkSafeLock()
        self._collector_to_names: dict[Collector, list[str]] = {}
        self.itself = _Own()
        self._described = _TargetInfo(self)
        self._names_to_collectors: dict[str, Collector] = dict.fromkeys(_OWN_SERIES, self.itself)
        self._flights: dict[Collector, Flight] = {}
        self._own: dict[str, CounterBase] = {}
        self._failing: set[str] = set()
        self._overflowing: set[str] = set()
        self.default_collectors: dict[str, Collector] = {}
        """Those the registry started with, by name: "gc", "platform", "process"; unregister() takes one out."""
        self._target_info: dict[str, str] | None = None
        self.set_target_info(target_info)

    @property
    def _arena(self) -> Arena:
        return self._holdings.arena

    # ---- registration

    def register(self, collector: Collector) -> None:
        """Add a collector; adding it again changes nothing.

        Its `describe()`, where it has one, tells which names it will expose; `collect()` is not called. TypeError for
        what has no `collect`, DuplicateTimeseries for names that another collector of this registry has.
        """
        if not callable(getattr(collector, "collect", None)) or isinstance(collector, type):
            raise TypeError(f"registry: expected a collector, an object with collect(), got {collector!r}")
        if isinstance(collector, CollectorRegistry) and self in collector._with_inner():
            raise ValueError("registry: a registry cannot be registered in itself")
        names = _described_names(collector)
        with self._lock:
            if collector in self._collector_to_names:
                return
            taken = {name for name in names if _key(name) in self._names_to_collectors}
            if taken:
                other = self._names_to_collectors[_key(min(taken))]
                raise DuplicateTimeseries(
                    f"{describe(collector)}: the registry already has {', '.join(sorted(taken))} "
                    f"from {describe(other)}",
                    taken,
                )
            for name in names:
                self._names_to_collectors[_key(name)] = collector
            self._collector_to_names[collector] = names
            family = family_of(collector)
            if family is not None and not family.enrolled:
                self._holdings.take_in(family)
            elif family is None and self.name and not isinstance(collector, CollectorRegistry):
                if collector not in self.default_collectors.values():  # which every process has
                    self._holdings.tell_of(collector)

    def unregister(self, collector: Collector) -> None:
        """Take a collector out; KeyError if the registry does not have it."""
        with self._lock:
            if collector not in self._collector_to_names:
                raise KeyError(f"registry: {describe(collector)} is not registered here")
            for name in self._collector_to_names.pop(collector):
                self._names_to_collectors.pop(_key(name), None)
            self._flights.pop(collector, None)
            self._holdings.let_go(collector, family_of(collector))

    def restricted_registry(self, names: Iterable[str]) -> RestrictedRegistry:
        """A view of the registry that has the series of these names alone (`view_total`, not the family's `view`)."""
        return RestrictedRegistry(names, self)

    def set_target_info(self, labels: dict[str, str] | None) -> None:
        """Set the labels of `target_info`; None or an empty dict leaves the series out.

        TypeError for what is no mapping of str to str, ValueError for bad label names.
        """
        labels = _checked_target_info(labels)
        with self._lock:
            if labels and not self._target_info and "target_info" in self._names_to_collectors:
                raise ValueError(
                    f"target_info: the registry already has it from "
                    f"{describe(self._names_to_collectors['target_info'])}"
                )
            if labels:
                self._names_to_collectors["target_info"] = self._described
            elif self._target_info:
                self._names_to_collectors.pop("target_info", None)
            self._target_info = labels
            if self.name and labels:
                self._holdings.tell_of(self._described)

    def get_target_info(self) -> dict[str, str] | None:
        """The labels of `target_info`."""
        return self._target_info and dict(self._target_info)

    def _find(self, name: str) -> Collector | None:
        """The collector that has this name, if any."""
        return self._names_to_collectors.get(_key(name))

    def _other_with(self, written: list[str], collector: Collector | None) -> Collector | None:
        """The collector other than this one that has one of these names, as pages write them."""
        with self._lock:
            owners = [self._names_to_collectors.get(name) for name in written]
        return next((owner for owner in owners if owner is not None and owner is not collector), None)

    def _has(self, collector: Collector) -> bool:
        return collector in self._collector_to_names

    def _with_inner(self) -> list[CollectorRegistry]:
        """This registry and those registered in it."""
        with self._lock:
            inner = [each for each in self._collector_to_names if isinstance(each, CollectorRegistry)]
        return [self, *(registry for each in inner for registry in each._with_inner())]

    # ---- reading

    def collect(self) -> Iterator[Metric]:
        """The families with their samples, as the words of a collector; runs callbacks and collectors."""
        yield from _collect(self._scrape(None))

    def get_sample_value(self, name: str, labels: Mapping[str, str] | None = None) -> float | None:
        """The value of a series by its full name and labels; None without it. Meant for tests: it reads everything."""
        wanted = {} if labels is None else dict(labels)
        for metric in self.collect():
            for sample in metric.samples:
                if sample.name == name and sample.labels == wanted:
                    return sample.value
        return None

    # ---- what a scrape asks

    def _scrape(self, names: frozenset[str] | None) -> Scrape:
        from pyrometer._scrape import Scrape

        return Scrape(self, names)

    def _collectors_for(self, names: frozenset[str] | None) -> list[Any]:
        """The collectors that may have series of these names, in order; target_info first."""
        with self._lock:
            chosen: list[Any] = []
            for collector, own in self._collector_to_names.items():
                if isinstance(collector, CollectorRegistry):  # its cells are read with ours, not before
                    chosen += collector._collectors_for(names)
                elif names is None or not own or not names.isdisjoint(own):
                    chosen.append(collector)
            if self._target_info and (names is None or "target_info" in names):
                chosen.insert(0, self._names_to_collectors["target_info"])
            return list(dict.fromkeys(chosen))

    def _flights_of(self, collector: Any) -> list[Flight]:
        """What has to be run before this collector can be read."""
        if cells_of(collector) is not None:
            return list(collector._flights())
        with self._lock:
            flight = self._flights.get(collector)
            if flight is None:
                from pyrometer._flight import Flight

                flight = self._flights[collector] = Flight(type(collector).__qualname__, collector.collect, _families)
            return [flight]

    def _count_error(self, label: str, error: Exception) -> None:
        """Count a failure of a collector; the log has the first of a kind."""
        self._count(_ERRORS, "Failures of collectors and callbacks", "collector", label)
        if label not in self._failing:
            self._failing.add(label)
            import logging

            logging.getLogger("pyrometer").warning(
                "%s failed: its series are left out of the page, and further failures are counted only",
                label,
                exc_info=error,
            )

    def _count_overflow(self, family: Family, values: tuple[str, ...]) -> None:
        """Count a label set past a family's cap; the log has the first of a family."""
        self._count(_OVERFLOWS, "Label sets past max_series", "family", family.name)
        if family.name not in self._overflowing:
            self._overflowing.add(family.name)
            import logging

            full = family.max_series is None or family.table.live < family.max_series
            logging.getLogger("pyrometer").warning(
                '%s "%s" has %d series, all that %s: %s and further label sets are %s',
                family.kind,
                family.name,
                family.table.live,
                "there is memory for" if full else "max_series allows",
                {name: value[:80] for name, value in zip(family.labelnames, values)},
                'counted as "__overflow__"' if family.kind in ("counter", "summary", "histogram") else "not exposed",
            )

    def _count(self, name: str, documentation: str, labelname: str, value: str) -> None:
        with self._lock:
            if name not in self._own:
                family = Family(self._arena, "counter", name, documentation, "", (labelname,), COUNTER_LINES, 1)
                self._holdings.enroll(family)
                counter = self._own[name] = CounterBase()
                counter._attach(family, False)
        self._own[name].labels(value).inc()  # type: ignore[attr-defined]

    def _own_families(self) -> list[Family]:
        own = [counter._family for counter in list(self._own.values())]
        theirs = [family for family in self._holdings.strangers() if family.name in (_ERRORS, _OVERFLOWS)]
        return own + [family for family in theirs if family.name not in self._own]

    # ---- what other processes have

    def _refresh(self) -> None:
        for registry in self._with_inner():
            if not registry._holdings.is_empty:
                registry._holdings.refresh()

    def _strangers(self) -> list[Family]:
        """The families of pages that only other processes have defined."""
        found = [family for registry in self._with_inner() for family in registry._holdings.strangers()]
        return [family for family in found if family.name not in (_ERRORS, _OVERFLOWS)]

    def _results_of_others(self) -> list[tuple[str, Metric]]:
        """(label, family) of what collectors gave that only other processes have."""
        return [result for registry in self._with_inner() for result in registry._holdings.results()]


class RestrictedRegistry:
    """A view of a registry that has the series of some names alone."""

    def __init__(self, names: Iterable[str], registry: CollectorRegistry) -> None:
        self._name_set = frozenset(names)
        self._registry = registry

    @property
    def policy(self) -> Policy:
        """The policy of the registry."""
        return self._registry.policy

    def collect(self) -> Iterator[Metric]:
        """As `CollectorRegistry.collect`, with the chosen series alone."""
        yield from _collect(self._scrape(None))

    def restricted_registry(self, names: Iterable[str]) -> RestrictedRegistry:
        """A narrower view."""
        return RestrictedRegistry(self._name_set.intersection(names), self._registry)

    def _scrape(self, _names: frozenset[str] | None) -> Scrape:
        return self._registry._scrape(self._name_set)


class _Own:
    """Stands in a registry's names for what it counts about itself."""

    def collect(self) -> list[Metric]:
        return []


class _TargetInfo:
    """The collector of `target_info`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> list[Metric]:
        from pyrometer.families import Metric

        metric = Metric("target", "Target metadata", "info")
        metric.add_sample("target_info", dict(self._registry._target_info or {}), 1)
        return [metric]


def _collect(scrape: Scrape) -> Iterator[Metric]:
    from pyrometer._scrape import metrics_of

    items: list[Item] = scrape.run()
    yield from metrics_of(items, scrape.names, created_series=scrape.policy.created_series)
    yield from metrics_of(scrape.own_items(), scrape.names, created_series=scrape.policy.created_series)


def _checked_target_info(labels: Any) -> dict[str, str] | None:
    if labels is None:
        return None
    if not hasattr(labels, "items"):
        raise TypeError(f"target_info: expected a mapping of label names to text, got {labels!r}")
    return checked_labels("target_info", labels)


def _families(collected: Any) -> list[Metric]:
    """What a collector gave, as a list of families; TypeError for anything else."""
    from pyrometer.families import METRIC_TYPES

    try:
        families = list(collected)
    except TypeError:
        raise TypeError(f"a collector must give metric families, got {collected!r:.200}") from None
    for family in families:
        if not isinstance(getattr(family, "name", None), str) or not hasattr(family, "samples"):
            raise TypeError(f"a collector must give metric families, got {type(family).__name__}: {family!r:.200}")
        if getattr(family, "type", None) not in METRIC_TYPES:
            raise ValueError(f'"{family.name}": type must be one of {", ".join(METRIC_TYPES)}, got {family!r:.200}')
    return families


def _described_names(collector: Any) -> list[str]:
    """The names a collector says it will expose; none where it does not say."""
    family = family_of(collector)
    if family is not None:
        return series_names(family.name, family.kind)
    describe = getattr(collector, "describe", None)
    if describe is None:
        return []
    return [name for metric in _families(describe()) for name in series_names(metric.name, metric.type)]


def _key(name: str) -> str:
    """Names that a page would write alike are the same name."""
    return escape_metric_name(name, UNDERSCORES)


def describe(collector: Any) -> str:
    family = family_of(collector)
    if family is not None:
        return f'{family.kind} "{family.name}" ({family.definition.place})'
    return "the registry itself" if isinstance(collector, _Own) else f"collector {type(collector).__qualname__}"


REGISTRY = CollectorRegistry(name="default")
"""The registry that metrics join unless told otherwise; it starts with the process, platform and gc collectors."""


def _register_defaults(registry: CollectorRegistry, wanted: str) -> None:
    """Register the default collectors named in a comma-separated list ("off" or "" for none)."""
    from pyrometer import collectors
    from pyrometer.collectors import _registration

    _registration.default_registry = registry
    makers = {
        "gc": collectors.GCCollector,
        "platform": collectors.PlatformCollector,
        "process": collectors.ProcessCollector,
    }
    names = [name.strip() for name in wanted.split(",") if name.strip() not in ("", "off", "none")]
    for name in names:
        if name not in makers:
            raise ValueError(f"PYROMETER_COLLECTORS: expected {', '.join(makers)} or off, got {name!r}")
    for name, maker in makers.items():
        if name in names:
            collector = registry.default_collectors[name] = maker(registry=None)
            registry.register(collector)


_register_defaults(REGISTRY, os.environ.get("PYROMETER_COLLECTORS", "gc,platform,process"))
