"""What OpenMetrics asks of the samples of one family, beyond the form of their lines.

Specified in https://prometheus.io/docs/specs/om/open_metrics_spec/. What is missing from a series (a ``+Inf`` bucket,
a ``_sum``) is reported at the last line of that series, everything else at the place that is wrong.
"""

from __future__ import annotations

import math

from pyrometer.exposition._scanner import ParseError, Scanner, parse_number
from pyrometer.families import Metric, Sample, Timestamp

SUFFIXES = {
    "counter": ("_total", "_created"),
    "summary": ("", "_count", "_sum", "_created"),
    "histogram": ("_count", "_sum", "_bucket", "_created"),
    "gaugehistogram": ("_gcount", "_gsum", "_bucket"),
    "info": ("_info",),
}
_COUNTS = ("_bucket", "_count", "_gcount")
_NO_NEGATIVE = ("_total", "_sum", *_COUNTS)
_NO_NAN = (*_NO_NEGATIVE, "_gsum")
_EXEMPLARS_ON = {"counter": "_total", "histogram": "_bucket", "gaugehistogram": "_bucket"}


class _Point:
    """The lines of one histogram at one moment, as far as they have been read."""

    __slots__ = ("bound", "count", "has_negative_bound", "has_negative_sum", "has_sum", "value")

    def __init__(self) -> None:
        self.bound: float | None = None
        self.value: float = 0
        self.count: float | None = None
        self.has_sum = False
        self.has_negative_sum = False
        self.has_negative_bound = False

    def find_fault(self, gauge: bool) -> str | None:
        """What is wrong with the point now that it is complete; None when nothing is."""
        count, total = ("_gcount", "_gsum") if gauge else ("_count", "_sum")
        if self.bound != math.inf:
            return 'expected a bucket with le="+Inf" among the lines of this series, got none'
        if self.count is not None and self.count != self.value:
            return f'expected {count} to equal the bucket with le="+Inf", {self.value}, got {self.count}'
        if self.has_sum and self.count is None:
            return f"expected {count} beside {total}, got none"
        if self.count is not None and not self.has_sum:
            return f"expected {total} beside {count}, got none"
        if self.has_negative_bound and self.has_sum and not gauge:
            return "expected no _sum beside buckets with negative bounds, got one"
        if self.has_negative_sum and not self.has_negative_bound:
            return "expected a _gsum that is not negative, as no bucket has a negative bound"
        return None


class Family:
    """One family while its lines are read; it begins on the line that `scanner` is on."""

    def __init__(self, scanner: Scanner, name: str, name_at: int) -> None:
        self.name = name
        self.documentation: str | None = None
        self.type: str | None = None
        self.unit: str | None = None
        self.samples: list[Sample] = []
        self.sample_names: frozenset[str] = frozenset((name,))
        self._begun = (scanner.line, name_at + 1, scanner.text)
        self._last = (scanner.line, scanner.text)
        # Series are told apart by their labels without le, quantile or the state: what OpenMetrics calls a group.
        self._group: frozenset[tuple[str, str]] | None = None
        self._groups: set[frozenset[tuple[str, str]]] = set()
        self._instant: tuple[int, int] | None = None
        self._members: set[object] = set()
        self._point: _Point | None = None

    def set_type(self, typ: str) -> None:
        self.type = typ
        self.sample_names = frozenset([self.name + suffix for suffix in SUFFIXES.get(typ, ("",))])

    def add_native(self, sample: Sample) -> None:
        """Take in a native histogram, to which the rules for classic lines do not apply."""
        self.samples.append(sample)

    def add(self, scanner: Scanner, sample: Sample, value_at: int) -> None:
        """Take in the sample that `scanner` has just read, whose value stands at `value_at`."""
        suffix = sample.name[len(self.name) :]
        typ = self.type
        if suffix in _NO_NAN or typ in ("info", "stateset"):
            self._check_value(scanner, sample, suffix, value_at)
        if sample.exemplar is not None and _EXEMPLARS_ON.get(typ or "") != suffix:
            raise scanner.error(
                scanner.text.index(" # ", value_at) + 1,
                f'expected exemplars on counters and on histogram buckets alone, got one on "{sample.name}"',
            )
        labels = sample.labels
        member: object = suffix
        if typ == "info":
            group: frozenset[tuple[str, str]] = frozenset()
            member = frozenset(labels.items())
        else:
            split = self._find_splitting_label(scanner, sample, suffix, value_at)
            if split is None:
                group = frozenset(labels.items())
            else:
                member = (suffix, labels[split])
                group = frozenset([item for item in labels.items() if item[0] != split])
        if group != self._group:
            self._begin_group(scanner, group)
            self._instant = None if sample.timestamp is None else _as_instant(sample.timestamp)
        elif sample.timestamp is not None or self._instant is not None:
            self._follow_time(scanner, sample.timestamp, value_at)
        if member in self._members:
            # Timestamps finer than a nanosecond become equal when they are read: the first of them stays.
            if self._instant is not None:
                return
            raise scanner.error(0, f'expected each series of "{self.name}" once, got one again')
        self._members.add(member)
        self._last = (scanner.line, scanner.text)
        if typ in ("histogram", "gaugehistogram"):
            self._follow_histogram(scanner, sample, suffix, value_at)
        self.samples.append(sample)

    def close(self, names: dict[str, str]) -> Metric:
        """The finished family; `names` has the names that families before it took, and gets this one's."""
        self._end_point()
        typ = self.type or "unknown"
        for name in {self.name, *[self.name + suffix for suffix in SUFFIXES.get(typ, ())]}:
            if name in names:
                line, column, text = self._begun
                reason = f'expected names that no other family has, got {typ} "{self.name}"'
                raise ParseError(f'{reason}, whose "{name}" is of "{names[name]}" before it', line, column, text)
            names[name] = self.name
        metric = Metric(self.name, self.documentation or "", typ, self.unit or "")
        metric.samples = self.samples
        return metric

    def _check_value(self, scanner: Scanner, sample: Sample, suffix: str, value_at: int) -> None:
        value = sample.value
        if suffix in _NO_NAN and value != value:
            raise scanner.error(value_at, f"expected a value that is not NaN for {suffix}, got NaN")
        if suffix in _NO_NEGATIVE and value < 0:
            raise scanner.error(value_at, f"expected a value of 0 or more for {suffix}, got {value}")
        if suffix in _COUNTS and isinstance(value, float) and not value.is_integer():
            raise scanner.error(value_at, f"expected a whole number for {suffix}, got {value}")
        if self.type == "info" and value != 1:
            raise scanner.error(value_at, f"expected the value 1 for an info, got {value}")
        if self.type == "stateset" and value not in (0, 1):
            raise scanner.error(value_at, f"expected the value 0 or 1 for a stateset, got {value}")

    def _find_splitting_label(self, scanner: Scanner, sample: Sample, suffix: str, value_at: int) -> str | None:
        """The label that tells the lines of one series apart, after checking it; None where there is no such label."""
        typ = self.type
        if suffix == "_bucket":
            bound = _read_bound(scanner, sample, "le")
            # Infinity is spelt in one way so that no bucket is stored twice.
            if bound is None or bound != bound or (bound == math.inf and sample.labels["le"] != "+Inf"):
                raise _unfit_label(scanner, sample, "le", 'a number, or "+Inf"')
            return "le"
        if typ == "summary" and suffix == "":
            quantile = _read_bound(scanner, sample, "quantile")
            if quantile is None or not 0 <= quantile <= 1:
                raise _unfit_label(scanner, sample, "quantile", "a number from 0 to 1")
            if sample.value < 0:
                raise scanner.error(value_at, f"expected a quantile of 0 or more, got {sample.value}")
            return "quantile"
        if typ == "stateset":
            if self.name not in sample.labels:
                raise scanner.error(0, f'expected the state in a label "{self.name}", got labels {sample.labels}')
            return self.name
        return None

    def _begin_group(self, scanner: Scanner, group: frozenset[tuple[str, str]]) -> None:
        self._end_point()
        if group in self._groups:
            raise scanner.error(0, f'expected the lines of one series of "{self.name}" together, got one after others')
        self._groups.add(group)
        self._group = group
        self._members = set()

    def _follow_time(self, scanner: Scanner, timestamp: float | Timestamp | None, value_at: int) -> None:
        if timestamp is None or self._instant is None:
            got = "none" if timestamp is None else "one"
            raise scanner.error(value_at, f"expected timestamps on all lines of a series or on none, got {got}")
        instant = _as_instant(timestamp)
        if instant == self._instant:
            return
        if instant < self._instant and self.type != "info":
            raise scanner.error(
                scanner.text.index(" ", value_at) + 1, "expected timestamps that do not go back, got an earlier one"
            )
        self._end_point()
        self._instant = instant
        self._members = set()

    def _follow_histogram(self, scanner: Scanner, sample: Sample, suffix: str, value_at: int) -> None:
        if self._point is None:
            self._point = _Point()
        point = self._point
        if suffix == "_bucket":
            bound = float(sample.labels["le"])
            if point.bound is not None and bound <= point.bound:
                raise scanner.error(scanner.find_label("le"), f"expected a bound above {point.bound}, got {bound}")
            if sample.value < point.value:
                raise scanner.error(
                    value_at, f"expected at least the {point.value} of the bucket before, got {sample.value}"
                )
            point.has_negative_bound = point.has_negative_bound or bound < 0
            point.bound, point.value = bound, sample.value
        elif suffix in ("_count", "_gcount"):
            point.count = sample.value
        elif suffix in ("_sum", "_gsum"):
            point.has_sum = True
            point.has_negative_sum = sample.value < 0

    def _end_point(self) -> None:
        point, self._point = self._point, None
        if point is not None:
            fault = point.find_fault(self.type == "gaugehistogram")
            if fault is not None:
                line, text = self._last
                raise ParseError(f'{self.type} "{self.name}": {fault}', line, 1, text)


def _read_bound(scanner: Scanner, sample: Sample, label: str) -> float | None:
    text = sample.labels.get(label)
    if text is None:
        raise scanner.error(0, f'expected a label "{label}" on "{sample.name}", got labels {sample.labels}')
    return parse_number(text)


def _unfit_label(scanner: Scanner, sample: Sample, label: str, what: str) -> ParseError:
    return scanner.expected(scanner.find_label(label), f'{what} in label "{label}"', sample.labels[label])


def _as_instant(timestamp: float | Timestamp) -> tuple[int, int]:
    """Seconds and nanoseconds, so that exact timestamps and floats can be compared."""
    if isinstance(timestamp, Timestamp):
        return timestamp.sec, timestamp.nsec
    seconds = int(timestamp)
    return seconds, int((timestamp - seconds) * 1e9)
