"""What a child does to its cells: the methods a program calls millions of times.

Each is an atomic change of a float64 in shared memory: no lock is taken, and no update is lost between threads or
between processes that were forked after the series was made. The classes of `metrics.py` add everything else.
"""

from __future__ import annotations

from time import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrometer._core import _cython as cython
else:
    try:
        import cython
    except ImportError:
        from pyrometer._core import _cython as cython

if cython.compiled:
    from cython.cimports.pyrometer._core.metric_cy import MetricBase
    from cython.cimports.pyrometer._core.native import add, bucket_of, real, store
else:
    from bisect import bisect_left

    from pyrometer._core.metric_cy import MetricBase
    from pyrometer._core.native import add, store


@cython.cfunc
@cython.inline
@cython.exceptval(-1.0, check=True)
def _number(metric: MetricBase, method: str, given: object) -> cython.double:
    """A number as C has it; a TypeError that names the metric for what is none.

    `inc` and `dec` leave that to the compiler, whose error is nobody's: an optional argument that is an object costs a
    fifth of the call.
    """
    value: cython.double = 0.0
    if cython.compiled:
        if real(given, cython.address(value)):
            return value
    elif hasattr(given, "__float__") or hasattr(given, "__index__"):
        return float(given)  # type: ignore[arg-type]
    family = metric._family
    raise TypeError(
        f'{family.kind} "{family.name}": {method}() takes a number, got {type(given).__name__}: {given!r:.200}'
    )


@cython.cclass
class CounterBase(MetricBase):
    """One cell: the count."""

    __slots__ = ()

    def inc(self, amount: cython.double = 1.0, exemplar: object = None) -> None:
        """Add `amount`, which is not negative and not NaN; with `exemplar`, labels of an example of it."""
        cell: cython.size_t = self.cell
        if cell == 0:
            cell = self.cell_of()
        if not cython.compiled:
            amount = _number(self, "inc", amount)
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
        cell: cython.size_t = self.cell
        if cell == 0:
            cell = self.cell_of()
        if not cython.compiled:
            amount = _number(self, "inc", amount)
        if self._family.read_only:
            self._refuse("inc")
        add(cell, amount)

    def dec(self, amount: cython.double = 1.0) -> None:
        """Subtract `amount`."""
        cell: cython.size_t = self.cell
        if cell == 0:
            cell = self.cell_of()
        if not cython.compiled:
            amount = _number(self, "dec", amount)
        if self._family.read_only:
            self._refuse("dec")
        add(cell, -amount)

    def set(self, value: object) -> None:
        """Set the value."""
        number: cython.double = _number(self, "set", value)
        cell: cython.size_t = self.cell  # now and not before: a conversion may run anything
        if cell == 0:
            cell = self.cell_of()
        store(cell, number)
        if cython.compiled and self._family.read_only:
            store(cell + 8, time())


@cython.cclass
class SummaryBase(MetricBase):
    """Two cells: count, sum."""

    __slots__ = ()

    def observe(self, amount: object) -> None:
        """Count one event of this size, which is not NaN."""
        number: cython.double = _number(self, "observe", amount)
        cell: cython.size_t = self.cell
        if cell == 0:
            cell = self.cell_of()
        if number != number:
            raise ValueError(f'summary "{self._family.name}": observe() takes a number, got {amount!r}')
        add(cell, 1.0)
        add(cell + 8, number)


@cython.cclass
class HistogramBase(MetricBase):
    """Cells: sum, then the count of each bucket by itself; a page adds them up."""

    __slots__ = ()

    def observe(self, amount: object, exemplar: object = None) -> None:
        """Count one event of this size, which is not NaN; with `exemplar`, labels of an example of its bucket."""
        bucket: cython.size_t
        number: cython.double = _number(self, "observe", amount)
        cell: cython.size_t = self.cell
        if cell == 0:
            cell = self.cell_of()
        if number != number:
            raise ValueError(f'histogram "{self._family.name}": observe() takes a number, got {amount!r}')
        if cython.compiled:
            bucket = bucket_of(self._family.bounds, self._family.nbounds, number)
        else:
            bucket = bisect_left(self._family.bounds, number)
        add(cell, number)
        add(cell + 8 + 8 * bucket, 1.0)
        if exemplar is not None:
            self._exemplify(bucket + 1, number, exemplar)
