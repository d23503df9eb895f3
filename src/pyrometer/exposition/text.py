"""The text format of Prometheus, versions 0.0.4 and 1.0.0.

Specified at https://prometheus.io/docs/instrumenting/exposition_formats/. What only OpenMetrics knows is written as
`prometheus_client` writes it: an info and a stateset as gauges, `_created`, `_gsum` and `_gcount` as gauges of their
own behind the family.
"""

from __future__ import annotations

from pyrometer._core.render_cy import CREATED, Page
from pyrometer._names import UNDERSCORES, escape_help, escape_metric_name, replace_surrogates
from pyrometer.exposition.format import Format

# `typing` alone costs 8 ms to import, a good part of what the whole package may take.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

    from pyrometer._core.snapshot_cy import Snapshot
    from pyrometer.families import Metric

_TYPES = {"info": "gauge", "stateset": "gauge", "gaugehistogram": "histogram", "unknown": "untyped"}
_NAMES = {"counter": "_total", "info": "_info"}
_SEPARATE = ("_created", "_gcount", "_gsum")


class Text(Format):
    """The text format, version "0.0.4" or "1.0.0" (the same, but for names outside the classic character set)."""

    media = "text/plain"
    versions = ("0.0.4", "1.0.0")

    __slots__ = ()

    def __init__(self, version: str = "0.0.4", escaping: str = UNDERSCORES) -> None:
        super().__init__(version, escaping)

    def _write_snapshot(self, page: Page, snapshot: Snapshot, names: Collection[str] | None, created: bool) -> None:
        family = snapshot.family
        lines = self._lines(family, [line for line in family.lines if line[2] != CREATED], names)
        if lines or names is None:
            page.text(self._head(family.name, family.kind, family.documentation))
            page.rows(snapshot, lines)
        made = self._lines(family, [line for line in family.lines if line[2] == CREATED], names)
        if created and made and len(snapshot):
            page.text(self._head(family.name, "_created", family.documentation))
            page.rows(snapshot, made)

    def _metric(self, metric: Metric, go: bool) -> bytes:
        parts = [self._head(metric.name, metric.type, metric.documentation).decode()]
        behind: dict[str, list[str]] = {}
        for sample in metric.samples:
            line = f"{self._series(sample.name, sample.labels)} {self._value(metric, sample, go)}"
            if sample.timestamp is not None:
                line += f" {int(float(sample.timestamp) * 1000)}"
            suffix = sample.name[len(metric.name) :]
            if suffix in _SEPARATE and sample.name.startswith(metric.name):
                behind.setdefault(suffix, []).append(line + "\n")
            else:
                parts.append(line + "\n")
        for suffix in sorted(behind):
            parts.append(self._head(metric.name, suffix, metric.documentation).decode())
            parts += behind[suffix]
        return "".join(parts).encode()

    def _head(self, name: str, kind: str, documentation: str) -> bytes:
        """HELP and TYPE of a family, or of the gauges with this suffix that stand behind it."""
        suffix = kind if kind in _SEPARATE else _NAMES.get(kind, "")
        written = escape_metric_name(name + suffix, self.escaping)
        kind = "gauge" if kind in _SEPARATE else _TYPES.get(kind, kind)
        help_text = escape_help(replace_surrogates(documentation))
        return f"# HELP {written} {help_text}\n# TYPE {written} {kind}\n".encode()
