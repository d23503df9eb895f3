"""The series of a family: from label values to the child that counts them.

`labels` is a metric's hot path. Its arguments are compared, as the bytes they are, with the label text of the records,
which is what a page will show; so a series is stored once, no key is kept, and nothing is built for a look-up. Only
exact `str` values without a character that needs an escape go that way; every other value goes by its escaped text.
"""

from __future__ import annotations

import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from pyrometer._core import _cython as cython
    from pyrometer._samples import Exemplar
else:
    try:
        import cython
    except ImportError:
        from pyrometer._core import _cython as cython

if cython.compiled:
    from cython.cimports.cpython.list import PyList_GET_SIZE
    from cython.cimports.cpython.object import PyObject
    from cython.cimports.libc.stdint import uint32_t
    from cython.cimports.libc.stdlib import free, malloc
    from cython.cimports.pyrometer._core.arena_cy import Arena
    from cython.cimports.pyrometer._core.native import (
        PyMethodDef,
        flags,
        install,
        load,
        lower_flags,
        own_method,
        pyro_bytes,
        raise_flags,
        store,
        text,
        text_len,
        tuple_item,
        tuple_size,
        utf8,
    )
    from cython.cimports.pyrometer._core.native import created as created_at
    from cython.cimports.pyrometer._core.table_cy import Table
else:
    from pyrometer._core import native
    from pyrometer._core.arena_cy import Arena
    from pyrometer._core.native import load, lower_flags, raise_flags, store
    from pyrometer._core.table_cy import Table

from pyrometer._core.arena_cy import RECORD_ESCAPED, RECORD_HIDDEN, RECORD_REMOVED
from pyrometer._core.text_cy import escape, quoted, text_of, unescape

if cython.compiled:
    REMOVED = cython.declare(cython.uint, RECORD_REMOVED)
    HIDDEN = cython.declare(cython.uint, RECORD_HIDDEN)
else:
    REMOVED, HIDDEN = RECORD_REMOVED, RECORD_HIDDEN

FAST_LABELS = 8
"""A family with more labels than this finds its children by their text."""
OVERFLOW = "__overflow__"
"""The value of every label of the child that counts what came past `max_series`."""


@cython.final
@cython.no_gc_clear
@cython.cclass
class Family:
    """One metric family: what it is called, and its series in the order in which they were first used.

    The garbage collector does not clear a family (children need its arena to the end), so what refers back to it lies
    in containers, which are cleared: the children's list, `functions`, `kept`.

    `lines` says what a page shows of a series: tuples (suffix, value of the extra label or None, source, cell), where
    source is one of VALUE, CREATED, BUCKET, COUNT, STATE of `render_cy`. Safe to use from many threads.
    """

    if not cython.compiled:
        __slots__ = (
            "__weakref__",
            "arena",
            "bounds",
            "cells",
            "definition",
            "documentation",
            "exemplars",
            "extra_label",
            "functions",
            "kept",
            "infos",
            "kind",
            "labelnames",
            "literals",
            "table",
            "max_series",
            "name",
            "nlabels",
            "on_overflow",
            "order",
            "read_only",
            "spilled",
            "unit",
            "lines",
        )
        definition: Any
        exemplars: dict[tuple[int, int], Exemplar]
        functions: dict[int, Any]
        kept: dict[str, Any]
        infos: dict[int, dict[str, str]]
        literals: tuple[bytes, ...]
        on_overflow: Callable[[Family, tuple[str, ...]], None] | None
        order: tuple[int, ...]
        read_only: bool

    def __init__(
        self,
        arena: Arena,
        kind: str,
        name: str,
        documentation: str,
        unit: str,
        labelnames: tuple[str, ...],
        lines: tuple[tuple[str, str | None, int, int], ...],
        cells: cython.size_t,
        extra_label: str = "",
        bounds: tuple[float, ...] = (),
        max_series: int | None = None,
    ) -> None:
        self.arena = arena
        self.kind = kind
        self.name = name
        self.documentation = documentation
        self.unit = unit
        self.labelnames = labelnames
        self.lines = lines
        self.extra_label = extra_label
        self.cells = cells
        self.max_series = max_series
        self.on_overflow = None
        self.functions = {}
        self.exemplars = {}
        self.read_only = False
        self.infos = {}
        self.definition = None
        self.kept = {}
        self.spilled = 0
        self.table = Table()
        self.nlabels = len(labelnames)
        # Pages list labels by name, whatever the order in which they were declared.
        self.order = tuple(sorted(range(len(labelnames)), key=labelnames.__getitem__))
        self.literals = tuple(
            [f"""{'",' if place else ""}{quoted(labelnames[i])}=\"""".encode() for place, i in enumerate(self.order)]
        )
        if cython.compiled:
            i: cython.Py_ssize_t
            self.nbounds = len(bounds)
            self.bounds = cython.cast(
                cython.pointer[cython.double], malloc(max(1, len(bounds)) * cython.sizeof(cython.double))
            )
            if self.bounds == cython.NULL:
                raise MemoryError
            for i in range(len(bounds)):
                self.bounds[i] = bounds[i]
            if self.nlabels <= FAST_LABELS:
                for i in range(self.nlabels):
                    self.sorted_labels[i] = self.order[i]
                    literal: bytes = self.literals[i]
                    self.spans[i].data = literal
                    self.spans[i].size = len(literal)
        else:
            self.bounds = bounds

    def __reduce__(self) -> Any:
        raise TypeError("a family is neither copied nor pickled: its cells are in one place")

    if cython.compiled:

        def __dealloc__(self):
            # No child is left that could count: they hold their family.
            i: cython.Py_ssize_t
            if self.table is not None and self.arena is not None:
                for i in range(self.table.count):
                    if self.table.rows[i]:
                        self.arena.release(self.table.rows[i])
            free(self.bounds)

    def child(self, values: tuple[str, ...], like: MetricBase, capped: bool = True) -> MetricBase:
        """The child for these values (exact str, in the order of declaration), made as `type(like)` if it is new.

        Past `max_series` the overflow child, or one that no page shows.
        """
        label_text, record_flags, split = self.text(values)
        hash = _hash(values)
        found: MetricBase | None = self.table.get(label_text, hash)
        if found is not None:
            return found
        if capped and self.max_series is not None and self.table.live - self.spilled >= self.max_series:
            return self.overflow(values, like)
        child: MetricBase = type(like).__new__(type(like))
        child._family = self
        # Milliseconds are exact enough for a counter's beginning, and are written without a search for digits.
        created: cython.double = round(time.time(), 3)
        attributes = getattr(like, "__dict__", None)
        if attributes:  # of a subclass, which its __init__ has set
            child.__dict__.update(attributes)
        try:
            child.cell = self.arena.allocate(self.cells, label_text, len(label_text), record_flags, split, created)
        except MemoryError:
            if capped and self.labelnames:
                return self.overflow(values, like)
            raise
        try:
            found = self.table.insert(label_text, hash, child.cell, child)
        finally:
            if found is not child:  # another thread or a signal handler was faster, or there was no memory
                self.arena.release(child.cell)
                child.cell = 0
        return found

    def overflow(self, values: tuple[str, ...], like: MetricBase) -> MetricBase:
        """What stands in for a series past the cap; tells `on_overflow`, which counts it."""
        if self.on_overflow is not None:
            self.on_overflow(self, values)
        if self.kind in ("counter", "summary", "histogram"):
            self.spilled = 1  # the overflow child is not one of those the cap counts
            return self.child((OVERFLOW,) * len(self.labelnames), like, False)
        detached: MetricBase | None = self.kept.get("detached")
        if detached is None:
            detached = type(like).__new__(type(like))
            detached._family = self
            label_text = self.text((OVERFLOW,) * len(self.labelnames))[0]
            # Removed from the start: no page has it, and it is given back with its child.
            detached.cell = self.arena.allocate(self.cells, label_text, len(label_text), RECORD_REMOVED, 0, 0.0)
            detached = self.kept.setdefault("detached", detached)
        return detached

    def text(self, values: tuple[str, ...]) -> tuple[bytes, int, int]:
        """(label text, its flags, where `extra_label` sorts in it) of label values."""
        parts: list[bytes] = []
        size = split = 0
        record_flags = 0
        for literal, i in zip(self.literals, self.order):
            value = values[i]
            raw = escape(value)
            if b"\\" in raw:
                record_flags = RECORD_ESCAPED
            parts.append(literal)
            parts.append(raw)
            size += len(literal) + len(raw)
            if self.labelnames[i] < self.extra_label:
                split = size + 1
        if parts:
            parts.append(b'"')
        return b"".join(parts), record_flags, split

    def values(self, label_text: bytes) -> tuple[str, ...]:
        """The label values in a label text, in the order of their declaration."""
        found: list[str] = [""] * len(self.labelnames)
        at = 0
        if not label_text:  # a family without labels; interpreted, also a record that went before its child
            return tuple(found)
        for literal, i in zip(self.literals, self.order):
            at += len(literal)
            end = at
            while label_text[end] != 0x22:
                end += 2 if label_text[end] == 0x5C else 1
            found[i] = unescape(label_text[at:end])
            at = end
        return tuple(found)

    # ---- removal

    def remove_where(self, wanted: Callable[[tuple[str, ...]], bool] | None) -> int:
        """Remove the series whose label values `wanted` accepts, all with None; returns how many there were."""
        gone = [values for _, values in self.series() if wanted is None or wanted(values)]
        return sum([self.remove(values) for values in gone])

    def remove(self, values: tuple[str, ...]) -> bool:
        """Remove one series. Whoever holds its child may go on counting in it; no page shows that."""
        if not self.labelnames:
            return False
        label_text = self.text(values)[0]
        child: MetricBase | None = self.table.pop(label_text, _hash(values))
        if child is None:
            return False
        raise_flags(child.cell, REMOVED)
        if values == (OVERFLOW,) * len(values):
            self.spilled = 0
        self.functions.pop(child.cell, None)
        self.infos.pop(child.cell, None)
        for index in range(self.cells):
            self.exemplars.pop((child.cell, index), None)
        return True

    # ---- what pages and collectors read

    def series(self) -> list[tuple[MetricBase, tuple[str, ...]]]:
        """[(child, label values)] of every series, in the order of their making."""
        return [(child, child._labelvalues) for child in self.table.all()]

    def hide(self, child: MetricBase, hidden: bool) -> None:
        """Leave a series out of pages, or show it again: its callback failed, or gave a value again."""
        if hidden:
            raise_flags(child.cell, HIDDEN)
        else:
            lower_flags(child.cell, HIDDEN)


@cython.no_gc_clear
@cython.cclass
class MetricBase:
    """What a program holds of a metric: a family without labels, a family with labels, or a child of one.

    `cell` is the address of the first cell; a family with labels has none.
    """

    if not cython.compiled:
        __slots__ = ("_family", "cell")
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
            if self.cell and self._family is not None and flags(self.cell) & REMOVED:
                self._family.arena.release(self.cell)

    @cython.cfunc
    @cython.exceptval(0, check=False)
    def cell_of(self) -> cython.size_t:
        """The first cell; an error for a family with labels, of which no series was named."""
        if not self.cell:
            if self._family is None:
                raise ValueError(f"{type(self).__name__}: used before it was constructed")
            family = self._family
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
        return family.child(_label_values(family, values, named), self)

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
        if observable:
            self.cell = family.child((), self, False)._address

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
    @cython.exceptval(check=False)
    def _hash(values: tuple) -> cython.uint:
        """The hash of label values (exact str that UTF-8 can hold), as `labels` computes it."""
        span: pyro_bytes
        mixed: uint32_t = 0
        i: cython.Py_ssize_t
        for i in range(len(values)):
            utf8(
                tuple_item(cython.cast(cython.pointer[PyObject], values), i),
                cython.address(span),
                cython.address(mixed),
            )
        return mixed

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
        hash: uint32_t = 0
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
                    if not utf8(args[j], cython.address(values[i]), cython.address(hash)):
                        break
                else:
                    table = family.table
                    with cython.critical_section(table):
                        row = table.find(family.spans, values, family.sorted_labels, n, hash)
                        if 0 <= row < PyList_GET_SIZE(table.children):  # the garbage collector may have cleared it
                            return table.children[row]
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

else:

    def _hash(_values: tuple[str, ...]) -> int:
        """A dict has hashes of its own."""
        return 0
