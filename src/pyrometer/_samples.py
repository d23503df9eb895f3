"""What stands on one line of a page: samples, and what samples are made of.

Re-exported by `pyrometer.families`, which is where users find them. Plain immutable data.
"""

from __future__ import annotations

# `typing` alone costs 8 ms to import, a good part of what the whole package may take.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NamedTuple


class Timestamp:
    """A point in time with nanoseconds kept exact.

    `sec` counts whole seconds since the Unix epoch, `nsec` the nanoseconds beyond them (0 to 999,999,999, given
    without a sign: before 1970 it counts backwards like `sec`). Raises ValueError when `nsec` is out of range.
    Equal and ordered among themselves; ``float()`` gives seconds.
    """

    __slots__ = ("nsec", "sec")

    sec: int
    nsec: int

    def __init__(self, sec: float, nsec: float) -> None:
        if not 0 <= nsec < 1_000_000_000:
            raise ValueError(f"the nanoseconds of a Timestamp must be from 0 to 999999999, got {nsec}")
        self.sec = int(sec)
        self.nsec = int(-nsec if sec < 0 else nsec)

    def __str__(self) -> str:
        return f"{self.sec}.{abs(self.nsec):09d}"

    def __repr__(self) -> str:
        return f"Timestamp({self.sec}, {self.nsec})"

    def __float__(self) -> float:
        return self.sec + self.nsec / 1e9

    def __hash__(self) -> int:
        return hash((self.sec, self.nsec))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Timestamp):
            return NotImplemented
        return (self.sec, self.nsec) == (other.sec, other.nsec)

    def __lt__(self, other: Timestamp) -> bool:
        if not isinstance(other, Timestamp):
            return NotImplemented
        return (self.sec, self.nsec) < (other.sec, other.nsec)

    def __le__(self, other: Timestamp) -> bool:
        if not isinstance(other, Timestamp):
            return NotImplemented
        return (self.sec, self.nsec) <= (other.sec, other.nsec)


if TYPE_CHECKING:

    class BucketSpan(NamedTuple):
        offset: int
        length: int

    class Exemplar(NamedTuple):
        labels: dict[str, str]
        value: float
        timestamp: float | Timestamp | None = None

    class NativeHistogram(NamedTuple):
        count_value: float
        sum_value: float
        schema: int
        zero_threshold: float
        zero_count: float
        pos_spans: Sequence[BucketSpan] | None = None
        neg_spans: Sequence[BucketSpan] | None = None
        pos_deltas: Sequence[int] | None = None
        neg_deltas: Sequence[int] | None = None
        nh_exemplars: Sequence[Exemplar] | None = None

    class Sample(NamedTuple):
        name: str
        labels: dict[str, str]
        value: float
        timestamp: float | Timestamp | None = None
        exemplar: Exemplar | None = None
        native_histogram: NativeHistogram | None = None

else:
    from collections import namedtuple

    BucketSpan = namedtuple("BucketSpan", "offset length", module=__name__)
    BucketSpan.__doc__ = "`length` buckets in a row of a native histogram, `offset` buckets after the span before."

    Exemplar = namedtuple("Exemplar", "labels value timestamp", defaults=(None,), module=__name__)
    Exemplar.__doc__ = "One measurement that a sample points to: its labels (a trace id, say), value, and time or None."

    NativeHistogram = namedtuple(
        "NativeHistogram",
        "count_value sum_value schema zero_threshold zero_count pos_spans neg_spans pos_deltas neg_deltas nh_exemplars",
        defaults=(None,) * 5,
        module=__name__,
    )
    NativeHistogram.__doc__ = """A histogram with exponential buckets; each delta is relative to the bucket before.

    Spans and deltas are sequences (of `BucketSpan` and int) or None where there are none, as specified in
    https://prometheus.io/docs/specs/native_histograms/.
    """

    Sample = namedtuple(
        "Sample", "name labels value timestamp exemplar native_histogram", defaults=(None,) * 3, module=__name__
    )
    Sample.__doc__ = "One line of a page: the name with its suffix, labels (a dict of str to str), and a value."
