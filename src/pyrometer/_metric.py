"""What all metrics have in common: their definition in a registry, their series, and what registries ask of them."""

from __future__ import annotations

from abc import ABCMeta

from pyrometer._core.arena_cy import Arena
from pyrometer._core.family_cy import Family
from pyrometer._core.metric_cy import MetricBase, count_of, own_methods
from pyrometer._core.snapshot_cy import Snapshot
from pyrometer._core.text_cy import text_of
from pyrometer._kinds import family_of, lines_of
from pyrometer.registry import CollectorRegistry, DuplicateTimeseries, describe

# `typing` alone costs 8 ms to import, a good part of what the whole package may take.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from typing_extensions import Self

    from pyrometer._definition import Definition
    from pyrometer._flight import Flight
    from pyrometer.families import Metric


class _MetricType(ABCMeta):
    """Makes the second definition of a metric give the first one's object, and a class of metrics fast to call."""

    if not TYPE_CHECKING:

        def __init__(cls, *args, **kwargs):
            super().__init__(*args, **kwargs)
            own_methods(cls, ("labels", "inc", "dec", "set", "observe"))

        def __call__(cls, *args, **kwargs):
            family = super().__call__(*args, **kwargs)._family
            if family is None:
                raise TypeError(f"{cls.__qualname__}.__init__() must call super().__init__()")
            return family.kept["handle"]

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
        registry: object,
        *,
        bounds: tuple[float, ...] = (),
        states: tuple[str, ...] = (),
        mode: str = "",
    ) -> None:
        """Become the handle of a new family, or of the one that the registry has by this definition."""
        lines, cells, extra_label = lines_of(definition.kind, definition.name, bounds, states)

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
                bounds[:-1],
                definition.max_series,
                mode,
            )
            family.definition = definition
            family.kept["handle"] = self
            family.kept["detail"] = tuple(map(repr, bounds)) or states or ((mode,) if mode else ())
            return family

        def alone() -> Family:
            family = family_in(_loose_arena())
            family.enroll_alone()
            return family

        observable = not definition.labelnames
        if isinstance(registry, CollectorRegistry):
            with registry._lock:
                other = registry._find(definition.name)
                if other is not None:
                    self._attach(_same(type(self), definition, other), observable)
                    return
                family = registry._holdings.enroll(family_in(registry._arena))
                family.on_overflow = registry._count_overflow
                self._attach(family, observable)
                try:
                    registry.register(self)
                except DuplicateTimeseries:
                    family.withdraw()
                    raise
        elif registry is None:
            self._attach(alone(), observable)
        elif hasattr(registry, "register") and not isinstance(registry, type):
            # A registry of another library: our metrics are collectors to it.
            self._attach(alone(), observable)
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
                f'{family.kind} "{family.name}" has {count_of(len(family.labelnames), "label")} '
                f"({', '.join(family.labelnames)}), got {count_of(len(labelvalues), 'value')} to remove: {labelvalues}"
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
        from pyrometer._runs import land

        land(self._flights())
        return self._collected()

    def _collected(self) -> list[Metric]:
        from pyrometer._combined import item_of
        from pyrometer._core.news import refresh
        from pyrometer._policy import Policy
        from pyrometer._snapshots import metric_of

        refresh(self._family.arena)
        item = item_of(self._family)
        return [metric_of(item, created_series=Policy().created_series) if isinstance(item, Snapshot) else item]

    def _flights(self) -> list[Flight]:
        """The callbacks that have to run before the family is read."""
        return [callback.flight for callback in list(self._family.functions.values())]

    def _set_function(self, function: Callable[[], Any], refresh: float | None = None) -> None:
        from pyrometer._callbacks import Callback

        callback = Callback(self, function)
        if self._removed:
            return
        functions = self._family.functions
        key = self._labelvalues if self._family.parts else self._address
        functions[key] = callback
        if self._family.parts:
            from pyrometer._refreshing import REFRESH, refresh_every

            refresh_every(callback, REFRESH if refresh is None else refresh)

    def _exemplify(self, index: int, amount: float, labels: Mapping[str, str]) -> None:
        """Keep the labels of an example of what one of the cells counts."""
        if labels and not self._removed:
            from pyrometer._exemplars import exemplar_of, labels_as_note

            exemplar = exemplar_of(f'{self._family.kind} "{self._family.name}"', labels, amount)
            self._family.put_note(self, index, labels_as_note(exemplar.labels), amount, float(exemplar.timestamp or 0))

    def __str__(self) -> str:
        return f"{self._family.kind}:{self._family.name}"

    def __repr__(self) -> str:
        return f"{type(self).__module__}.{type(self).__name__}({self._family.name})"


_loose: list[Arena] = []


def _loose_arena() -> Arena:
    """The memory of families that belong to no registry of ours: one for all, to which each gives back its records."""
    if not _loose:
        _loose.append(Arena())
    return _loose[0]


MetricWrapperBase.collect.reads_cells = True  # type: ignore[attr-defined]  # a subclass may have one of its own


def _same(cls: type, definition: Definition, other: Any) -> Family:
    """The family of an existing collector of this name, if it is by the same definition."""
    family = family_of(other)
    if family is None:
        raise DuplicateTimeseries(
            f'{definition.kind} "{definition.name}" ({definition.place}): the registry already has this name from '
            f"{describe(other)}",
            {definition.name},
        )
    differences = definition.differences(family.definition)
    if type(other) is not cls and not differences:
        differences = [f"class {cls.__qualname__}, not {type(other).__qualname__}"]
    if definition.name != family.name:
        differences.insert(0, f"name {definition.name!r}, not {family.name!r}, where pages have a name in common")
    if differences:
        raise DuplicateTimeseries(
            f'{definition.kind} "{definition.name}" ({definition.place}) is already defined '
            f"({family.definition.place}) otherwise: {'; '.join(differences)}",
            {definition.name},
        )
    return family
