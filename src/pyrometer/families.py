"""The words of a custom collector: metric families and their samples.

A collector's ``collect()`` yields `Metric` objects, usually one of the ``*MetricFamily`` classes below; the formats
write them and the parsers give them back. They are plain data: nothing here is shared between processes, and an
object that one thread still fills must not be exposed by another.

Throughout, values are numbers (int or float), timestamps are seconds since the Unix epoch (float or `Timestamp`), and
a family's name never carries the suffix that its samples have (``_total``, ``_bucket``, ``_info``...). The types and
their suffixes are those of OpenMetrics (https://prometheus.io/docs/specs/om/open_metrics_spec/).
"""

from __future__ import annotations

from pyrometer._names import check_metric_name
from pyrometer._samples import BucketSpan, Exemplar, NativeHistogram, Sample, Timestamp

# `typing` alone costs 8 ms to import, a good part of what the whole package may take.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence

__all__ = [
    "METRIC_TYPES",
    "BucketSpan",
    "CounterMetricFamily",
    "Exemplar",
    "GaugeHistogramMetricFamily",
    "GaugeMetricFamily",
    "HistogramMetricFamily",
    "InfoMetricFamily",
    "Metric",
    "NativeHistogram",
    "Sample",
    "StateSetMetricFamily",
    "SummaryMetricFamily",
    "Timestamp",
    "UnknownMetricFamily",
    "UntypedMetricFamily",
]

METRIC_TYPES = (
    "counter",
    "gauge",
    "summary",
    "histogram",
    "gaugehistogram",
    "unknown",
    "info",
    "stateset",
)


class Metric:
    """A metric family: what it is, and its samples.

    `typ` is one of METRIC_TYPES, or "untyped" (the text format's word for "unknown"). A `unit` that the name does not
    end with is appended to it. Raises TypeError for a name that is no str, ValueError for one that is empty or that
    UTF-8 cannot encode, and for an unknown type. Families are equal when all five attributes are.
    """

    name: str
    documentation: str
    type: str
    unit: str
    samples: list[Sample]

    def __init__(self, name: str, documentation: str, typ: str, unit: str = "") -> None:
        check_metric_name(name, utf8=True)
        if unit and not name.endswith("_" + unit):
            name = f"{name}_{unit}"
        if typ == "untyped":
            typ = "unknown"
        if typ not in METRIC_TYPES:
            raise ValueError(f'metric "{name}": expected one of the types {", ".join(METRIC_TYPES)}, got {typ!r}')
        self.name = name
        self.documentation = documentation
        self.type = typ
        self.unit = unit
        self.samples = []

    def add_sample(
        self,
        name: str,
        labels: dict[str, str],
        value: float,
        timestamp: float | Timestamp | None = None,
        exemplar: Exemplar | None = None,
        native_histogram: NativeHistogram | None = None,
    ) -> None:
        """Append a sample as it is; `name` is complete, suffix included."""
        self.samples.append(Sample(name, labels, value, timestamp, exemplar, native_histogram))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Metric):
            return NotImplemented
        return (
            self.name == other.name
            and self.documentation == other.documentation
            and self.type == other.type
            and self.unit == other.unit
            and self.samples == other.samples
        )

    def __repr__(self) -> str:
        return f"Metric({self.name}, {self.documentation}, {self.type}, {self.unit}, {self.samples})"

    def _restricted_metric(self, names: Container[str]) -> Metric | None:
        """This family with only the samples called one of `names`; None when there are none."""
        samples = [sample for sample in self.samples if sample.name in names]
        if not samples:
            return None
        metric = Metric(self.name, self.documentation, self.type, self.unit)
        metric.samples = samples
        return metric


class _Family(Metric):
    """What the families of every type share: label names once, label values with each metric."""

    _labelnames: tuple[str, ...]

    def __init__(
        self, name: str, documentation: str, typ: str, unit: str, labels: Sequence[str] | None, has_value: bool
    ) -> None:
        super().__init__(name, documentation, typ, unit)
        if labels is not None and has_value:
            raise ValueError(
                f'{typ} "{self.name}": expected either a value or labels, got both '
                "(with labels, give each value to add_metric)"
            )
        self._labelnames = () if labels is None else tuple(labels)

    def _pair_labels(self, values: Sequence[str]) -> dict[str, str]:
        names = self._labelnames
        if len(values) != len(names):
            plural = "" if len(names) == 1 else "s"
            listed = f" ({', '.join(names)})" if names else ""
            raise ValueError(
                f'{self.type} "{self.name}" has {len(names)} label{plural}{listed}, '
                f"got {len(values)} value{'' if len(values) == 1 else 's'}: {tuple(values)!r}"
            )
        return {name: value if type(value) is str else str(value) for name, value in zip(names, values, strict=True)}

    def _append(
        self,
        suffix: str,
        labels: dict[str, str],
        value: float,
        timestamp: float | Timestamp | None,
        exemplar: Exemplar | None = None,
    ) -> None:
        self.samples.append(Sample(self.name + suffix, labels, value, timestamp, exemplar))


class UnknownMetricFamily(_Family):
    """A family of no known type (text format: untyped).

    Give either `value`, for a family without labels, or `labels`, the label names; both raise ValueError.
    """

    def __init__(
        self,
        name: str,
        documentation: str,
        value: float | None = None,
        labels: Sequence[str] | None = None,
        unit: str = "",
    ) -> None:
        super().__init__(name, documentation, "unknown", unit, labels, value is not None)
        if value is not None:
            self.add_metric([], value)

    def add_metric(self, labels: Sequence[str], value: float, timestamp: float | Timestamp | None = None) -> None:
        """Add a series; `labels` are its label values, one a name. Raises ValueError when their number differs."""
        self._append("", self._pair_labels(labels), value, timestamp)


UntypedMetricFamily = UnknownMetricFamily


class CounterMetricFamily(_Family):
    """A counter; a ``_total`` at the end of `name` is taken off.

    Give either `value` (and `created`, seconds since the epoch, and `exemplar`, where known) for a family without
    labels, or `labels`, the label names; both raise ValueError.
    """

    def __init__(
        self,
        name: str,
        documentation: str,
        value: float | None = None,
        labels: Sequence[str] | None = None,
        created: float | None = None,
        unit: str = "",
        exemplar: Exemplar | None = None,
    ) -> None:
        check_metric_name(name, utf8=True)
        super().__init__(name.removesuffix("_total"), documentation, "counter", unit, labels, value is not None)
        if value is not None:
            self.add_metric([], value, created, exemplar=exemplar)

    def add_metric(
        self,
        labels: Sequence[str],
        value: float,
        created: float | None = None,
        timestamp: float | Timestamp | None = None,
        exemplar: Exemplar | None = None,
    ) -> None:
        """Add a series; `labels` are its label values, one a name. Raises ValueError when their number differs."""
        pairs = self._pair_labels(labels)
        self._append("_total", pairs, value, timestamp, exemplar)
        if created is not None:
            self._append("_created", dict(pairs), created, timestamp)


class GaugeMetricFamily(_Family):
    """A gauge.

    Give either `value`, for a family without labels, or `labels`, the label names; both raise ValueError.
    """

    def __init__(
        self,
        name: str,
        documentation: str,
        value: float | None = None,
        labels: Sequence[str] | None = None,
        unit: str = "",
    ) -> None:
        super().__init__(name, documentation, "gauge", unit, labels, value is not None)
        if value is not None:
            self.add_metric([], value)

    def add_metric(self, labels: Sequence[str], value: float, timestamp: float | Timestamp | None = None) -> None:
        """Add a series; `labels` are its label values, one a name. Raises ValueError when their number differs."""
        self._append("", self._pair_labels(labels), value, timestamp)


class SummaryMetricFamily(_Family):
    """A summary: how many measurements, and their sum.

    Give either `count_value` and `sum_value`, for a family without labels, or `labels`, the label names; both, or one
    of the two values alone, raise ValueError.
    """

    def __init__(
        self,
        name: str,
        documentation: str,
        count_value: float | None = None,
        sum_value: float | None = None,
        labels: Sequence[str] | None = None,
        unit: str = "",
    ) -> None:
        super().__init__(name, documentation, "summary", unit, labels, count_value is not None)
        if (count_value is None) != (sum_value is None):
            raise ValueError(
                f'summary "{self.name}": expected both count_value and sum_value or neither, '
                f"got {count_value!r} and {sum_value!r}"
            )
        if count_value is not None and sum_value is not None:
            self.add_metric([], count_value, sum_value)

    def add_metric(
        self,
        labels: Sequence[str],
        count_value: float,
        sum_value: float,
        timestamp: float | Timestamp | None = None,
    ) -> None:
        """Add a series; `labels` are its label values, one a name. Raises ValueError when their number differs."""
        pairs = self._pair_labels(labels)
        self._append("_count", pairs, count_value, timestamp)
        self._append("_sum", dict(pairs), sum_value, timestamp)


class HistogramMetricFamily(_Family):
    """A histogram with cumulative buckets.

    Give either `buckets` (and `sum_value`, where known) for a family without labels, or `labels`, the label names;
    both, or a sum without buckets, raise ValueError.
    """

    def __init__(
        self,
        name: str,
        documentation: str,
        buckets: Sequence[tuple[str, float] | tuple[str, float, Exemplar | None]] | None = None,
        sum_value: float | None = None,
        labels: Sequence[str] | None = None,
        unit: str = "",
    ) -> None:
        super().__init__(name, documentation, "histogram", unit, labels, buckets is not None)
        if sum_value is not None and buckets is None:
            raise ValueError(f'histogram "{self.name}": expected buckets with the sum, got the sum {sum_value!r} alone')
        if buckets is not None:
            self.add_metric([], buckets, sum_value)

    def add_metric(
        self,
        labels: Sequence[str],
        buckets: Sequence[tuple[str, float] | tuple[str, float, Exemplar | None]],
        sum_value: float | None,
        timestamp: float | Timestamp | None = None,
    ) -> None:
        """Add a series; `labels` are its label values, one a name.

        `buckets`: (upper bound as text, cumulative count) or the same with an `Exemplar`, in order, "+Inf" last, whose
        count is the count of all. Count and sum are left out when `sum_value` is None or a bound is negative, as
        OpenMetrics asks. Raises ValueError when there is no bucket or the number of label values is wrong.
        """
        pairs = self._pair_labels(labels)
        if not buckets:
            raise ValueError(f'histogram "{self.name}": expected at least the bucket "+Inf", got none')
        for bucket in buckets:
            exemplar = bucket[2] if len(bucket) == 3 else None
            self._append("_bucket", {**pairs, "le": bucket[0]}, bucket[1], timestamp, exemplar)
        if sum_value is not None and float(buckets[0][0]) >= 0:
            self._append("_count", pairs, buckets[-1][1], timestamp)
            self._append("_sum", dict(pairs), sum_value, timestamp)


class GaugeHistogramMetricFamily(_Family):
    """A histogram of what is there now, whose buckets go down as well as up.

    Give either `buckets` (and `gsum_value`, where known) for a family without labels, or `labels`, the label names;
    both raise ValueError.
    """

    def __init__(
        self,
        name: str,
        documentation: str,
        buckets: Sequence[tuple[str, float]] | None = None,
        gsum_value: float | None = None,
        labels: Sequence[str] | None = None,
        unit: str = "",
    ) -> None:
        super().__init__(name, documentation, "gaugehistogram", unit, labels, buckets is not None)
        if buckets is not None:
            self.add_metric([], buckets, gsum_value)

    def add_metric(
        self,
        labels: Sequence[str],
        buckets: Sequence[tuple[str, float]],
        gsum_value: float | None,
        timestamp: float | Timestamp | None = None,
    ) -> None:
        """Add a series; `labels` are its label values, one a name.

        `buckets`: (upper bound as text, cumulative count), in order, "+Inf" last, whose count is the count of all.
        Count and sum are left out when `gsum_value` is None: OpenMetrics wants both or neither. Raises ValueError when
        there is no bucket or the number of label values is wrong.
        """
        pairs = self._pair_labels(labels)
        if not buckets:
            raise ValueError(f'gaugehistogram "{self.name}": expected at least the bucket "+Inf", got none')
        for bound, value in buckets:
            self._append("_bucket", {**pairs, "le": bound}, value, timestamp)
        if gsum_value is not None:
            self._append("_gcount", pairs, buckets[-1][1], timestamp)
            self._append("_gsum", dict(pairs), gsum_value, timestamp)


class InfoMetricFamily(_Family):
    """Facts as labels of a series whose value is always 1.

    Give either `value`, the facts, for a family without labels, or `labels`, the label names; both raise ValueError.
    """

    def __init__(
        self,
        name: str,
        documentation: str,
        value: Mapping[str, str] | None = None,
        labels: Sequence[str] | None = None,
    ) -> None:
        super().__init__(name, documentation, "info", "", labels, value is not None)
        if value is not None:
            self.add_metric([], value)

    def add_metric(
        self, labels: Sequence[str], value: Mapping[str, str], timestamp: float | Timestamp | None = None
    ) -> None:
        """Add a series; `labels` are its label values, one a name. Raises ValueError when their number differs."""
        self._append("_info", {**self._pair_labels(labels), **value}, 1, timestamp)


class StateSetMetricFamily(_Family):
    """States that are on or off, a series each.

    Give either `value`, a mapping of states to bool, for a family without labels, or `labels`, the label names; both
    raise ValueError.
    """

    def __init__(
        self,
        name: str,
        documentation: str,
        value: Mapping[str, bool] | None = None,
        labels: Sequence[str] | None = None,
    ) -> None:
        super().__init__(name, documentation, "stateset", "", labels, value is not None)
        if value is not None:
            self.add_metric([], value)

    def add_metric(
        self, labels: Sequence[str], value: Mapping[str, bool], timestamp: float | Timestamp | None = None
    ) -> None:
        """Add one series a state, sorted; `labels` are the other label values, one a name.

        Raises ValueError when the number of label values is wrong.
        """
        pairs = self._pair_labels(labels)
        for state, enabled in sorted(value.items()):
            self._append("", {**pairs, self.name: state}, 1 if enabled else 0, timestamp)
