"""What is a matter of manner: where habits of metrics libraries differ, a registry's policy says which one it has."""

from __future__ import annotations

import os

# `typing` alone costs 8 ms to import, a good part of what the whole package may take.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal


class Policy:
    """The manner of a registry; one may serve many registries.

    utf8_names: names of metrics and labels may be any UTF-8 text, not the classic character set alone.
    created_series: pages have the `_created` series of counters, summaries and histograms; None follows the
        environment and `enable_created_metrics()` / `disable_created_metrics()`.
    isolate_errors: a collector or callback that raises loses its own series and is counted; otherwise the scrape fails.
    numbers: "short" writes `8`, as the text format's own examples do; "go" writes `8.0` and `1e+06`.
    """

    __slots__ = ("_created_series", "isolate_errors", "numbers", "utf8_names")

    def __init__(
        self,
        *,
        utf8_names: bool = False,
        created_series: bool | None = None,
        isolate_errors: bool = True,
        numbers: Literal["short", "go"] = "short",
    ) -> None:
        if numbers not in ("short", "go"):
            raise ValueError(f"Policy: numbers must be 'short' or 'go', got {numbers!r}")
        self.utf8_names = utf8_names
        self.isolate_errors = isolate_errors
        self.numbers = numbers
        self._created_series = created_series

    @property
    def created_series(self) -> bool:
        """Whether pages have `_created` series at present."""
        return _created_series if self._created_series is None else self._created_series

    def __repr__(self) -> str:
        return (
            f"Policy(utf8_names={self.utf8_names}, created_series={self._created_series}, "
            f"isolate_errors={self.isolate_errors}, numbers={self.numbers!r})"
        )


def _created_series_wanted(environment: os._Environ[str] | dict[str, str]) -> bool:
    """What PYROMETER_CREATED_SERIES=off and prometheus_client's PROMETHEUS_DISABLE_CREATED_SERIES=true ask for."""
    own = environment.get("PYROMETER_CREATED_SERIES", "").lower()
    if own:
        return own not in ("off", "0", "false", "no")
    return environment.get("PROMETHEUS_DISABLE_CREATED_SERIES", "").lower() not in ("true", "1", "t")


_created_series = _created_series_wanted(os.environ)


def enable_created_metrics() -> None:
    """Show `_created` series in the pages of every registry whose policy does not say otherwise (the default)."""
    global _created_series
    _created_series = True


def disable_created_metrics() -> None:
    """Leave `_created` series out of the pages of every registry whose policy does not say otherwise."""
    global _created_series
    _created_series = False
