"""The definition of a metric: checked where it stands, and compared with the one that a registry has already."""

from __future__ import annotations

import sys

from pyrometer._names import check_distinct, check_label_name, check_metric_name, is_classic_metric_name

# `typing` alone costs 8 ms to import, a good part of what the whole package may take.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


class Definition:
    """What a program says of a metric. Raises TypeError or ValueError for what cannot be one.

    kind: "counter", "gauge", "summary", "histogram", "info" or "stateset".
    reserved: label names that this kind writes itself.
    detail: what else makes two definitions different: buckets, states, mode.
    place: `file:line` where it stands.
    """

    __slots__ = ("detail", "documentation", "kind", "labelnames", "max_series", "name", "place", "unit")

    def __init__(
        self,
        kind: str,
        name: str,
        documentation: str,
        labelnames: Iterable[str],
        namespace: str,
        subsystem: str,
        unit: str,
        max_series: int | None,
        *,
        utf8_names: bool,
        reserved: tuple[str, ...] = (),
        detail: object = None,
    ) -> None:
        for what, value in (("namespace", namespace), ("subsystem", subsystem), ("unit", unit)):
            if not isinstance(value, str):
                raise TypeError(f"{kind} {name!r}: {what} must be a str, got {type(value).__name__}: {value!r}")
        if not isinstance(documentation, str):
            raise TypeError(
                f"{kind} {name!r}: documentation must be a str, got {type(documentation).__name__}: {documentation!r}"
            )
        check_metric_name(name, utf8=True)
        self.place = _caller()
        self.kind = kind
        self.name = _full_name(kind, name, namespace, subsystem, unit)
        self.documentation = str.__str__(documentation)
        self.unit = str.__str__(unit)
        self.detail = detail
        check_metric_name(self.name, utf8=utf8_names)
        if unit and not is_classic_metric_name("_" + unit):
            raise ValueError(f"{kind} {name!r}: unit must be ASCII letters, digits and '_', got {unit!r}")
        self.labelnames = self._checked_labelnames(labelnames, utf8_names, reserved)
        if max_series is not None and (not isinstance(max_series, int) or max_series < 1):
            raise ValueError(f'{kind} "{self.name}": max_series must be a positive int or None, got {max_series!r}')
        self.max_series = max_series

    def _checked_labelnames(self, given: Iterable[str], utf8_names: bool, reserved: tuple[str, ...]) -> tuple[str, ...]:
        what = f'{self.kind} "{self.name}"'
        if isinstance(given, (str, bytes)):
            raise TypeError(
                f"{what}: labelnames must be a sequence of names, got one {type(given).__name__}: {given!r}"
            )
        try:
            names = tuple(given)
        except TypeError:
            raise TypeError(f"{what}: labelnames must be a sequence of names, got {given!r}") from None
        for name in names:
            try:
                check_label_name(name, utf8=utf8_names)
            except (TypeError, ValueError) as error:
                raise type(error)(f"{what}: {error}") from None
            if name in reserved:
                raise ValueError(f"{what}: label name {name!r} is reserved, a {self.kind} writes it itself")
        check_distinct(what, names)
        if self.kind == "stateset":
            if self.name in names:
                raise ValueError(f"{what}: its own name cannot be a label name, it has the states")
            check_distinct(what, (*names, self.name))
        return tuple(sys.intern(str.__str__(name)) for name in names)

    def differences(self, other: Definition) -> list[str]:
        """What makes the definitions those of different metrics."""
        compared = [
            ("kind", self.kind, other.kind),
            ("labels", self.labelnames, other.labelnames),
            ("unit", self.unit, other.unit),
            (_DETAILS.get(self.kind, "detail"), self.detail, other.detail),
        ]
        return [f"{what} {mine!r}, not {theirs!r}" for what, mine, theirs in compared if mine != theirs]


_DETAILS = {"histogram": "buckets", "stateset": "states", "gauge": "multiprocess_mode"}


def _full_name(kind: str, name: str, namespace: str, subsystem: str, unit: str) -> str:
    """The family's name: `namespace_subsystem_name_unit`, without the `_total` that a counter's series have."""
    full_name = "_".join([str.__str__(part) for part in (namespace, subsystem, name) if part])
    if kind == "counter":
        full_name = full_name.removesuffix("_total")
        if not full_name:
            raise ValueError(f"counter {name!r}: nothing is left of the name without its suffix _total")
    if unit and kind in ("info", "stateset"):
        raise ValueError(f'{kind} "{full_name}" cannot have a unit, got {unit!r}')
    if unit and not full_name.endswith("_" + unit):
        full_name += "_" + unit
    return full_name


def _caller() -> str:
    """`file:line` of the innermost frame outside this package: where a metric is defined."""
    frame = sys._getframe(1)
    while frame.f_back is not None and str(frame.f_globals.get("__name__")).split(".")[0] == "pyrometer":
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"
