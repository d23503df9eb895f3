"""The kinds of families a program can count in: their cells, and the lines a page shows of each series.

A line is (suffix of the name, value of the extra label or None, source, cell), with the sources of the renderer. The
order of lines is that of `prometheus_client`, and suffixes are those of OpenMetrics
(https://prometheus.io/docs/specs/om/open_metrics_spec/).
"""

from __future__ import annotations

from pyrometer._core.metric_cy import MetricBase
from pyrometer._core.render_cy import BUCKET, COUNT, CREATED, STATE, VALUE, number

# `typing` alone costs 8 ms to import, a good part of what the whole package may take.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    from pyrometer._core.family_cy import Family

    Line: TypeAlias = tuple[str, str | None, int, int]

_CREATED_LINE = ("_created", None, CREATED, 0)

COUNTER_LINES: tuple[Line, ...] = (("_total", None, VALUE, 0), _CREATED_LINE)
GAUGE_LINES: tuple[Line, ...] = (("", None, VALUE, 0),)
SUMMARY_LINES: tuple[Line, ...] = (("_count", None, VALUE, 0), ("_sum", None, VALUE, 1), _CREATED_LINE)

SUFFIXES: dict[str, tuple[str, ...]] = {
    "counter": ("_total", "_created"),
    "summary": ("_sum", "_count", "_created"),
    "histogram": ("_bucket", "_sum", "_count", "_created"),
    "gaugehistogram": ("_bucket", "_gsum", "_gcount"),
    "info": ("_info",),
}
"""By type, what is appended to a family's name to make the names of its series."""


def histogram_lines(bounds: tuple[float, ...]) -> tuple[Line, ...]:
    """The lines of a histogram with these upper bounds, +Inf included. Its first cell is the sum."""
    buckets = tuple(("_bucket", bound_text(bound), BUCKET, i + 1) for i, bound in enumerate(bounds))
    # The sum of a histogram with negative buckets is no counter, so pages do not have it.
    total = (("_sum", None, VALUE, 0),) if bounds[0] >= 0 else ()
    return (*buckets, ("_count", None, COUNT, 0), *total, _CREATED_LINE)


def stateset_lines(states: tuple[str, ...]) -> tuple[Line, ...]:
    """The lines of an enum: one for each state, 1 for the current one. Its cell is the current state's place."""
    return tuple(("", state, STATE, i) for i, state in enumerate(states))


def lines_of(
    kind: str, name: str, bounds: tuple[float, ...] = (), states: tuple[str, ...] = ()
) -> tuple[tuple[Line, ...], int, str]:
    """(lines, cells of a series, name of the extra label) of a family of this kind; ValueError for no kind."""
    if kind == "counter":
        return COUNTER_LINES, 1, ""
    if kind == "gauge":
        return GAUGE_LINES, 1, ""
    if kind == "summary":
        return SUMMARY_LINES, 2, ""
    if kind == "histogram":
        return histogram_lines(bounds), len(bounds) + 1, "le"
    if kind == "stateset":
        return stateset_lines(states), 1, name
    if kind == "info":
        return (), 1, ""
    raise ValueError(f"{kind!r} is no kind of family")


def bound_text(bound: float) -> str:
    """The `le` of a bucket, as every Python application has it in its Prometheus: `0.005`, `1.0`, `1e+06`, `+Inf`."""
    return number(bound, True).decode()


def series_names(name: str, kind: str) -> list[str]:
    """The family's name and the names of its series, all of which no other family may have."""
    return [name, *(name + suffix for suffix in SUFFIXES.get(kind, ()))]


def cells_of(collector: object) -> Family | None:
    """The family that a page reads for a collector; None where it has to call its `collect()`."""
    if isinstance(collector, MetricBase) and hasattr(type(collector).collect, "reads_cells"):  # type: ignore[attr-defined]
        return collector._family  # type: ignore[no-any-return]
    return None


def family_of(collector: object) -> Family | None:
    """The family of a metric; None for any other collector."""
    return collector._family if isinstance(collector, MetricBase) else None
