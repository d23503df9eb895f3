"""The series of a family: from label values to the child that counts them.

`labels` is a metric's hot path. Its arguments are compared, as the bytes they are, with the label text of the records,
which is what a page will show; so a series is stored once, no key is kept, and nothing is built for a look-up. Only
exact `str` values without a character that needs an escape go that way; every other value goes by its escaped text.
"""

from __future__ import annotations

import time
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
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
    from cython.cimports.libc.stdlib import calloc, free, malloc, realloc
    from cython.cimports.libc.string import memcmp, memcpy
    from cython.cimports.pyrometer._core.arena_cy import Arena
    from cython.cimports.pyrometer._core.native import (
        flags,
        install_labels,
        load,
        pyro_bytes,
        set_flags,
        store,
        text,
        text_len,
        tuple_item,
        tuple_size,
        utf8,
    )
    from cython.cimports.pyrometer._core.native import created as created_at
else:
    from pyrometer._core import native
    from pyrometer._core.arena_cy import Arena
    from pyrometer._core.native import load, store

from pyrometer._core.arena_cy import RECORD_ESCAPED, RECORD_HIDDEN, RECORD_REMOVED

if cython.compiled:
    ESCAPED = cython.declare(cython.uint, RECORD_ESCAPED)
    REMOVED = cython.declare(cython.uint, RECORD_REMOVED)
    HIDDEN = cython.declare(cython.uint, RECORD_HIDDEN)
    GONE = cython.declare(cython.uint, 0xFFFFFFFF)
else:
    ESCAPED, REMOVED, HIDDEN = RECORD_ESCAPED, RECORD_REMOVED, RECORD_HIDDEN

FAST_LABELS = 8
"""A family with more labels than this finds its children by their text."""
OVERFLOW = "__overflow__"
"""The value of every label of the child that counts what came past `max_series`."""


def escape(value: str) -> bytes:
    """A label value as the text formats write it: UTF-8, with escapes for backslash, quote and newline."""
    raw = value.encode()
    if b"\\" in raw or b'"' in raw or b"\n" in raw:
        return raw.replace(b"\\", b"\\\\").replace(b"\n", b"\\n").replace(b'"', b'\\"')
    return raw


def unescape(value: bytes) -> str:
    """The label value that `escape` wrote."""
    if b"\\" not in value:
        return value.decode()
    parts = value.split(b"\\\\")
    return b"\\".join(part.replace(b"\\n", b"\n").replace(b'\\"', b'"') for part in parts).decode()


def text_of(value: object) -> str:
    """What `str()` gives for a label value, as an exact str that UTF-8 can hold.

    A lone surrogate, which a client can send, becomes U+FFFD.
    """
    result = str(value)
    if result.isascii():
        return result if type(result) is str else "".join((result, ""))
    return result.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


@cython.final
@cython.no_gc_clear
@cython.cclass
class Family:
    """One metric family: what it is called, and its series in the order in which they were first used.

    `lines` says what a page shows of a series: tuples (suffix, value of the extra label or None, source, cell), where
    source is one of VALUE, CREATED, BUCKET, COUNT, STATE of `render_cy`. Safe to use from many threads.
    """

    if not cython.compiled:
        __slots__ = (
            "__weakref__",
            "arena",
            "bounds",
            "cell_list",
            "cells",
            "children",
            "defined_at",
            "definition",
            "detached",
            "documentation",
            "exemplars",
            "extra_label",
            "functions",
            "handle",
            "hidden",
            "index",
            "infos",
            "kind",
            "labelnames",
            "literals",
            "live",
            "max_series",
            "name",
            "nlabels",
            "on_overflow",
            "order",
            "read_only",
            "unit",
            "lines",
        )

    def __init__(
        self,
        arena: Arena,
        kind: str,
        name: str,
        documentation: str,
        unit: str,
        labelnames: tuple,
        lines: tuple,
        cells: cython.size_t,
        extra_label: str = "",
        bounds: tuple = (),
        max_series: object = None,
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
        self.detached = None
        self.infos = {}
        self.definition = None
        self.handle = None
        self.defined_at = None
        self.hidden = 0
        self.live = 0
        self.children = []
        self.nlabels = len(labelnames)
        # Pages list labels by name, whatever the order in which they were declared.
        self.order = tuple(sorted(range(len(labelnames)), key=labelnames.__getitem__))
        self.literals = tuple(
            [f"""{'",' if place else ""}{_quoted(labelnames[i])}=\"""".encode() for place, i in enumerate(self.order)]
        )
        if cython.compiled:
            i: cython.Py_ssize_t
            self.nbounds = len(bounds)
            self.bounds = cython.cast(
                cython.pointer[cython.double], malloc(max(1, len(bounds)) * cython.sizeof(cython.double))
            )
            self.mask = 7
            self.slots = cython.cast(cython.pointer[Slot], calloc(8, cython.sizeof(Slot)))
            if self.bounds == cython.NULL or self.slots == cython.NULL:
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
            self.index = {}
            self.cell_list = []

    def __dealloc__(self):
        if cython.compiled:
            free(self.bounds)
            free(self.slots)
            free(self.rows)

    # ---- look-up

    if cython.compiled:

        @cython.cfunc
        @cython.exceptval(check=False)
        def find(self, values: cython.pointer[pyro_bytes], hash: uint32_t) -> cython.Py_ssize_t:
            """The row with these values (in the order of their declaration), or -1."""
            place: cython.size_t = hash & self.mask
            row: cython.size_t
            i: cython.Py_ssize_t
            n: cython.Py_ssize_t = self.nlabels
            total: cython.size_t = 1
            cell: cython.size_t
            at: cython.p_char
            span: cython.pointer[pyro_bytes]
            for i in range(n):
                total += self.spans[i].size + values[i].size
            while self.slots[place].row:
                if self.slots[place].hash == hash and self.slots[place].row != GONE:
                    row = self.slots[place].row - 1
                    cell = self.rows[row]
                    if text_len(cell) == total and not flags(cell) & ESCAPED:
                        at = text(cell)
                        for i in range(n):
                            span = cython.address(self.spans[i])
                            if memcmp(at, span.data, span.size) != 0:
                                break
                            at += span.size
                            span = cython.address(values[self.sorted_labels[i]])
                            if memcmp(at, span.data, span.size) != 0:
                                break
                            at += span.size
                        else:
                            return row
                place = (place + 1) & self.mask
            return -1

        @cython.cfunc
        @cython.exceptval(check=False)
        def find_text(self, label_text: bytes, hash: uint32_t) -> cython.Py_ssize_t:
            """The row with this label text, or -1."""
            place: cython.size_t = hash & self.mask
            row: cython.size_t
            cell: cython.size_t
            length: cython.size_t = len(label_text)
            wanted: cython.p_char = label_text
            while self.slots[place].row:
                if self.slots[place].hash == hash and self.slots[place].row != GONE:
                    row = self.slots[place].row - 1
                    cell = self.rows[row]
                    if text_len(cell) == length and memcmp(text(cell), wanted, length) == 0:
                        return row
                place = (place + 1) & self.mask
            return -1

        @cython.cfunc
        @cython.exceptval(check=False)
        def place(self, hash: uint32_t, row: cython.size_t) -> cython.int:
            at: cython.size_t = hash & self.mask
            while self.slots[at].row:
                at = (at + 1) & self.mask
            self.slots[at].hash = hash
            self.slots[at].row = row + 1
            self.used += 1
            return 0

        @cython.cfunc
        @cython.exceptval(-1, check=False)
        def grow_slots(self) -> cython.int:
            """Make room for one more; drops the slots of removed rows."""
            old: cython.pointer[Slot] = self.slots
            size: cython.size_t = self.mask + 1
            i: cython.size_t
            wanted: cython.size_t = 8
            while wanted < (self.live + 1) * 2:
                wanted *= 2
            fresh = cython.cast(cython.pointer[Slot], calloc(wanted, cython.sizeof(Slot)))
            if fresh == cython.NULL:
                raise MemoryError
            self.slots = fresh
            self.mask = wanted - 1
            self.used = 0
            for i in range(size):
                if old[i].row and old[i].row != GONE:
                    self.place(old[i].hash, old[i].row - 1)
            free(old)
            return 0

        @cython.cfunc
        @cython.exceptval(-1, check=False)
        def compact(self) -> cython.int:
            """Close the holes that removed rows left, keeping the order of the others."""
            moved = cython.cast(cython.pointer[uint32_t], malloc((self.count + 1) * cython.sizeof(uint32_t)))
            i: cython.Py_ssize_t
            n: cython.Py_ssize_t = 0
            children: list = []
            if moved == cython.NULL:
                raise MemoryError
            for i in range(self.count):
                moved[i] = n
                if self.rows[i]:
                    self.rows[n] = self.rows[i]
                    children.append(self.children[i])
                    n += 1
            place: cython.size_t
            for place in range(self.mask + 1):
                if self.slots[place].row and self.slots[place].row != GONE:
                    self.slots[place].row = moved[self.slots[place].row - 1] + 1
            free(moved)
            self.count = n
            self.children = children
            return 0

        @cython.cfunc
        def insert(
            self,
            label_text: bytes,
            hash: uint32_t,
            record_flags: uint32_t,
            split: cython.size_t,
            created: cython.double,
            child: MetricBase,
        ) -> MetricBase:
            """Add a series with its child, unless another thread was faster; returns the child that is there."""
            row: cython.Py_ssize_t
            grown: cython.pointer[cython.size_t]
            with cython.critical_section(self):
                row = self.find_text(label_text, hash)
                if row >= 0:
                    return cython.cast(MetricBase, self.children[row])
                if self.count - self.live > 64 and self.count > 2 * self.live:
                    self.compact()
                if self.count == self.room:
                    grown = cython.cast(
                        cython.pointer[cython.size_t],
                        realloc(self.rows, (self.room * 2 + 4) * cython.sizeof(cython.size_t)),
                    )
                    if grown == cython.NULL:
                        raise MemoryError
                    self.rows = grown
                    self.room = self.room * 2 + 4
                if (self.used + 1) * 3 > (self.mask + 1) * 2:
                    self.grow_slots()
                child.cell = self.arena.allocate(
                    self.cells, label_text, len(label_text), record_flags, split, created
                )
                self.rows[self.count] = child.cell
                self.children.append(child)
                self.place(hash, self.count)
                self.count += 1
                self.live += 1
                self.text_bytes += len(label_text)
                return child

    def child(self, values: tuple, like: MetricBase, capped: bool = True) -> MetricBase:
        """The child for these values (exact str, in the order of declaration), made as `type(like)` if it is new.

        Past `max_series` the overflow child, or one that no page shows.
        """
        label_text, record_flags, split = self.text(values)
        hash: cython.uint = 0
        row: cython.Py_ssize_t
        if cython.compiled:
            for value in values:
                hash = _mix(value, hash)
            with cython.critical_section(self):
                row = self.find_text(label_text, hash)
                if row >= 0:
                    return cython.cast(MetricBase, self.children[row])
        else:
            with native.lock:
                known = self.index.get(label_text)
                if known is not None:
                    return known
        if capped and self.max_series is not None and self.live >= self.max_series:
            return self.overflow(values, like)
        child: MetricBase = type(like).__new__(type(like))
        child._family = self
        created = _now()
        if cython.compiled:
            return self.insert(label_text, hash, record_flags, split, created, child)
        with native.lock:
            if label_text in self.index:
                return self.index[label_text]
            child.cell = self.arena.allocate(self.cells, label_text, 0, record_flags, split, created)
            self.index[label_text] = child
            self.cell_list.append(child.cell)
            self.live += 1
            return child

    def overflow(self, values: tuple, like: MetricBase) -> MetricBase:
        """What stands in for a series past the cap; tells `on_overflow`, which counts it."""
        if self.on_overflow is not None:
            self.on_overflow(self, values)
        if self.kind in ("counter", "summary", "histogram"):
            return self.child((OVERFLOW,) * len(self.labelnames), like, False)
        detached: MetricBase
        if self.detached is None:
            detached = type(like).__new__(type(like))
            detached._family = self
            detached.cell = self.arena.allocate(self.cells, b"", 0, RECORD_HIDDEN, 0, 0.0)
            self.detached = detached
        return self.detached

    def text(self, values: tuple) -> tuple:
        """(label text, its flags, where `extra_label` sorts in it) of label values."""
        parts: list = []
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

    def values(self, label_text: bytes) -> tuple:
        """The label values in a label text, in the order of their declaration."""
        found: list = [""] * len(self.labelnames)
        at = 0
        for literal, i in zip(self.literals, self.order):
            at += len(literal)
            end = at
            while label_text[end] != 0x22:
                end += 2 if label_text[end] == 0x5C else 1
            found[i] = unescape(label_text[at:end])
            at = end
        return tuple(found)

    # ---- removal

    def remove_where(self, wanted: Callable[[tuple], bool] | None) -> int:
        """Remove the series whose label values `wanted` accepts, all with None; returns how many there were."""
        gone: list = []
        for cell, values in self.series():
            if wanted is None or wanted(values):
                gone.append((cell, values))
        return sum([self.remove(values) for _, values in gone])

    def remove(self, values: tuple) -> bool:
        """Remove one series. Whoever holds its child may go on counting in it; no page shows that."""
        label_text = self.text(values)[0]
        hash: cython.uint = 0
        row: cython.Py_ssize_t
        cell: cython.size_t
        place: cython.size_t
        child: MetricBase
        if not cython.compiled:
            with native.lock:
                child = self.index.pop(label_text, None)
                if child is None:
                    return False
                self.cell_list.remove(child.cell)
                self.live -= 1
                self._forget(child.cell)
                return True
        for value in values:
            hash = _mix(value, hash)
        with cython.critical_section(self):
            row = self.find_text(label_text, hash)
            if row < 0:
                return False
            cell = self.rows[row]
            place = hash & self.mask
            while self.slots[place].row != row + 1:
                place = (place + 1) & self.mask
            self.slots[place].row = GONE
            self.rows[row] = 0
            self.live -= 1
            self.text_bytes -= text_len(cell)
            if flags(cell) & HIDDEN:
                self.hidden -= 1
            set_flags(cell, flags(cell) | REMOVED)
            child = self.children[row]
            self.children[row] = None
        self._forget(cell)
        return True

    def _forget(self, cell: cython.size_t) -> None:
        self.functions.pop(cell, None)
        self.infos.pop(cell, None)
        for key in [key for key in self.exemplars if key[0] == cell]:
            del self.exemplars[key]

    # ---- what pages and collectors read

    def series(self) -> list:
        """[(cell, label values)] of every series, in the order of their making."""
        snapshot = Snapshot(self, True)
        return [(cell, self.values(label_text)) for cell, label_text, _ in snapshot.records()]

    def hide(self, cell: cython.size_t, hidden: bool) -> None:
        """Leave a series out of pages, or show it again: its callback failed, or gave a value again."""
        if cython.compiled:
            with cython.critical_section(self):
                before: cython.bint = (flags(cell) & HIDDEN) != 0
                if before != hidden and not flags(cell) & REMOVED:
                    set_flags(cell, flags(cell) ^ HIDDEN)
                    self.hidden += 1 if hidden else -1
        else:
            record = native.record(cell)
            record.flags = record.flags | RECORD_HIDDEN if hidden else record.flags & ~RECORD_HIDDEN


@cython.no_gc_clear
@cython.cclass
class MetricBase:
    """What a program holds of a metric: a family without labels, a family with labels, or a child of one.

    `cell` is the address of the first cell; a family with labels has none.
    """

    if not cython.compiled:
        __slots__ = ("_family", "cell")

        def __new__(cls, *_values: object, **_named: object) -> MetricBase:
            self = object.__new__(cls)
            self._family = None
            self.cell = 0
            return self

    def __dealloc__(self):
        if cython.compiled:
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
                f'{family.kind} "{family.name}" has {_count(len(family.labelnames), "label")} '
                f"({', '.join(family.labelnames)}): name a series with labels() first"
            )
        return self.cell

    def labels(self, *values: object, **named: object) -> MetricBase:
        return self._labels(values, named)

    def _labels(self, values: tuple, named: dict) -> MetricBase:
        family: Family = self._family
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
    def _labelvalues(self) -> tuple:
        family: Family = self._family
        if family is None or not self.cell or not family.labelnames:
            return ()
        if cython.compiled:
            return family.values(text(self.cell)[: text_len(self.cell)])
        return family.values(native.record(self.cell).text)

    @property
    def _address(self) -> int:
        return self.cell

    def _attach(self, family: Family, observable: bool) -> None:
        """Become the handle of a family; with `observable`, of its one series without labels."""
        self._family = family
        if observable:
            self.cell = family.child((), self, False)._address

    def _read(self, index: cython.size_t = 0) -> float:
        """The value of one of the cells."""
        return load(self.cell_of() + 8 * index)

    def _write(self, value: cython.double, index: cython.size_t = 0) -> None:
        """Set one of the cells."""
        store(self.cell_of() + 8 * index, value)

    def _created_at(self) -> float:
        """Unix time in seconds at which the series was made or reset."""
        if cython.compiled:
            return load(created_at(self.cell_of()))
        return native.record(self.cell).created

    def _set_created(self, when: cython.double) -> None:
        if cython.compiled:
            store(created_at(self.cell_of()), when)
        else:
            native.record(self.cell).created = when


@cython.final
@cython.cclass
class Snapshot:
    """The series of a family at one moment, in order; their values are read when a page is written.

    While it exists, no record of the arena is used for another series.
    """

    if not cython.compiled:
        __slots__ = ("cell_list", "count", "exemplars", "family")

    def __init__(self, family: Family, everything: bool = False) -> None:
        self.family = family
        self.exemplars = dict(family.exemplars) if family.exemplars else family.exemplars
        if cython.compiled:
            i: cython.Py_ssize_t
            n: cython.Py_ssize_t = 0
            cell: cython.size_t
            all_rows: cython.bint = everything
            with cython.critical_section(family):
                family.arena.enter()
                self.rows = cython.cast(
                    cython.pointer[cython.size_t], malloc((family.live + 1) * cython.sizeof(cython.size_t))
                )
                if self.rows == cython.NULL:
                    raise MemoryError
                if family.live == family.count and (all_rows or not family.hidden):
                    n = family.count
                    if n:
                        memcpy(self.rows, family.rows, n * cython.sizeof(cython.size_t))
                else:
                    for i in range(family.count):
                        cell = family.rows[i]
                        if cell and (all_rows or not flags(cell) & HIDDEN):
                            self.rows[n] = cell
                            n += 1
                self.count = n
                self.text_bytes = family.text_bytes
        else:
            with native.lock:
                self.cell_list = [
                    cell
                    for cell in family.cell_list
                    if everything or not native.record(cell).flags & RECORD_HIDDEN
                ]
            self.count = len(self.cell_list)

    def __dealloc__(self):
        if cython.compiled:
            if self.rows != cython.NULL:
                self.family.arena.leave()
                free(self.rows)

    def __len__(self) -> int:
        return self.count

    def records(self) -> list:
        """[(cell, label text, created)] of the series."""
        if not cython.compiled:
            return [(cell, native.record(cell).text, native.record(cell).created) for cell in self.cell_list]
        found: list = []
        i: cython.Py_ssize_t
        for i in range(self.count):
            label_text: bytes = text(self.rows[i])[: text_len(self.rows[i])]
            found.append((self.rows[i], label_text, load(created_at(self.rows[i]))))
        return found


def read_cell(cell: cython.size_t) -> float:
    """The value of a cell by its address."""
    return load(cell)


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}{'' if n == 1 else 's'}"


def _quoted(labelname: str) -> str:
    """A label name as pages write it; one outside the classic character set is quoted."""
    if labelname.isascii() and labelname.isidentifier():
        return labelname
    return '"' + escape(labelname).decode() + '"'


def _label_values(family: Family, values: tuple, named: dict) -> tuple:
    """The exact str of every label value, in the order of declaration; or an error that says what is wrong."""
    names: tuple = family.labelnames
    what = f'{family.kind} "{family.name}" has {_count(len(names), "label")} ({", ".join(names)})'
    if values and named:
        raise ValueError(f"{what}, got values {values} and names {named}: give either")
    if named:
        if len(named) != len(names) or any([name not in named for name in names]):
            unknown = [name for name in named if name not in names]
            missing = [name for name in names if name not in named]
            wrong = [f"no {name}" for name in missing] + [f"unknown {name}" for name in unknown]
            raise ValueError(f"{what}, got {named}: {', '.join(wrong)}")
        values = tuple([named[name] for name in names])
    elif len(values) != len(names):
        raise ValueError(f"{what}, got {_count(len(values), 'value')}: {values}")
    return tuple([text_of(value) for value in values])


def _now() -> float:
    # Milliseconds are exact enough for a counter's beginning, and are written without a search for digits.
    return round(time.time(), 3)


if cython.compiled:

    @cython.cfunc
    @cython.exceptval(check=False)
    def _mix(value: str, seed: cython.uint) -> cython.uint:
        """The hash of a label value and those before it, as `labels` computes it."""
        span: pyro_bytes
        mixed: uint32_t = seed
        if not utf8(cython.cast(cython.pointer[PyObject], value), cython.address(span), cython.address(mixed)):
            return seed ^ 0x9E3779B9  # a lone surrogate: found by its text alone
        return mixed

    @cython.cfunc
    def _labels_fast(
        self: MetricBase,
        args: cython.pointer[cython.pointer[PyObject]],
        nargs: cython.Py_ssize_t,
        kwnames: cython.pointer[PyObject],
    ) -> object:
        family: Family = self._family
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
                    with cython.critical_section(family):
                        row = family.find(values, hash)
                        if 0 <= row < PyList_GET_SIZE(family.children):
                            return family.children[row]
        given: tuple = tuple([cython.cast(object, args[i]) for i in range(nargs)])
        named: dict = {}
        for i in range(nk):
            named[cython.cast(object, tuple_item(kwnames, i))] = cython.cast(object, args[nargs + i])
        return self._labels(given, named)

    install_labels(
        MetricBase,
        cython.cast(cython.p_void, _labels_fast),
        b"labels(*values, **named)\n--\n\nThe child for these label values, made at first use.",
    )
