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

from pyrometer._core.arena_cy import Arena
from pyrometer._core.children_cy import CounterBase, GaugeBase, HistogramBase, SummaryBase
from pyrometer._core.series_cy import Family, MetricBase
from pyrometer._core.snapshot_cy import Snapshot
from pyrometer._core.text_cy import text_of
from pyrometer._definition import Definition
from pyrometer._kinds import COUNTER_LINES, GAUGE_LINES, SUMMARY_LINES, histogram_lines, stateset_lines
from pyrometer._names import check_label_name, replace_surrogates
from pyrometer._timing import ExceptionCounter, InprogressTracker, Timer
from pyrometer.registry import REGISTRY, CollectorRegistry, DuplicateTimeseries, caller, family_of

# `typing` alone costs 8 ms to import, a good part of what the whole package may take.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any, Literal, TypeAlias

    from typing_extensions import Self

    from pyrometer._flight import Flight
    from pyrometer._kinds import Line
    from pyrometer.families import Metric

    MultiprocessMode: TypeAlias = Literal[
        "all", "liveall", "min", "livemin", "max", "livemax", "sum", "livesum", "mostrecent", "livemostrecent"
    ]

INF = float("inf")
MAX_SERIES = 10_000
"""How many label sets a family may have unless `max_series` says otherwise."""


class _MetricType(type):
    """Makes the second definition of a metric give the first one's object."""

    if not TYPE_CHECKING:

        def __call__(cls, *args, **kwargs):
            return super().__call__(*args, **kwargs)._family.handle

    @property
    def __signature__(cls) -> Any:
        import inspect

        signature = inspect.signature(cls.__init__)  # type: ignore[misc]
        return signature.replace(parameters=list(signature.parameters.values())[1:])


class MetricWrapperBase(MetricBase, metaclass=_MetricType):
    """What all metrics have in common."""

    __slots__ = ()

    if TYPE_CHECKING:

        def labels(self, /, *values: object, **named: object) -> Self:
            """The child for these label values, made at first use; by position or by name.

            A value is what `str()` gives for it. ValueError for labels that the family does not have.
            """

    def _define(
        self,
        definition: Definition,
        lines: tuple[Line, ...],
        registry: object,
        *,
        cells: int = 1,
        extra_label: str = "",
        bounds: tuple[float, ...] = (),
    ) -> None:
        """Become the handle of a new family, or of the one that the registry has by this definition."""
        defined_at = caller()

        def family_in(arena: Arena) -> Family:
            family = Family(
                arena,
                definition.kind,
                definition.name,
                definition.documentation,
                definition.unit,
                definition.labelnames,
                lines,
                cells,
                extra_label,
                bounds,
                definition.max_series,
            )
            family.definition = definition
            family.defined_at = defined_at
            family.handle = self
            return family

        observable = not definition.labelnames
        if isinstance(registry, CollectorRegistry):
            with registry._lock:
                other = registry._find(definition.name)
                if other is not None:
                    self._attach(_same(type(self), definition, defined_at, other), observable)
                    return
                family = family_in(registry._arena)
                family.on_overflow = registry._count_overflow
                self._attach(family, observable)
                registry.register(self)
        elif registry is None:
            self._attach(family_in(Arena()), observable)
        elif hasattr(registry, "register"):  # a registry of another library: our metrics are collectors to it
            self._attach(family_in(Arena()), observable)
            registry.register(self)
        else:
            raise TypeError(
                f'{definition.kind} "{definition.name}": registry must be a CollectorRegistry or None, got {registry!r}'
            )

    # ---- series

    def remove(self, *labelvalues: object) -> None:
        """Remove the series with these label values, by position, if there is one. A child that is still held counts
        on, unseen; `labels()` makes a new one. ValueError for the wrong number of values."""
        family = self._labelled("remove")
        if len(labelvalues) != len(family.labelnames):
            raise ValueError(
                f'{family.kind} "{family.name}" has {len(family.labelnames)} labels ({", ".join(family.labelnames)}), '
                f"got {len(labelvalues)} values to remove: {labelvalues}"
            )
        family.remove(tuple(text_of(value) for value in labelvalues))

    def remove_by_labels(self, labels: Mapping[str, object]) -> None:
        """Remove every series that has these label values, whatever its other labels; an empty mapping none.

        TypeError for what is no mapping, ValueError for a label that the family does not have.
        """
        family = self._labelled("remove_by_labels")
        if not hasattr(labels, "items"):
            raise TypeError(
                f'{family.kind} "{family.name}": remove_by_labels() takes a mapping of label names to values, '
                f"got {labels!r}"
            )
        unknown = [name for name in labels if name not in family.labelnames]
        if unknown:
            raise ValueError(
                f'{family.kind} "{family.name}" has labels {", ".join(family.labelnames)}, got {unknown} to remove by'
            )
        wanted = {family.labelnames.index(name): text_of(value) for name, value in labels.items()}
        if wanted:
            family.remove_where(lambda values: all(values[i] == value for i, value in wanted.items()))

    def clear(self) -> None:
        """Remove all series of a family with labels."""
        if self._family.labelnames and not self._address:
            self._family.remove_where(None)

    def _labelled(self, method: str) -> Family:
        family: Family = self._family
        if not family.labelnames or self._address:
            raise ValueError(f'{family.kind} "{family.name}": {method}() is for families with labels')
        return family

    # ---- what registries ask

    def describe(self) -> list[Metric]:
        """The family without its samples."""
        from pyrometer.families import Metric

        metric = Metric(self._family.name, self._family.documentation, self._family.kind)
        metric.unit = self._family.unit
        return [metric]

    def collect(self) -> list[Metric]:
        """The family with its samples, callbacks run; raises what they raise."""
        from pyrometer._scrape import land

        land(self._flights())
        return self._collected()

    def _collected(self) -> list[Metric]:
        from pyrometer._policy import Policy
        from pyrometer._snapshots import metric_of

        return [metric_of(Snapshot(self._family), created_series=Policy().created_series)]

    def _flights(self) -> list[Flight]:
        """The callbacks that have to run before the family is read."""
        return [callback.flight for callback in list(self._family.functions.values())]

    @property
    def _defined_at(self) -> str:
        return str(self._family.defined_at)

    def _set_function(self, function: Callable[[], Any]) -> None:
        from pyrometer._callbacks import Callback

        callback = Callback(self, function)
        if not self._removed:
            self._family.functions[self._address] = callback

    def _exemplify(self, index: int, amount: float, labels: Mapping[str, str]) -> None:
        """Keep the labels of an example of what one of the cells counts."""
        if labels and not self._removed:
            from pyrometer._exemplars import exemplar_of

            exemplar = exemplar_of(f'{self._family.kind} "{self._family.name}"', labels, amount)
            self._family.exemplars[(self._address, index)] = exemplar

    def __str__(self) -> str:
        return f"{self._family.kind}:{self._family.name}"

    def __repr__(self) -> str:
        return f"{type(self).__module__}.{type(self).__name__}({self._family.name})"


def _same(cls: type, definition: Definition, defined_at: str, other: Any) -> Family:
    """The family of an existing collector of this name, if it is by the same definition."""
    family = family_of(other)
    if family is None:
        raise DuplicateTimeseries(
            f'{definition.kind} "{definition.name}" ({defined_at}): the registry already has this name from '
            f"collector {type(other).__qualname__}",
            {definition.name},
        )
    differences = definition.differences(family.definition)
    if type(other) is not cls and not differences:
        differences = [f"class {cls.__qualname__}, not {type(other).__qualname__}"]
    if definition.name != family.name:
        differences.insert(0, f"name {definition.name!r}, not {family.name!r}, where pages have a name in common")
    if differences:
        raise DuplicateTimeseries(
            f'{definition.kind} "{definition.name}" ({defined_at}) is already defined ({family.defined_at}) otherwise: '
            f"{'; '.join(differences)}",
            {definition.name},
        )
    return family


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
        self._define(definition, COUNTER_LINES, registry)

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
        self._define(definition, GAUGE_LINES, registry)
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
        return InprogressTracker(self)

    def time(self) -> Timer:
        """Set the value to the duration of a block or of each call of a function, in seconds."""
        return Timer(self, "set")

    def set_function(self, f: Callable[[], Any]) -> None:
        """Take the value from a function, plain or `async`, that is called when a page is asked for.

        f() -> a number; on a family with labels, f() -> a mapping {label values: number}, whose keys are tuples, or
        plain values where there is one label, and which makes out all series of the family. When f raises or returns
        what is no number, its series are left out and the error is counted. Scrapes at the same time share one call,
        which may come from any thread.
        """
        self._set_function(f)


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
        self._define(definition, SUMMARY_LINES, registry, cells=2)

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
        self._define(
            definition, histogram_lines(bounds), registry, cells=len(bounds) + 1, extra_label="le", bounds=bounds[:-1]
        )

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
        self._define(definition, (), registry)

    def info(self, val: Mapping[str, str]) -> None:
        """Set the text, in place of what was set before.

        TypeError for what is no mapping of str to str; ValueError for bad label names and those of the family.
        """
        self._check_observable()
        what = f'info "{self._family.name}"'
        if not hasattr(val, "items"):
            raise TypeError(f"{what}: expected a mapping of label names to text, got {val!r}")
        labels: dict[str, str] = {}
        for name, value in val.items():
            try:
                check_label_name(name, utf8=True)
            except (TypeError, ValueError) as error:
                raise type(error)(f"{what}: {error}") from None
            if name in self._family.labelnames:
                raise ValueError(f"{what}: {name!r} is a label of the family ({', '.join(self._family.labelnames)})")
            if not isinstance(value, str):
                raise TypeError(f"{what}: {name!r} must have a str, got {type(value).__name__}: {value!r}")
            labels[str(name)] = replace_surrogates(value)
        if not self._removed:
            self._family.infos[self._address] = labels

    def _collected(self) -> list[Metric]:
        metric = self.describe()[0]
        family = self._family
        for child, values in family.series():
            labels = {**dict(zip(family.labelnames, values)), **family.infos.get(child._address, {})}
            metric.add_sample(family.name + "_info", labels, 1.0)
        return [metric]


class Enum(MetricWrapperBase):
    """Which of several states something is in; the first one until `state()` says otherwise.

    task = Enum("task_state", "State of the task", states=["starting", "running", "stopped"])
    task.state("running")
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
        if definition.name in definition.labelnames:
            raise ValueError(f'stateset "{definition.name}": its own name cannot be a label name, it has the states')
        self._define(definition, stateset_lines(checked), registry, extra_label=definition.name)

    def state(self, state: str) -> None:
        """Set the current state. ValueError for one that the definition does not have."""
        states: tuple[str, ...] = self._family.definition.detail
        if state not in states:
            raise ValueError(f'stateset "{self._family.name}": expected one of {", ".join(states)}, got {state!r}')
        self._write(states.index(state))
