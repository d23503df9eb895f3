"""The targets: which measured ratios and figures Pyrometer has to reach."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bench.measure import Measurement

Key = tuple[str, str]
"""A row of the table and a contender."""

Results = Mapping[Key, Measurement]


@dataclass(frozen=True)
class Target:
    """A limit on a figure, or, where ``to`` names a second one, on how many times that one the first is.

    ``at_least`` turns the limit around.
    """

    text: str
    of: Key
    limit: float
    to: Key | None = None
    at_least: bool = False

    def missing(self, results: Results) -> list[Key]:
        return [key for key in (self.of, self.to) if key is not None and key not in results]

    def measured(self, results: Results) -> float:
        value = results[self.of]
        return value.median if self.to is None else value.over(results[self.to])

    def met(self, results: Results) -> bool:
        value = self.measured(results)
        return value >= self.limit if self.at_least else value <= self.limit

    def verdict(self, results: Results) -> str:
        """One line: ``met``, ``MISSED`` or ``not measured``, what was measured, and the limit."""
        missing = self.missing(results)
        if missing:
            return f"not measured  {self.text}: no {' and no '.join(f'{who} in {row}' for row, who in missing)}"
        unit = "x" if self.to is not None else f" {results[self.of].unit}"
        word = "met   " if self.met(results) else "MISSED"
        bound = "at least" if self.at_least else "at most"
        line = f"{word}  {self.text}: {figure(self.measured(results))}{unit} ({bound} {figure(self.limit)}{unit})"
        if self.to is not None and results[self.of].loop and results[self.to].loop and not self.at_least:
            net = results[self.of].net().over(results[self.to].net())
            line += f"; without the loop around both: {figure(net)}x"
        return line


def figure(value: float) -> str:
    """Three digits that matter, thousands with commas."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _within(row: str, title: str, limit: float) -> Target:
    return Target(f"{title} / empty C call", (row, "pyrometer"), limit, (row, "empty"))


def _before_go(row: str, go_row: str, title: str) -> Target:
    return Target(
        f"{title} / client_golang's WithLabelValues(...).Inc()", (row, "pyrometer"), 1.0, (go_row, "client_golang")
    )


def _faster(row: str, title: str, other: str, limit: float) -> Target:
    return Target(f"{title}: {other} / Pyrometer", (row, other), limit, (row, "pyrometer"), at_least=True)


def _as_one(row: str, title: str) -> Target:
    return Target(f"{title}, shared / apart", (row, "pyrometer"), 1.3, (row.replace("shared", "apart"), "pyrometer"))


TARGETS = (
    _within("inc", "c.inc()", 1.5),
    _faster("inc", "c.inc()", "prometheus_client", 15),
    _within("labels", 'c.labels("p1").inc()', 5),
    _within("labels_named", 'c.labels(product="p1").inc()', 5),
    _within("labels3", "three labels by position", 6),
    _within("labels3_named", "three labels by name", 6),
    _before_go("labels", "labels", "one label by position"),
    _before_go("labels_named", "labels", "one label by name"),
    _before_go("labels3", "labels3", "three labels by position"),
    _before_go("labels3_named", "labels3", "three labels by name"),
    _within("observe", "h.observe(0.3)", 2.5),
    Target("last bucket / first bucket", ("observe_last", "pyrometer"), 1.1, ("observe_first", "pyrometer")),
    _faster("counters", "scrape of labelled counters", "prometheus_client", 200),
    _faster("counters_line", "the same, per line", "promrs", 5),
    _faster("histograms", "scrape of histograms", "prometheus_client", 100),
    Target("longest hold of the interpreter lock in a scrape", ("lock", "pyrometer"), 5),
    Target("resident memory per labelled counter", ("memory", "pyrometer"), 200),
    Target("import pyrometer", ("import", "pyrometer"), 20),
    _as_one("inc_shared", "c.inc() with another process"),
    _as_one("inc_shared_both", "c.inc() by two processes at once"),
    _as_one("labels_shared", "c.labels(p).inc() with another process"),
    _as_one("labels_shared_both", "c.labels(p).inc() by two processes at once"),
    _faster("workers_8", "scrape of 8 processes", "prometheus_client", 200),
    Target("scrape of 8 processes / of 1", ("workers_8", "pyrometer"), 1.2, ("workers_1", "pyrometer")),
    Target("scrape after many workers died / before", ("dead", "pyrometer"), 1.2, ("live", "pyrometer")),
    Target("arena after many workers died / before", ("dead_files", "pyrometer"), 1.0, ("live_files", "pyrometer")),
    Target("memory that series made and removed leave behind", ("churn_grown", "pyrometer"), 8),
)
