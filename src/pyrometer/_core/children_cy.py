"""What a child does to its cells: the methods a program calls millions of times.

Each is an atomic change of a float64 in shared memory: no lock is taken, and no update is lost between threads or
between processes that were forked after the series was made. The classes of `metrics.py` add everything else.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrometer._core import _cython as cython
else:
    try:
        import cython
    except ImportError:
        from pyrometer._core import _cython as cython

if cython.compiled:
    from cython.cimports.pyrometer._core.native import add, bucket_of, store
    from cython.cimports.pyrometer._core.series_cy import MetricBase
else:
    from bisect import bisect_left

    from pyrometer._core.native import add, real, store
    from pyrometer._core.series_cy import MetricBase


@cython.cclass
class CounterBase(MetricBase):
    """One cell: the count."""

    __slots__ = ()

    def inc(self, amount: cython.double = 1.0, exemplar: object = None) -> None:
        """Add `amount`, which is not negative and not NaN; with `exemplar`, labels of an example of it."""
        if not cython.compiled:
            amount = real(amount)
        cell: cython.size_t = self.cell
        if cell == 0:
            cell = self.cell_of()
        if not amount >= 0:
            raise ValueError(
                f'counter "{self._family.name}": inc() takes an amount that is not negative, got {amount!r}'
            )
        add(cell, amount)
        if exemplar is not None:
            self._exemplify(0, amount, exemplar)


@cython.cclass
class GaugeBase(MetricBase):
    """One cell: the value."""

    __slots__ = ()

    def inc(self, amount: cython.double = 1.0) -> None:
        """Add `amount`."""
        if not cython.compiled:
            amount = real(amount)
        cell: cython.size_t = self.cell
        if cell == 0:
            cell = self.cell_of()
        if self._family.read_only:
            self._refuse("inc")
        add(cell, amount)

    def dec(self, amount: cython.double = 1.0) -> None:
        """Subtract `amount`."""
        if not cython.compiled:
            amount = real(amount)
        cell: cython.size_t = self.cell
        if cell == 0:
            cell = self.cell_of()
        if self._family.read_only:
            self._refuse("dec")
        add(cell, -amount)

    def set(self, value: cython.double) -> None:
        """Set the value."""
        if not cython.compiled:
            value = real(value)
        cell: cython.size_t = self.cell
        if cell == 0:
            cell = self.cell_of()
        store(cell, value)


@cython.cclass
class SummaryBase(MetricBase):
    """Two cells: count, sum."""

    __slots__ = ()

    def observe(self, amount: cython.double) -> None:
        """Count one event of this size, which is not NaN."""
        if not cython.compiled:
            amount = real(amount)
        cell: cython.size_t = self.cell
        if cell == 0:
            cell = self.cell_of()
        if amount != amount:
            raise ValueError(f'summary "{self._family.name}": observe() takes a number, got {amount!r}')
        add(cell, 1.0)
        add(cell + 8, amount)


@cython.cclass
class HistogramBase(MetricBase):
    """Cells: sum, then the count of each bucket by itself; a page adds them up."""

    __slots__ = ()

    def observe(self, amount: cython.double, exemplar: object = None) -> None:
        """Count one event of this size, which is not NaN; with `exemplar`, labels of an example of its bucket."""
        if not cython.compiled:
            amount = real(amount)
        cell: cython.size_t = self.cell
        bucket: cython.size_t
        if cell == 0:
            cell = self.cell_of()
        if amount != amount:
            raise ValueError(f'histogram "{self._family.name}": observe() takes a number, got {amount!r}')
        if cython.compiled:
            bucket = bucket_of(self._family.bounds, self._family.nbounds, amount)
        else:
            bucket = bisect_left(self._family.bounds, amount)
        add(cell, amount)
        add(cell + 8 + 8 * bucket, 1.0)
        if exemplar is not None:
            self._exemplify(bucket + 1, amount, exemplar)
