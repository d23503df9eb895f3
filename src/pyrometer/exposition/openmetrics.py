"""OpenMetrics, versions 1.0.0 and 2.0.0.

Specified at https://prometheus.io/docs/specs/om/open_metrics_spec/; version 2.0.0, which is a draft, as
`prometheus_client` writes it: with native histograms, which 1.0.0 leaves out.
"""

from __future__ import annotations

import math

from pyrometer._core.render_cy import CREATED, Page, number
from pyrometer._exemplars import LONGEST, exemplars_of
from pyrometer._names import UNDERSCORES, escape_label_name, escape_metric_name, escape_value, replace_surrogates
from pyrometer.exposition.format import Format

# `typing` alone costs 8 ms to import, a good part of what the whole package may take.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Any

    from pyrometer._core.snapshot_cy import Snapshot
    from pyrometer._samples import Exemplar, NativeHistogram
    from pyrometer.families import Metric, Sample


class OpenMetrics(Format):
    """OpenMetrics, version "1.0.0" or "2.0.0"."""

    media = "application/openmetrics-text"
    versions = ("1.0.0", "2.0.0")
    trailer = b"# EOF\n"

    __slots__ = ()

    def __init__(self, version: str = "1.0.0", escaping: str = UNDERSCORES) -> None:
        super().__init__(version, escaping)

    def _write_snapshot(self, page: Page, snapshot: Snapshot, names: Collection[str] | None, created: bool) -> None:
        family = snapshot.family
        shown = [line for line in family.lines if created or line[2] != CREATED]
        if family.kind == "histogram" and all(suffix != "_sum" for suffix, *_ in shown):
            # Without a sum, as with negative buckets, the specification has no count either.
            shown = [line for line in shown if line[0] != "_count"]
        lines = self._lines(family, shown, names)
        if not lines and names is not None:
            return
        page.text(self._head(family.name, family.kind, family.documentation, family.unit))
        go = page.go
        page.rows(
            snapshot,
            lines,
            {key: self._exemplar(exemplar, go).encode() for key, exemplar in exemplars_of(snapshot).items()},
        )

    def _metric(self, metric: Metric, go: bool) -> bytes:
        parts = [self._head(metric.name, metric.type, metric.documentation, metric.unit).decode()]
        parts += [line for sample in metric.samples if (line := self._line(metric, sample, go))]
        return "".join(parts).encode()

    def _line(self, metric: Metric, sample: Sample, go: bool) -> str:
        exemplars = [] if sample.exemplar is None else [sample.exemplar]
        native: NativeHistogram | None = getattr(sample, "native_histogram", None)
        if native is not None:
            if self.version == "1.0.0":
                return ""
            exemplars += native.nh_exemplars or ()
            value = _native(native)
        else:
            value = self._value(metric, sample, go)
        if exemplars and not _may_have_exemplars(metric, sample):
            raise ValueError(
                f'{metric.type} "{metric.name}": {sample.name} has an exemplar, which only the _total of a counter '
                "and the buckets of a histogram may have"
            )
        timestamp = _timestamp(sample.timestamp)
        examples = "".join([self._exemplar(exemplar, go) for exemplar in exemplars])
        return f"{self._series(sample.name, sample.labels)} {value}{timestamp}{examples}\n"

    def _exemplar(self, exemplar: Exemplar, go: bool) -> str:
        labels = ",".join(
            [
                f'{escape_label_name(name, self.escaping)}="{escape_value(replace_surrogates(value))}"'
                for name, value in sorted(exemplar.labels.items())
            ]
        )
        if "" in exemplar.labels:
            raise ValueError(f"the names of an exemplar's labels cannot be empty: {exemplar.labels}")
        if sum(len(name) + len(value) for name, value in exemplar.labels.items()) > LONGEST:
            raise ValueError(f"an exemplar's labels have at most {LONGEST} characters: {exemplar.labels}")
        timestamp = _timestamp(exemplar.timestamp)
        return f" # {{{labels}}} {number(float(exemplar.value), go).decode()}{timestamp}"

    def _head(self, name: str, kind: str, documentation: str, unit: str) -> bytes:
        written = escape_metric_name(name, self.escaping)
        help_text = escape_value(replace_surrogates(documentation))
        lines = f"# HELP {written} {help_text}\n# TYPE {written} {kind}\n"
        if unit:
            if not name.endswith("_" + unit) or "\n" in unit:
                raise ValueError(f'{kind} "{name}": its name must end with its unit, got {unit!r}')
            lines += f"# UNIT {written} {unit}\n"
        return lines.encode()


def _timestamp(given: Any) -> str:
    """What stands behind a value for its time, in seconds."""
    if given is None:
        return ""
    if isinstance(given, str) or not math.isfinite(float(given)):
        raise ValueError(f"a timestamp must be a finite number of seconds, got {given!r:.200}")
    return f" {given}"


def _may_have_exemplars(metric: Metric, sample: Sample) -> bool:
    if metric.type == "counter":
        return sample.name.endswith("_total")
    if metric.type == "histogram":
        return sample.name.endswith("_bucket") or sample.name == metric.name
    return metric.type == "gaugehistogram" and sample.name.endswith("_bucket")


def _native(histogram: NativeHistogram) -> str:
    """A native histogram as the value of a sample."""
    fields = [
        f"count:{histogram.count_value}",
        f"sum:{histogram.sum_value}",
        f"schema:{histogram.schema}",
        f"zero_threshold:{histogram.zero_threshold}",
        f"zero_count:{histogram.zero_count}",
    ]
    for sign, spans, deltas in (
        ("negative", histogram.neg_spans, histogram.neg_deltas),
        ("positive", histogram.pos_spans, histogram.pos_deltas),
    ):
        if spans:
            fields.append(f"{sign}_spans:[{','.join(f'{span[0]}:{span[1]}' for span in spans)}]")
            fields.append(f"{sign}_deltas:[{','.join(str(delta) for delta in deltas or ())}]")
    return "{" + ",".join(fields) + "}"
