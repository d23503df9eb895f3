"""What a program holds of a metric, and `labels`, its hot path.

The arguments of `labels` are compared, as the bytes they are, with the label text of the records, which is what a page
will show; so a series is stored once, no key is kept, and nothing is built for a look-up. Only exact `str` values
without a character that needs an escape go that way; every other value goes by its escaped text.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from pyrometer._core import _cython as cython
else:
    try:
        import cython
    except ImportError:
        from pyrometer._core import _cython as cython

if cython.compiled:
    from cython.cimports.cpython.list import PyList_GET_SIZE
    from cython.cimports.cpython.object import PyObject
    from cython.cimports.libc.stdint import uint32_t
    from cython.cimports.pyrometer._core.family_cy import Family
    from cython.cimports.pyrometer._core.native import (
        PyMethodDef,
        flags,
        install,
        load,
        own_method,
        pyro_bytes,
        store,
        text,
        text_len,
        tuple_item,
        tuple_size,
        utf8,
    )
    from cython.cimports.pyrometer._core.native import created as created_at
    from cython.cimports.pyrometer._core.record_cy import free_private
    from cython.cimports.pyrometer._core.slots_cy import drop_handle
    from cython.cimports.pyrometer._core.table_cy import Child, Table
else:
    from pyrometer._core import native
    from pyrometer._core.family_cy import Family
    from pyrometer._core.native import load, store
    from pyrometer._core.table_cy import Child

from pyrometer._core import layout
from pyrometer._core.text_cy import text_of

if cython.compiled:
    REMOVED = cython.declare(uint32_t, layout.RECORD_REMOVED)
    DETACHED = cython.declare(uint32_t, layout.RECORD_PRIVATE | layout.RECORD_REMOVED)
else:
    REMOVED = layout.RECORD_REMOVED


@cython.no_gc_clear
@cython.cclass
class MetricBase(Child):
    """What a program holds of a metric: a family without labels, a family with labels, or a child of one.

    `cell` is the address of the first cell; a family with labels has none.
    """

    if not cython.compiled:
        __slots__ = ("_family",)
        _family: Any

        def __new__(cls, *_values: object, **_named: object) -> MetricBase:
            self = object.__new__(cls)
            self._family = None
            self.cell = 0
            return self

        # At the end of the interpreter, names of modules are gone before objects are.
        def __del__(self, ending: Callable[[], bool] = sys.is_finalizing) -> None:
            if not ending() and self._removed:
                self._family.arena.release(self.cell)

    else:

        def __dealloc__(self):
            # A private record that is not removed belongs to its row.
            if self.cell and flags(self.cell) & DETACHED == DETACHED:
                free_private(self.cell)
            if self._family is not None and self._family.parts:
                drop_handle(self._family.arena.attachment, cython.address(self.cell))

    @cython.cfunc
    @cython.exceptval(0, check=False)
    def cell_of(self) -> cython.size_t:
        """The first cell; an error for a family with labels, of which no series was named."""
        if not self.cell:
            if self._family is None:
                raise ValueError(f"{type(self).__name__}: used before it was constructed")
            family = self._family
            if cython.compiled:
                family.resume(self)
                if self.cell:
                    return self.cell
            raise ValueError(
                f'{family.kind} "{family.name}" has {count_of(len(family.labelnames), "label")} '
                f"({', '.join(family.labelnames)}): name a series with labels() first"
            )
        return self.cell

    def labels(self, /, *values: object, **named: object) -> MetricBase:
        return self._labels(values, named)

    def _labels(self, values: tuple[object, ...], named: dict[str, object]) -> MetricBase:
        family: Family | None = self._family
        if family is None:
            raise ValueError(f"{type(self).__name__}: used before it was constructed")
        if self.cell or not family.labelnames:
            if family.labelnames:
                raise ValueError(
                    f'{family.kind} "{family.name}": labels() is called on the family, and this is its series '
                    f"{dict(zip(family.labelnames, self._labelvalues))}"
                )
            raise ValueError(f'{family.kind} "{family.name}" has no labels, got {values or named}')
        found: MetricBase = family.child(_label_values(family, values, named), self)
        return found

    def _sibling(self, family: Any) -> MetricBase:
        """A new child of this class, for a series of `family`."""
        child: MetricBase = type(self).__new__(type(self))
        child._family = family
        attributes = getattr(self, "__dict__", None)
        if attributes:  # of a subclass, which its __init__ has set
            child.__dict__.update(attributes)
        return child

    def _check_observable(self) -> None:
        """An error for a family with labels, of which no series was named."""
        self.cell_of()

    @property
    def _labelvalues(self) -> tuple[str, ...]:
        family: Family | None = self._family
        if family is None or not self.cell or not family.labelnames:
            return ()
        if cython.compiled:
            return family.values(text(self.cell)[: text_len(self.cell)])
        else:
            return family.values(native.record(self.cell).text)

    @property
    def _address(self) -> int:
        return self.cell

    @property
    def _removed(self) -> bool:
        """Whether the series was removed: what its child is told now, no page shows."""
        if cython.compiled:
            return self.cell != 0 and (flags(self.cell) & REMOVED) != 0
        else:
            return self.cell != 0 and native.flags(self.cell) & REMOVED != 0

    def _attach(self, family: Family, observable: bool) -> None:
        """Become the handle of a family; with `observable`, of its one series without labels."""
        if self._family is not None:
            raise ValueError(f'{self._family.kind} "{self._family.name}" is already the handle of a family')
        self._family = family
        # What counts for each process by itself begins when it is first used: a process that never sets it is none.
        if observable and not (cython.compiled and family.parts):
            found: MetricBase = family.place(self, b"", 0, 0, False)
            self.cell = found._address

    def __reduce__(self) -> Any:
        raise TypeError(f"{type(self).__name__} is neither copied nor pickled: a cell has one owner")

    def _exemplify(self, index: int, amount: float, labels: Any) -> None:
        """Keep the labels of an example of what one of the cells counts; metrics.py says how."""
        raise NotImplementedError(f"{type(self).__name__} keeps no exemplars")

    def _refuse(self, method: str) -> None:
        """Raise the error for a method that the metric's definition rules out; metrics.py has its words."""
        raise NotImplementedError(f"{type(self).__name__} has no {method}()")

    def _read(self, index: cython.size_t = 0) -> float:
        """The value of one of the cells."""
        return load(self.cell_of() + 8 * index)

    def _write(self, value: cython.double, index: cython.size_t = 0) -> None:
        """Set one of the cells."""
        if not cython.compiled:
            value = native.real(value)
        store(self.cell_of() + 8 * index, value)

    def _created_at(self) -> float:
        """Unix time in seconds at which the series was made or reset."""
        if cython.compiled:
            return load(created_at(self.cell_of()))
        else:
            return native.record(self.cell_of()).created

    def _set_created(self, when: cython.double) -> None:
        if cython.compiled:
            store(created_at(self.cell_of()), when)
        else:
            native.record(self.cell_of()).created = when


def own_methods(cls: Any, names: tuple[str, ...]) -> None:
    """Give a class these methods of its bases as its own, those that are compiled; CPython calls them faster."""
    if cython.compiled:
        for name in names:
            method = getattr(cls, name, None)
            own = own_method(cls, method)
            if own is not method:
                setattr(cls, name, own)


def count_of(n: int, noun: str) -> str:
    return f"{n} {noun}{'' if n == 1 else 's'}"


def _label_values(family: Family, values: tuple[object, ...], named: dict[str, object]) -> tuple[str, ...]:
    """The exact str of every label value, in the order of declaration; or an error that says what is wrong."""
    names: tuple[str, ...] = family.labelnames
    what = f'{family.kind} "{family.name}" has {count_of(len(names), "label")} ({", ".join(names)})'
    if values and named:
        raise ValueError(f"{what}, got values {values} and names {named}: give either")
    if named:
        if len(named) != len(names) or not set(names).issuperset(named):
            unknown = [name for name in named if name not in names]
            missing = [name for name in names if name not in named]
            wrong = [f"no {name}" for name in missing] + [f"unknown {name}" for name in unknown]
            raise ValueError(f"{what}, got {named}: {', '.join(wrong)}")
        values = tuple([named[name] for name in names])
    elif len(values) != len(names):
        raise ValueError(f"{what}, got {count_of(len(values), 'value')}: {values}")
    return tuple([text_of(value) for value in values])


if cython.compiled:

    @cython.cfunc
    def _labels_fast(
        self: MetricBase,
        args: cython.pointer[cython.pointer[PyObject]],
        nargs: cython.Py_ssize_t,
        kwnames: cython.pointer[PyObject],
    ) -> object:
        family: Family = self._family
        table: Table
        nk: cython.Py_ssize_t = 0
        n: cython.Py_ssize_t
        i: cython.Py_ssize_t
        j: cython.Py_ssize_t
        row: cython.Py_ssize_t
        values: pyro_bytes[8]
        names: cython.pointer[PyObject]
        found: cython.pointer[PyObject]
        if kwnames != cython.NULL:
            nk = tuple_size(kwnames)
        if family is not None and not self.cell:
            n = family.nlabels
            if nargs + nk == n and 0 < n <= 8 and not (nargs and nk):
                names = cython.cast(cython.pointer[PyObject], family.labelnames)
                for i in range(n):
                    j = i
                    if nk and tuple_item(kwnames, i) != tuple_item(names, i):
                        j = 0
                        while j < n and tuple_item(kwnames, j) != tuple_item(names, i):
                            j += 1
                        if j == n:
                            break
                    if not utf8(args[j], cython.address(values[i])):
                        break
                else:
                    table = family.table
                    with cython.critical_section(table):
                        row = table.find(values, family.sorted_labels, n)
                        if 0 <= row < PyList_GET_SIZE(table.children):  # the garbage collector may have cleared it
                            child = table.children[row]
                            if child is not None:  # only another process has used it
                                return child
        given: tuple = tuple([cython.cast(object, args[i]) for i in range(nargs)])
        named: dict = {}
        for i in range(nk):
            named[cython.cast(object, tuple_item(kwnames, i))] = cython.cast(object, args[nargs + i])
        return self._labels(given, named)

    _labels_definition = cython.declare(PyMethodDef)
    install(
        MetricBase,
        cython.address(_labels_definition),
        b"labels",
        cython.cast(cython.p_void, _labels_fast),
        b"labels($self, /, *values, **named)\n--\n\nThe child for these label values, made at first use.",
    )
