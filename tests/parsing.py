"""How the parsers' tests compare: with prometheus_client's parsers, and by the place an error names."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

Parse = Callable[[str], Iterable[Any]]


def as_plain(value: Any) -> Any:
    """`value` in built-in types, so that equal families of two libraries compare equal (and NaN equals NaN)."""
    if type(value).__name__ == "Timestamp":
        return ("Timestamp", value.sec, value.nsec)
    if isinstance(value, dict):
        return {key: as_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_plain(item) for item in value]
    if isinstance(value, float) and value != value:
        return "NaN"
    # 1 and 1.0 are equal, yet a parser that turned one into the other would lose large integers.
    return (type(value).__name__, value) if isinstance(value, (int, float)) else value


def family_as_plain(metric: Any) -> Any:
    """Everything that makes a family what it is."""
    return [metric.name, metric.documentation, metric.type, metric.unit, as_plain(metric.samples)]


def parse_plain(parse: Parse, page: str) -> Any:
    """The families of `page` in built-in types."""
    return [family_as_plain(metric) for metric in parse(page)]


def is_accepted(parse: Parse, page: str) -> bool:
    """Whether `parse` reads `page` to its end."""
    try:
        list(parse(page))
    except Exception:
        return False
    return True
