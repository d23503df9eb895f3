"""Values computed when a page is asked for: functions in place of `inc()` and `set()`."""

from __future__ import annotations

import time

from pyrometer._core.children_cy import GaugeBase
from pyrometer._core.metric_cy import MetricBase
from pyrometer._core.series_cy import OVERFLOW
from pyrometer._core.text_cy import text_of
from pyrometer._flight import Flight

# `typing` alone costs 8 ms to import, a good part of what the whole package may take.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any


class Callback:
    """A function that gives the value of one series, or of all series of a family with labels as a mapping.

    Its result is stored in cells, where pages find it; when it fails, its series are hidden until it succeeds. It is
    called once for all scrapes that want it at the same time, from any thread or event loop.
    """

    __slots__ = ("__weakref__", "_metric", "_shrunk", "_single", "flight")

    def __init__(self, metric: MetricBase, function: Callable[[], Any]) -> None:
        family = metric._family
        if not callable(function):
            raise TypeError(f'{family.kind} "{family.name}": set_function() takes a function, got {function!r}')
        self._metric = metric
        self._shrunk = False
        self._single = bool(metric._address) or not family.labelnames
        self.flight = Flight(family.name, function, self._store_one if self._single else self._store_all, self._hide)

    def is_current(self) -> bool:
        """Whether neither was another function set in its place nor the series removed."""
        return self in self._metric._family.functions.values()

    def _store_one(self, result: Any) -> None:
        value = self._number(result, "")
        self._store(self._metric, value)

    def _store_all(self, result: Mapping[Any, Any]) -> None:
        """Make the series of the family those of the mapping; nothing changes if any of it is wrong."""
        family = self._metric._family
        if not hasattr(result, "items"):
            raise TypeError(
                f'{family.kind} "{family.name}": its function must return a mapping of label values to numbers, '
                f"got {type(result).__name__}: {result!r:.200}"
            )
        values: dict[tuple[str, ...], float] = {}
        for key, number in result.items():
            label_values = self._label_values(key)
            if label_values in values:
                raise ValueError(f'{family.kind} "{family.name}": its function gave {label_values} twice')
            values[label_values] = self._number(number, f" for {label_values}")
        overflow = (OVERFLOW,) * len(family.labelnames)
        for present in family.present():
            if present not in values and present != overflow:
                family.remove(present, True)
        sums: dict[int, tuple[MetricBase, float]] = {}
        for label_values, value in values.items():
            # Past the cap several label sets have one child, which gets their sum.
            child = family.child(label_values, self._metric)
            before = sums.get(child._address, (child, 0.0))[1]
            sums[child._address] = (child, before + value)
        for child, value in sums.values():
            self._store(child, value)
        if overflow not in [child._labelvalues for child, _ in sums.values()]:
            family.remove(overflow, True)

    def _label_values(self, key: object) -> tuple[str, ...]:
        family = self._metric._family
        parts = key if isinstance(key, tuple) else (key,)
        if len(parts) != len(family.labelnames):
            raise ValueError(
                f'{family.kind} "{family.name}": its function must give keys of {len(family.labelnames)} label values '
                f"({', '.join(family.labelnames)}), got {key!r}"
            )
        return tuple(text_of(part) for part in parts)

    def _number(self, result: Any, where: str) -> float:
        family = self._metric._family
        if isinstance(result, (str, bytes, bytearray)) or not (
            hasattr(result, "__float__") or hasattr(result, "__index__")
        ):
            raise TypeError(
                f'{family.kind} "{family.name}": its function must return a number{where}, '
                f"got {type(result).__name__}: {result!r:.200}"
            )
        value = float(result)
        if family.kind == "counter" and not value >= 0:
            raise ValueError(f'counter "{family.name}": its function must return no less than 0{where}, got {value}')
        return value

    def _store(self, metric: MetricBase, value: float) -> None:
        family = metric._family
        if family.kind == "counter" and value < metric._read():
            metric._set_created(round(time.time(), 3))
            if not self._shrunk:
                self._shrunk = True
                import logging

                logging.getLogger("pyrometer").warning(
                    'counter "%s": its function returned %s after %s, which Prometheus reads as a reset '
                    "(further ones are not reported)",
                    family.name,
                    value,
                    metric._read(),
                )
        if family.parts:
            GaugeBase.set(metric, value)  # type: ignore[arg-type]
        else:
            metric._write(value)
        family.hide(metric, False)

    def _hide(self) -> None:
        family = self._metric._family
        if self._single:
            family.hide(self._metric, True)
        else:
            family.hide_all()
