"""The hot path: what an application pays each time it counts, sets or observes something."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bench.libraries import Library
from bench.measure import Contender, statement

PRODUCTS = [f"product{number}" for number in range(1000)]


@dataclass(frozen=True)
class Row:
    """One statement, executed against every library's metric of that kind."""

    key: str
    title: str
    source: str
    metric: str
    values: Sequence[Any] = (None,)


GROUPS: dict[str, tuple[Row, ...]] = {
    "inc": (Row("inc", "`c.inc()`", "c.inc()", "counter"),),
    "labels": (
        Row("labels", '`c.labels("p1").inc()`', 'c.labels("p1").inc()', "one"),
        Row("labels_named", '`c.labels(product="p1").inc()`', 'c.labels(product="p1").inc()', "one"),
        Row("labels_many", "`c.labels(p).inc()`, 1,000 products in turn", "c.labels(value).inc()", "one", PRODUCTS),
    ),
    "labels3": (
        Row("labels3", "three labels by position, `.inc()`", 'c.labels("GET", "/p1", "200").inc()', "three"),
        Row(
            "labels3_named",
            "three labels by name, `.inc()`",
            'c.labels(method="GET", path="/p1", status="200").inc()',
            "three",
        ),
    ),
    "observe": (
        Row("observe", "`h.observe(0.3)`", "c.observe(0.3)", "histogram"),
        Row("observe_first", "`h.observe(0.001)`, the first bucket", "c.observe(0.001)", "histogram"),
        Row("observe_last", "`h.observe(1000.0)`, the last bucket", "c.observe(1000.0)", "histogram"),
    ),
    "gauge": (Row("gauge", "`g.set(1.5)`", "c.set(1.5)", "gauge"),),
}
"""Rows of one group are measured in the same rounds. Labels by name are ``With(Labels{...})`` in Go, labels by
position are ``WithLabelValues(...)``."""


class Subject:
    """The metrics of one library that the rows are about; families have other children beside the one measured."""

    def __init__(self, library: Library) -> None:
        registry = library.registry()
        one = library.counter("one_label", ["product"], registry)
        three = library.counter("three_labels", ["method", "path", "status"], registry)
        for number in range(100):
            one.labels(f"p{number}").inc()
            three.labels("GET", f"/p{number}", "200").inc()
        for product in PRODUCTS:
            one.labels(f"{product}").inc()
        self._metrics = {
            "counter": library.counter("plain", [], registry),
            "one": one,
            "three": three,
            "histogram": library.histogram("latency_seconds", [], registry),
            "gauge": library.gauge("level", [], registry),
        }

    def contender(self, row: Row) -> Contender:
        return statement(row.source, {"c": self._metrics[row.metric]}, row.values)
