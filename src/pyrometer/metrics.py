"""The metrics a program constructs: Counter, Gauge, Summary, Histogram, Info, Enum.

Each object is a family without labels, which counts; or a family with labels, whose `labels()` gives the children that
count; or such a child. Values are float64 cells in shared memory: any thread may change them, none of their updates is
lost, and processes forked after a series was made count in the same cell.

Common to all constructors:

name, documentation: of the family; a counter's series are called `name_total`, whether the name says so or not.
labelnames: the labels that every series of the family has.
namespace, subsystem, unit: `namespace_subsystem_name_unit` is the full name.
registry: where it is exposed, `REGISTRY` unless told otherwise; None for nowhere.
max_series: how many label sets the family may have, None for any number. Past it, counters, summaries and histograms
    count in one child whose label values are `__overflow__`; what is set on others is not exposed. Either is counted in
    `pyrometer_series_overflow_total`.

A definition that the registry already has gives the object that is there; one of the same name that differs is a
DuplicateTimeseries error that names both places. TypeError and ValueError say what is wrong with a definition.
"""

from __future__ import annotations

import time

from pyrometer._catalogue import enroll_within
from pyrometer._core import COMPILED
from pyrometer._core.children_cy import CounterBase, GaugeBase, HistogramBase, SummaryBase
from pyrometer._core.series_cy import IN_PROGRESS
from pyrometer._definition import Definition
from pyrometer._exemplars import labels_as_note
from pyrometer._metric import MetricWrapperBase
from pyrometer._names import checked_labels, replace_surrogates
from pyrometer._timing import ExceptionCounter, InprogressTracker, Timer
from pyrometer.registry import REGISTRY, CollectorRegistry

# `typing` alone costs 8 ms to import, a good part of what the whole package may take.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any, Literal, TypeAlias

    MultiprocessMode: TypeAlias = Literal[
        "all", "liveall", "min", "livemin", "max", "livemax", "sum", "livesum", "mostrecent", "livemostrecent"
    ]

INF = float("inf")
MAX_SERIES = 10_000
"""How many label sets a family may have unless `max_series` says otherwise."""


def _utf8_names(registry: object) -> bool:
    return isinstance(registry, CollectorRegistry) and registry.policy.utf8_names


class Counter(CounterBase, MetricWrapperBase):
    """A count of events, or a total of amounts, that only goes up.

        view = Counter("view", "Product view", ["product"])
        view.labels(product="p1").inc()
        view.labels("p1").inc(2.5, exemplar={"trace_id": "4bf92f"})

    `inc()` refuses an amount that is negative or NaN with a ValueError.
    """

    __slots__ = ()

    def __init__(
        self,
        name: str,
        documentation: str,
        labelnames: Iterable[str] = (),
        namespace: str = "",
        subsystem: str = "",
        unit: str = "",
        registry: CollectorRegistry | None = REGISTRY,
        *,
        max_series: int | None = MAX_SERIES,
    ) -> None:
        definition = Definition(
            "counter",
            name,
            documentation,
            labelnames,
            namespace,
            subsystem,
            unit,
            max_series,
            utf8_names=_utf8_names(registry),
        )
        self._define(definition, registry)

    def reset(self) -> None:
        """Set the count to zero, as of now: for when what it counts begins anew without the process doing so."""
        self._write(0.0)
        self._set_created(round(time.time(), 3))

    def count_exceptions(
        self, exception: type[BaseException] | tuple[type[BaseException], ...] = Exception
    ) -> ExceptionCounter:
        """Count the exceptions of this type (or these types) that leave a block or a function.

        A context manager, for `with` and `async with`, and a decorator for functions of any kind.
        """
        self._check_observable()
        return ExceptionCounter(self, exception)

    def set_function(self, f: Callable[[], Any]) -> None:
        """Take the value from a function, plain or `async`, that is called when a page is asked for.

        f() -> a number not below 0; on a family with labels, f() -> a mapping {label values: number}, whose keys are
        tuples, or plain values where there is one label, and which makes out all series of the family. A value below
        the one before is served as it is (Prometheus reads a reset), `_created` moves, and the log says so once. When
        f raises or returns what is no number, its series are left out and the error is counted. Scrapes at the same
        time share one call, which may come from any thread.
        """
        self._set_function(f)


class Gauge(GaugeBase, MetricWrapperBase):
    """A value that goes up and down.

        temperature = Gauge("temperature_celsius", "Temperature of the oven")
        temperature.set(72.5)

    multiprocess_mode: how values of several processes combine, by the names of `prometheus_client`. None, the default,
    is one value for all. With "mostrecent" and "livemostrecent", `inc()` and `dec()` are a RuntimeError.
    """

    __slots__ = ()

    MODES = ("all", "liveall", "min", "livemin", "max", "livemax", "sum", "livesum", "mostrecent", "livemostrecent")

    def __init__(
        self,
        name: str,
        documentation: str,
        labelnames: Iterable[str] = (),
        namespace: str = "",
        subsystem: str = "",
        unit: str = "",
        registry: CollectorRegistry | None = REGISTRY,
        *,
        multiprocess_mode: MultiprocessMode | None = None,
        max_series: int | None = MAX_SERIES,
    ) -> None:
        if multiprocess_mode is not None and multiprocess_mode not in self.MODES:
            raise ValueError(
                f"gauge {name!r}: multiprocess_mode must be one of {', '.join(self.MODES)}, got {multiprocess_mode!r}"
            )
        definition = Definition(
            "gauge",
            name,
            documentation,
            labelnames,
            namespace,
            subsystem,
            unit,
            max_series,
            utf8_names=_utf8_names(registry),
            detail=multiprocess_mode,
        )
        self._define(definition, registry, mode=multiprocess_mode or "")
        self._family.read_only = multiprocess_mode in ("mostrecent", "livemostrecent")

    def _refuse(self, method: str) -> None:
        family = self._family
        raise RuntimeError(
            f'gauge "{family.name}": {method}() has no meaning with multiprocess_mode={family.definition.detail!r}'
        )

    def set_to_current_time(self) -> None:
        """Set the value to the current Unix time, in seconds."""
        self.set(time.time())

    def track_inprogress(self) -> InprogressTracker:
        """Add 1 while a block or a function runs. As a decorator it takes functions of any kind."""
        self._check_observable()
        return InprogressTracker(_inside(self))

    def time(self) -> Timer:
        """Set the value to the duration of a block or of each call of a function, in seconds."""
        return Timer(self, "set")

    def set_function(self, f: Callable[[], Any], *, refresh: float | None = None) -> None:
        """Take the value from a function, plain or `async`, that is called when a page is asked for.

        f() -> a number; on a family with labels, f() -> a mapping {label values: number}, whose keys are tuples, or
        plain values where there is one label, and which makes out all series of the family. When f raises or returns
        what is no number, its series are left out and the error is counted. Scrapes at the same time share one call,
        which may come from any thread.

        It runs in the process that answers, whose value is that of all. With a `multiprocess_mode` the value is one of
        each process: then each calls f by itself every `refresh` seconds (5 unless told otherwise), in a thread of its
        own, and a page combines what they have. ValueError for `refresh` without a mode, or not above 0.
        """
        if refresh is not None and (not self._family.mode or not refresh > 0):
            raise ValueError(
                f'gauge "{self._family.name}": refresh must be above 0, and is for gauges with a multiprocess_mode, '
                f"got {refresh!r} with mode {self._family.mode or None!r}"
            )
        self._set_function(f, refresh)


def _inside(gauge: Gauge) -> Gauge:
    """What counts, for this process alone, what a gauge tracks: so that it ends with the process."""
    family = gauge._family
    if family.parts or not COMPILED:
        return gauge
    within = family.kept.get(IN_PROGRESS)
    if within is None:
        within = family.kept.setdefault(IN_PROGRESS, enroll_within(family, IN_PROGRESS, "livesum"))
    own: Gauge = within.child(gauge._labelvalues, gauge)
    return own


class Summary(SummaryBase, MetricWrapperBase):
    """How many events, and how large they were together.

        size = Summary("request_size_bytes", "Size of requests")
        size.observe(512)

    `observe()` refuses NaN with a ValueError.
    """

    __slots__ = ()

    def __init__(
        self,
        name: str,
        documentation: str,
        labelnames: Iterable[str] = (),
        namespace: str = "",
        subsystem: str = "",
        unit: str = "",
        registry: CollectorRegistry | None = REGISTRY,
        *,
        max_series: int | None = MAX_SERIES,
    ) -> None:
        definition = Definition(
            "summary",
            name,
            documentation,
            labelnames,
            namespace,
            subsystem,
            unit,
            max_series,
            utf8_names=_utf8_names(registry),
            reserved=("quantile",),
        )
        self._define(definition, registry)

    def time(self) -> Timer:
        """Observe the duration of a block or of each call of a function of any kind, in seconds."""
        return Timer(self, "observe")


class Histogram(HistogramBase, MetricWrapperBase):
    """How many events, and how large: counted in buckets, from which Prometheus computes quantiles.

        duration = Histogram("request_duration_seconds", "Duration of requests")
        with duration.time():
            ...

    buckets: the upper bounds, ascending, each of which belongs to its bucket; +Inf is added where it is missing. The
    default suits durations of requests in seconds. `observe()` refuses NaN with a ValueError.
    """

    __slots__ = ()

    DEFAULT_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, INF)

    def __init__(
        self,
        name: str,
        documentation: str,
        labelnames: Iterable[str] = (),
        namespace: str = "",
        subsystem: str = "",
        unit: str = "",
        registry: CollectorRegistry | None = REGISTRY,
        *,
        buckets: Sequence[float | str] = DEFAULT_BUCKETS,
        max_series: int | None = MAX_SERIES,
    ) -> None:
        bounds = _checked_bounds(name, buckets)
        definition = Definition(
            "histogram",
            name,
            documentation,
            labelnames,
            namespace,
            subsystem,
            unit,
            max_series,
            utf8_names=_utf8_names(registry),
            reserved=("le",),
            detail=bounds,
        )
        self._define(definition, registry, bounds=bounds)

    def time(self) -> Timer:
        """Observe the duration of a block or of each call of a function of any kind, in seconds."""
        return Timer(self, "observe")


def _checked_bounds(name: object, buckets: Sequence[float | str]) -> tuple[float, ...]:
    try:
        bounds = [float(bound) for bound in buckets]
    except (TypeError, ValueError):
        raise ValueError(f"histogram {name!r}: buckets must be numbers, got {buckets!r}") from None
    if any(not low < high for low, high in zip(bounds, bounds[1:])) or any(bound != bound for bound in bounds):
        raise ValueError(f"histogram {name!r}: buckets must ascend, got {buckets!r}")
    if bounds and bounds[-1] != INF:
        bounds.append(INF)
    if len(bounds) < 2:
        raise ValueError(f"histogram {name!r}: buckets must have at least one bound below +Inf, got {buckets!r}")
    return tuple(bounds)


class Info(MetricWrapperBase):
    """Text about the program, as the labels of a series whose value is 1.

        build = Info("build", "What was built")
        build.info({"version": "1.2.3", "branch": "main"})

    A label that the family has cannot be one of the text's.
    """

    __slots__ = ()

    def __init__(
        self,
        name: str,
        documentation: str,
        labelnames: Iterable[str] = (),
        namespace: str = "",
        subsystem: str = "",
        unit: str = "",
        registry: CollectorRegistry | None = REGISTRY,
        *,
        max_series: int | None = MAX_SERIES,
    ) -> None:
        definition = Definition(
            "info",
            name,
            documentation,
            labelnames,
            namespace,
            subsystem,
            unit,
            max_series,
            utf8_names=_utf8_names(registry),
        )
        self._define(definition, registry)

    def info(self, val: Mapping[str, str]) -> None:
        """Set the text, in place of what was set before.

        TypeError for what is no mapping of str to str; ValueError for bad label names and those of the family.
        """
        self._check_observable()
        what = f'info "{self._family.name}"'
        if not hasattr(val, "items"):
            raise TypeError(f"{what}: expected a mapping of label names to text, got {val!r}")
        labels = checked_labels(what, val, self._family.labelnames)
        if not self._removed:
            self._family.put_note(self, 0, labels_as_note(labels), 0.0, 0.0)


class Enum(MetricWrapperBase):
    """Which of several states something is in; the first one until `state()` says otherwise.

        task = Enum("task_state", "State of the task", states=["starting", "running", "stopped"])
        task.state("running")

    A page has a series for each state, 1 for the current one and 0 for the others.
    """

    __slots__ = ()

    def __init__(
        self,
        name: str,
        documentation: str,
        labelnames: Iterable[str] = (),
        namespace: str = "",
        subsystem: str = "",
        unit: str = "",
        registry: CollectorRegistry | None = REGISTRY,
        *,
        states: Sequence[str] = (),
        max_series: int | None = MAX_SERIES,
    ) -> None:
        if isinstance(states, str) or not states or any(not isinstance(state, str) for state in states):
            raise ValueError(f"stateset {name!r}: states must be a sequence of at least one str, got {states!r}")
        checked = tuple(replace_surrogates(state) for state in states)
        if len(set(checked)) != len(checked):
            raise ValueError(f"stateset {name!r}: states must differ, got {states!r}")
        definition = Definition(
            "stateset",
            name,
            documentation,
            labelnames,
            namespace,
            subsystem,
            unit,
            max_series,
            utf8_names=_utf8_names(registry),
            detail=checked,
        )
        self._define(definition, registry, states=checked)

    def state(self, state: str) -> None:
        """Set the current state. ValueError for one that the definition does not have."""
        states: tuple[str, ...] = self._family.definition.detail
        if isinstance(state, str):
            state = replace_surrogates(state)
        if state not in states:
            raise ValueError(f'stateset "{self._family.name}": expected one of {", ".join(states)}, got {state!r}')
        self._write(states.index(state))
