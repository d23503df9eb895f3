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
    from cython.cimports.libc.string import memcmp
    from cython.cimports.posix.unistd import getpid
    from cython.cimports.pyrometer._core.arena_cy import Arena
    from cython.cimports.pyrometer._core.native import (
        HEAD,
        PyMethodDef,
        exchange,
        flags,
        head_of,
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
        word,
    )
    from cython.cimports.pyrometer._core.native import add as add_to
    from cython.cimports.pyrometer._core.native import created as created_at
    from cython.cimports.pyrometer._core.native import split as split_of
    from cython.cimports.pyrometer._core.notes_cy import read_note, write_note
    from cython.cimports.pyrometer._core.record_cy import free_private, new_private
    from cython.cimports.pyrometer._core.slots_cy import add_handle, drop_handle, fork_count
    from cython.cimports.pyrometer._core.table_cy import Child, Table
else:
    from pyrometer._core import native
    from pyrometer._core.arena_cy import Arena
    from pyrometer._core.native import load, lower_flags, raise_flags, store
    from pyrometer._core.table_cy import Child, Table

from pyrometer._core import layout
from pyrometer._core.layout import RECORD_ESCAPED, RECORD_HIDDEN, RECORD_REMOVED
from pyrometer._core.news import refresh
from pyrometer._core.text_cy import escape, quoted, text_of, unescape

if cython.compiled:
    ESCAPED = cython.declare(uint32_t, RECORD_ESCAPED)
    REMOVED = cython.declare(uint32_t, RECORD_REMOVED)
    HIDDEN = cython.declare(uint32_t, RECORD_HIDDEN)
    FAMILY = cython.declare(uint32_t, layout.RECORD_FAMILY)
    PART = cython.declare(uint32_t, layout.RECORD_PART)
    NOTE = cython.declare(uint32_t, layout.RECORD_NOTE)
    PRIVATE = cython.declare(uint32_t, layout.RECORD_PRIVATE)
    DETACHED = cython.declare(uint32_t, layout.RECORD_PRIVATE | RECORD_REMOVED)
    FAMILY_CELLS = cython.declare(cython.size_t, layout.SLOT_COUNT // 64)
    NOTE_CELLS = cython.declare(cython.size_t, layout.NOTE_CELLS)
    AT_START = cython.declare(cython.size_t, layout.AT_START)
    AT_NAMESPACE = cython.declare(cython.size_t, layout.AT_NAMESPACE)
else:
    REMOVED, HIDDEN = RECORD_REMOVED, RECORD_HIDDEN

PART_CELLS = layout.PART_CELLS
NOTE_ROOM = 96
"""Bytes for the text of a note, at least, so that the next one has room."""
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
            "enrolled",
            "extra_label",
            "functions",
            "kept",
            "kind",
            "labelnames",
            "lines",
            "literals",
            "max_series",
            "mode",
            "name",
            "nlabels",
            "notes",
            "offset",
            "on_overflow",
            "order",
            "others",
            "parts",
            "read_only",
            "table",
            "unit",
        )
        definition: Any
        functions: dict[int, Any]
        kept: dict[str, Any]
        literals: tuple[bytes, ...]
        notes: dict[tuple[int, int], Any]
        on_overflow: Callable[[Family, tuple[str, ...]], None] | None
        enrolled: bool
        offset: int
        order: tuple[int, ...]
        others: dict[int, bytes]
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
        mode: str = "",
    ) -> None:
        self.arena = arena
        self.kind = kind
        self.name = name
        self.documentation = documentation
        self.unit = unit
        self.labelnames = labelnames
        self.lines = lines
        self.extra_label = extra_label
        self.cells = PART_CELLS if mode else cells
        self.max_series = max_series
        self.mode = mode
        self.parts = bool(mode)
        self.on_overflow = None
        self.functions = {}
        self.notes = {}
        self.others = {}
        self.read_only = False
        self.definition = None
        self.kept = {}
        self.offset = 0
        self.enrolled = False
        self.nlabels = len(labelnames)
        # Pages list labels by name, whatever the order in which they were declared.
        self.order = tuple(sorted(range(len(labelnames)), key=labelnames.__getitem__))
        self.literals = tuple(
            [f"""{'",' if place else ""}{quoted(labelnames[i])}=\"""".encode() for place, i in enumerate(self.order)]
        )
        if cython.compiled:
            i: cython.Py_ssize_t
            self.table = Table(self.literals, arena.secret())
            self.nbounds = len(bounds)
            self.forks = fork_count()
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
        else:
            self.table = Table(self.literals, 0)
            self.bounds = bounds

    def __reduce__(self) -> Any:
        raise TypeError("a family is neither copied nor pickled: its cells are in one place")

    if cython.compiled:

        def __dealloc__(self):
            # No child is left that could count: they hold their family.
            i: cython.Py_ssize_t
            if self.table is not None and self.arena is not None and not self.enrolled and self.arena.lock():
                self.arena.catch_up()
                for i in range(self.table.count):
                    if self.table.rows[i]:
                        if flags(self.table.rows[i]) & PRIVATE:
                            if self.table.children[i] is None:
                                free_private(self.table.rows[i])
                        elif self.arena.is_current():
                            self.arena.remove(self.table.rows[i])
                if self.offset and self.arena.is_current():
                    self.arena.remove(self.arena.at + self.offset + HEAD)
                self.arena.unlock()
            free(self.bounds)

    # ---- its record, by which other processes know it

    def enroll(self, fields: bytes, key: Any) -> bool:
        """Have a record in the arena, the one of this definition where there is one; whether it has.

        `fields` is what `layout.packed` makes of the definition; `key` takes the fields of another and says whether
        they are of the same.
        """
        if not cython.compiled:
            self.enrolled = True
            return True
        else:
            offset: cython.size_t = 0
            cell: cython.size_t
            wanted: cython.p_char = fields
            length: cython.size_t = len(fields)
            for attempt in range(20):
                refresh(self.arena)
                for known, others in list(self.arena.definitions.items()):
                    # One that no process has any more begins anew.
                    if key(others) and not self.arena.record(known)[0] & RECORD_HIDDEN:
                        offset = known
                if offset:
                    break
                if not self.arena.lock():
                    break
                try:
                    self.arena.catch_up()
                    # Another process may have made it just now: then it is told of, and looked for once more.
                    if self.arena.is_current() and not self.arena.has_news():
                        cell = self.arena.make(FAMILY, 0, FAMILY_CELLS, wanted, length, 0, round(time.time(), 3))
                        if cell:
                            offset = cell - HEAD - self.arena.at
                            self.arena.tell(offset)
                        else:
                            break
                finally:
                    self.arena.unlock()
            self.pending = None if offset else (fields, key)
            if not offset:
                return False
            self.take(offset)
            return True

    def take(self, offset: int, using: bool = True) -> None:
        """Have the record at this offset; with `using` this process counts in it, and it lives as long as that."""
        if cython.compiled:
            self.offset = offset
            refresh(self.arena)
            self.reinstate(using)

    def withdraw(self) -> None:
        """Be no family of this process's pages any more; where no other process has it, its series end with it."""
        if not cython.compiled:
            self.enrolled = False
        elif self.offset and self.enrolled:
            self.enrolled = False
            self.arena.families.pop(self.offset, None)
            self.arena.tables.pop(self.offset, None)
            self.arena.mark(self.offset, False)
            self.arena.revision += 1
            if self.arena.is_used(self.offset):
                self.enrolled = True  # its series are not this process's to remove
            else:
                raise_flags(self.arena.at + self.offset + HEAD, HIDDEN)

    def reinstate(self, using: bool = True) -> None:
        """Be a family of this process's pages, again or for the first time."""
        self.enrolled = True
        if cython.compiled and self.offset:
            self.arena.families[self.offset] = self
            self.arena.tables[self.offset] = self.table
            self.arena.revision += 1
            if using:
                lower_flags(self.arena.at + self.offset + HEAD, HIDDEN)
                self.arena.mark(self.offset, True)
            self.arena.look_again()

    def is_withdrawn(self) -> bool:
        """Whether no process has it registered any more."""
        return cython.compiled and self.offset != 0 and flags(self.arena.at + self.offset + HEAD) & HIDDEN != 0

    if not cython.compiled:

        def move(self, _arena: Arena) -> None:
            """Cells of this process lie where they lie."""

        def arrive(self) -> None:
            """And nothing has to be brought."""

        def end(self) -> None:
            """Nobody else could have it."""

        def bury_parts(self) -> None:
            """No other process has any."""

    else:

        def end(self) -> None:
            """Remove all series and the family itself: nobody has it any more."""
            i: cython.Py_ssize_t
            cell: cython.size_t
            gone: list = []
            if not self.arena.lock():
                return
            try:
                self.arena.catch_up()
                if self.arena.is_current():
                    for i in range(self.table.count):
                        cell = self.table.rows[i]
                        if cell and not flags(cell) & PRIVATE:
                            gone.append(self.table.drop(cell))
                            self.others.pop(cell, None)
                            self.arena.remove(cell)
                    for cell in [*self.notes.values(), *self.others]:
                        self.arena.remove(cell)
                    self.notes.clear()
                    self.others.clear()
                    self.arena.remove(self.arena.at + self.offset + HEAD)
                    self.arena.definitions.pop(self.offset, None)
                    self.arena.families.pop(self.offset, None)
                    self.arena.tables.pop(self.offset, None)
            finally:
                self.arena.unlock()

        def move(self, arena: Arena) -> None:
            """Move to another arena, with the series this process has and what they count.

            What counts up is taken out of the old cells, so that each process that moves takes what is there.
            """
            before: Arena = self.arena
            old: Table = self.table
            i: cython.Py_ssize_t
            k: cython.size_t
            cell: cython.size_t
            own: Child
            notes = self.read_notes()
            before.families.pop(self.offset, None)
            before.tables.pop(self.offset, None)
            self.arena = arena
            self.table = Table(self.literals, arena.secret())
            self.offset = 0
            self.enrolled = False
            self.notes.clear()
            self.others.clear()
            self.waiting = []
            for i in range(old.count):
                cell = old.rows[i]
                if self.parts and old.children[i] is not None:
                    own = old.children[i]
                    drop_handle(before.attachment, cython.address(own.cell))
                if cell:
                    label_text = text(cell)[: text_len(cell)]
                    values = [
                        load(cell + 8 * k) if self.kind in ("gauge", "stateset") else exchange(cell + 8 * k, 0.0)
                        for k in range(1 if self.parts else self.cells)
                    ]
                    if self.kind in ("gauge", "stateset") and not self.parts:
                        if flags(cell) & HIDDEN:
                            values = []
                        raise_flags(cell, HIDDEN)
                    own_notes = [(key[1], note) for key, note in notes.items() if key[0] == cell]
                    self.waiting.append(
                        (old.children[i], label_text, flags(cell) & ESCAPED, split_of(cell), values, own_notes)
                    )

        def arrive(self) -> None:
            """After a move: have in the new arena what was counted in the old one."""
            k: cython.size_t
            own: MetricBase
            waiting, self.waiting = self.waiting, []
            for child, label_text, escaped, split, values, notes in waiting:
                if child is None:
                    child = (
                        type(self.kept["handle"]).__new__(type(self.kept["handle"]))
                        if "handle" in self.kept
                        else MetricBase.__new__(MetricBase)
                    )
                    cython.cast(MetricBase, child)._family = self
                own = child
                self.place(own, label_text, escaped, split, False)
                for k in range(len(values)):
                    if self.kind in ("gauge", "stateset"):
                        store(own.cell + 8 * k, values[k])
                    else:
                        add_to(own.cell + 8 * k, values[k])
                for index, (data, value, stamp) in notes:
                    self.put_note(own, index, data, value, stamp)

    @property
    def made(self) -> int:
        """A number that is higher for a family defined later, by whatever process."""
        if cython.compiled and self.offset:
            return head_of(self.arena.at + self.offset + HEAD).made
        return 0

    # ---- series

    def child(self, values: tuple[str, ...], like: MetricBase, capped: bool = True) -> MetricBase:
        """The child for these values (exact str, in the order of declaration), made as `type(like)` if it is new.

        Past `max_series` the overflow child, or one that no page shows.
        """
        label_text, record_flags, split = self.text(values)
        child: MetricBase = type(like).__new__(type(like))
        child._family = self
        attributes = getattr(like, "__dict__", None)
        if attributes:  # of a subclass, which its __init__ has set
            child.__dict__.update(attributes)
        found: MetricBase | None = self.place(child, label_text, record_flags, split, capped)
        if found is None:
            return self.overflow(values, like)
        return found

    if not cython.compiled:

        def place(
            self, child: MetricBase, label_text: bytes, record_flags: int, split: int, capped: bool
        ) -> MetricBase | None:
            found: MetricBase | None = self.table.get(label_text)
            if found is not None:
                return found
            if capped and self._is_full():
                return None
            # Milliseconds are exact enough for a counter's beginning, and are written without a search for digits.
            child.cell = self.arena.allocate(self.cells, label_text, record_flags, split, round(time.time(), 3))
            found = self.table.insert(label_text, child)
            if found is not child:  # another thread or a signal handler was faster
                self.arena.release(child.cell)
                child.cell = 0
            return found

        def _is_full(self) -> bool:
            spilled = self.table.get(self.text((OVERFLOW,) * len(self.labelnames))[0]) is not None
            return self.max_series is not None and self.table.live - spilled >= self.max_series

        def present(self) -> list[tuple[str, ...]]:
            return [self.values(native.record(child.cell).text) for child in self.table.all()]

        def remove(self, values: tuple[str, ...], own: bool = False) -> bool:
            if not self.labelnames:
                return False
            child: MetricBase | None = self.table.pop(self.text(values)[0])
            if child is None:
                return False
            raise_flags(child.cell, REMOVED)
            self._forget(child.cell)
            return True

        def hide_all(self) -> None:
            for child in self.table.all():
                raise_flags(child.cell, HIDDEN)

        def put_note(self, child: MetricBase, index: int, data: bytes, value: float, stamp: float) -> None:
            if not native.flags(child.cell) & REMOVED:
                self.notes[(child.cell, index)] = (data, value, stamp)

        def read_notes(self) -> dict[tuple[int, int], tuple[bytes, float, float]]:
            return dict(self.notes)

        def each_part(self) -> list[tuple[tuple[str, ...], int, bool, float, float]]:
            import os

            records = [(child.cell, native.record(child.cell)) for child in self.table.all()]
            return [
                (self.values(record.text), os.getpid(), True, load(cell), load(cell + 8))
                for cell, record in records
                if not record.flags & HIDDEN
            ]

    else:

        def place(
            self,
            child: MetricBase,
            label_text: bytes,
            record_flags: uint32_t,
            split: cython.size_t,
            capped: cython.bint,
        ) -> object:
            """The child of the series with this label text, `child` where it is new; None where there may be no more.

            Where its place cannot be had in time it counts in memory of this process, until there is one.
            """
            wanted: cython.p_char = label_text
            length: cython.size_t = len(label_text)
            hash: uint32_t = self.table.hash_of(wanted, length, record_flags & ESCAPED)
            row: cython.Py_ssize_t
            cell: cython.size_t = 0
            parked: cython.bint = False
            locked: cython.bint
            # Milliseconds are exact enough for a counter's beginning, and are written without a search for digits.
            created: cython.double = round(time.time(), 3)
            if self.forks != fork_count():
                self._after_fork()
            refresh(self.arena)
            if self.arena.parked:
                settle(self.arena)
            self.table.tidy()
            row = self.table.find_text(wanted, length, hash)
            if row < 0:
                if capped and self._is_full():
                    return None
                locked = self.arena.lock()
                try:
                    if locked:
                        self.arena.catch_up()
                    row = self.table.find_text(wanted, length, hash)
                    if row < 0:
                        if capped and self._is_full():
                            return None
                        if locked and self.arena.is_current() and self.pending is None:
                            cell = self.arena.make(
                                record_flags | (PART if self.parts else 0),
                                self.offset,
                                self.cells,
                                wanted,
                                length,
                                split,
                                created,
                            )
                            if cell == 0 and capped and self.nlabels:
                                return None  # the arena is full
                        if cell == 0:
                            parked = True
                            cell = new_private(self.cells, wanted, length, record_flags, split, created)
                            if cell == 0:
                                raise MemoryError
                        row = self.table.append(cell, child)
                        child.cell = cell
                        if self.parts and not parked:
                            self._own(child)
                finally:
                    if locked:
                        self.arena.unlock()
                if parked:
                    self.arena.park(self, child)
            found = self.table.children[row]
            if found is None:
                child.cell = self.table.rows[row]
                self.table.children[row] = child
                return child
            return found

        @cython.cfunc
        @cython.exceptval(check=False)
        def _is_full(self) -> cython.bint:
            if self.max_series is None or self.table.live < self.max_series:
                return False
            # The overflow child is not one of those the cap counts.
            overflow: bytes = self.text((OVERFLOW,) * len(self.labelnames))[0]
            hash: uint32_t = self.table.hash_of(overflow, len(overflow), False)
            spilled: cython.Py_ssize_t = 1 if self.table.find_text(overflow, len(overflow), hash) >= 0 else 0
            return self.table.live - spilled >= self.max_series

        def present(self) -> list:
            """The label values of every series, in the order of their making."""
            i: cython.Py_ssize_t
            texts: list = []
            refresh(self.arena)
            self.table.tidy()
            for i in range(self.table.count):
                if self.table.rows[i]:
                    texts.append(text(self.table.rows[i])[: text_len(self.table.rows[i])])
            return [self.values(label_text) for label_text in texts]

        def remove(self, values: tuple, own: bool = False) -> bool:
            """Remove one series, for all processes; whether there was one. With `own`, this process's part alone.

            Whoever holds its child may go on counting in it; no page shows that.
            """
            row: cython.Py_ssize_t
            cell: cython.size_t
            part: cython.size_t
            hash: uint32_t
            gone: object = None
            done: cython.bint = False
            if not self.labelnames:
                return False
            label_text, record_flags, _ = self.text(values)
            hash = self.table.hash_of(label_text, len(label_text), record_flags & ESCAPED)
            refresh(self.arena)
            parts: list = []
            if not own:
                parts = [each for each, part_text in self.others.items() if part_text == label_text]
            locked: cython.bint = self.arena.lock()
            try:
                if locked:
                    self.arena.catch_up()
                row = self.table.find_text(label_text, len(label_text), hash)
                if row < 0 and not parts:
                    return False
                cell = self.table.rows[row] if row >= 0 else 0
                done = locked and self.arena.is_current()
                if done:
                    # Let go of first: once it is removed it may be used again.
                    if cell:
                        gone = self.table.drop(cell)
                        self.others.pop(cell, None)
                        if not flags(cell) & PRIVATE:
                            self.arena.remove(cell)
                    for part in parts:
                        if part != cell:
                            self.others.pop(part, None)
                            self.arena.remove(part)
                elif cell:
                    raise_flags(cell, HIDDEN)
            finally:
                if locked:
                    self.arena.unlock()
            if not done:  # for now it is only out of sight
                self.arena.parked.append((self, values))
            if gone is not None and flags(cython.cast(Child, gone).cell) & PRIVATE:
                raise_flags(cython.cast(Child, gone).cell, REMOVED)
            self._forget(cell)
            if self.parts:
                self.functions.pop(values, None)
            return True

        def hide_all(self) -> None:
            """Leave all series out of pages: their callback failed."""
            i: cython.Py_ssize_t
            for i in range(self.table.count):
                if self.table.rows[i]:
                    raise_flags(self.table.rows[i], HIDDEN)

        # ---- notes: text that belongs to a series

        def put_note(self, child: MetricBase, index: cython.size_t, data: bytes, value: float, stamp: float) -> None:
            """Set the note of a cell in place of the one before: text, a value, and a Unix time in seconds."""
            note: cython.size_t
            cell: cython.size_t = child.cell_of()
            if flags(cell) & (REMOVED | PRIVATE):
                return
            key = (cell, index)
            note = self.notes.get(key, 0)
            if note and write_note(note, data, value, stamp):
                return
            if not self.arena.lock():
                return  # the next one will be
            try:
                self.arena.catch_up()
                if self.arena.is_current() and not flags(cell) & REMOVED:
                    if note:
                        self.arena.remove(note)
                        self.notes.pop(key, None)
                    room = data + bytes(max(0, NOTE_ROOM - len(data)))
                    note = self.arena.make(NOTE, self.offset, NOTE_CELLS, room, len(room), 0, stamp)
                    if note:
                        store(note, cell - HEAD - self.arena.at)
                        store(note + 8, index)
                        write_note(note, data, value, stamp)
                        self.notes[key] = note
            finally:
                self.arena.unlock()

        def read_notes(self) -> dict:
            """{(cell, index): (text, value, Unix time)} of the notes that can be read now."""
            if not self.notes:
                return {}
            found: dict = {}
            for key, note in list(self.notes.items()):
                content = read_note(note)
                if content is not None:
                    found[key] = content
            return found

        def find_note(self, offset: cython.size_t) -> None:
            """Another process made a note."""
            note: cython.size_t = self.arena.at + offset + HEAD
            target: cython.size_t = cython.cast(cython.size_t, load(note))
            self.notes[(self.arena.at + target + HEAD, cython.cast(cython.size_t, load(note + 8)))] = note

        def lose_note(self, offset: cython.size_t) -> None:
            """Another process removed a note."""
            note: cython.size_t = self.arena.at + offset + HEAD
            for key, known in list(self.notes.items()):
                if known == note:
                    self.notes.pop(key, None)

        # ---- parts: what each process counts of a series by itself

        def find_part(self, offset: cython.size_t) -> None:
            """Another process made its part of a series."""
            cell: cython.size_t = self.arena.at + offset + HEAD
            self.others[cell] = text(cell)[: text_len(cell)]

        def lose_part(self, offset: cython.size_t) -> None:
            """A part was removed: the series was, or its process has ended."""
            cell: cython.size_t = self.arena.at + offset + HEAD
            self.others.pop(cell, None)
            self.table.drop(cell)

        def forget_removed(self) -> None:
            """Of notes and parts, keep those that were not removed."""
            cell: cython.size_t
            for key, note in list(self.notes.items()):
                cell = note
                if flags(cell) & REMOVED:
                    self.notes.pop(key, None)
            for part in list(self.others):
                cell = part
                if flags(cell) & REMOVED:
                    self.lose_part(cell - HEAD - self.arena.at)

        def each_part(self) -> list:
            """[(label values, process id, whether it lives, value, Unix time of it)] of all parts that pages show."""
            cell: cython.size_t
            found: list = []
            alive: dict = {}
            for part, label_text in list(self.others.items()):
                cell = part
                if flags(cell) & (HIDDEN | REMOVED):
                    continue
                owner = (load(cell + 16), load(cell + 24), load(cell + 32))
                if owner not in alive:
                    alive[owner] = self.arena.has_process(owner)
                found.append((self.values(label_text), int(owner[0]), alive[owner], load(cell), load(cell + 8)))
            return found

        def bury_parts(self) -> None:
            """Drop the parts of processes that have ended, or add them to one that stands for all of them.

            With the mode "all" each stays, the last hundred of a series.
            """
            cell: cython.size_t
            into: cython.size_t
            if not self.arena.lock():
                return
            try:
                self.arena.catch_up()
                residues: dict = {}
                for cell in list(self.others):
                    if load(cell + 16) == 0:
                        residues[self.others[cell]] = cell
                for cell in sorted(self.others):
                    owner = (load(cell + 16), load(cell + 24), load(cell + 32))
                    if not owner[0] or not self.arena.is_current() or flags(cell) & REMOVED:
                        continue
                    if self.arena.has_process(owner):
                        continue
                    if self.mode == "all":
                        self._forget_oldest(self.others[cell])
                        continue
                    into = residues.get(self.others[cell], 0)
                    if not self.mode.startswith("live") and not into:
                        residues[self.others[cell]] = cell
                        store(cell + 16, 0.0)
                        continue
                    if into:
                        _combine(self.mode, into, cell)
                    self.lose_part(cell - HEAD - self.arena.at)
                    self.arena.remove(cell)
            finally:
                self.arena.unlock()

        def _forget_oldest(self, label_text: bytes) -> None:
            cell: cython.size_t
            same: list = []
            for cell in self.others:
                if self.others[cell] == label_text:
                    same.append((head_of(cell).made, cell))
            if len(same) > 100 + self.arena.attached():
                cell = min(same)[1]
                self.arena.remove(cell)
                self.others.pop(cell, None)

        def _own(self, child: MetricBase) -> None:
            """A part is this process's: a fork's child counts in one of its own."""
            slot: cython.size_t = self.arena.attachment.slot
            store(child.cell + 16, getpid())
            store(child.cell + 24, word(slot + AT_START) if slot else 0.0)
            store(child.cell + 32, word(slot + AT_NAMESPACE) if slot else 0.0)
            self.others[child.cell] = text(child.cell)[: text_len(child.cell)]
            add_handle(self.arena.attachment, cython.address(child.cell))

        def _after_fork(self) -> None:
            """In a fork's child: what the parent counted by itself is the parent's."""
            i: cython.Py_ssize_t
            own: cython.size_t
            cell: cython.size_t
            self.forks = fork_count()
            if not self.parts:
                return
            for i in range(self.table.count):
                cell = self.table.rows[i]
                if cell and not flags(cell) & PRIVATE:
                    own = new_private(
                        self.cells,
                        text(cell),
                        text_len(cell),
                        flags(cell) & ESCAPED,
                        split_of(cell),
                        load(created_at(cell)),
                    )
                    if own == 0:
                        raise MemoryError
                    self.table.rows[i] = own

        def resume(self, child: MetricBase) -> None:
            """Give a child that lost its cell one again: in a fork's child, or after its series was removed."""
            i: cython.Py_ssize_t
            cell: cython.size_t
            if self.forks != fork_count():
                self._after_fork()
            for i in range(self.table.count):
                if self.table.children[i] is child:
                    cell = self.table.rows[i]
                    if not flags(cell) & PRIVATE:
                        child.cell = cell
                        return
                    self._move_in(child, i)
                    return
            if self.parts and not self.nlabels:
                self.place(child, b"", 0, 0, False)

        def settled(self, child: MetricBase) -> bool:
            """Whether a child that counted in memory of this process has its place in the arena, or needs none."""
            i: cython.Py_ssize_t
            if self.pending is not None and not self.enroll(*self.pending):
                return False
            for i in range(self.table.count):
                if self.table.children[i] is child:
                    return not flags(self.table.rows[i]) & PRIVATE or self._move_in(child, i)
            return True

        def _move_in(self, child: MetricBase, row: cython.Py_ssize_t) -> bool:
            """Have a row of private memory moved into the arena, to the series of its label text; whether it was."""
            i: cython.Py_ssize_t
            k: cython.size_t
            private: cython.size_t = self.table.rows[row]
            cell: cython.size_t = 0
            there: cython.Py_ssize_t = -1
            child.cell = private
            if not self.arena.lock():
                return False
            try:
                self.arena.catch_up()
                if not self.arena.is_current():
                    return False
                for i in range(self.table.count):
                    if i != row and self.table.rows[i] and text_len(self.table.rows[i]) == text_len(private):
                        if memcmp(text(self.table.rows[i]), text(private), text_len(private)) == 0:
                            there = i
                if there >= 0:
                    cell = self.table.rows[there]
                else:
                    cell = self.arena.make(
                        (flags(private) & ESCAPED) | (PART if self.parts else 0),
                        self.offset,
                        self.cells,
                        text(private),
                        text_len(private),
                        split_of(private),
                        load(created_at(private)),
                    )
                    if cell == 0:
                        return False
                for k in range(1 if self.parts else self.cells):
                    if self.kind in ("gauge", "stateset"):
                        if there < 0 or load(private + 8 * k):
                            store(cell + 8 * k, load(private + 8 * k))
                    else:
                        add_to(cell + 8 * k, exchange(private + 8 * k, 0.0))
                if there >= 0:
                    self.table.drop(private)
                    if self.table.children[there] is None:
                        self.table.children[there] = child
                else:
                    self.table.rows[row] = cell
                child.cell = cell
                if self.parts:
                    self._own(child)
                if private in self.functions:
                    self.functions[cell] = self.functions.pop(private)
                free_private(private)
            finally:
                self.arena.unlock()
            return True

    def _forget(self, cell: int) -> None:
        """Forget what belongs to a series that was removed."""
        self.functions.pop(cell, None)
        for key in [key for key in self.notes if key[0] == cell]:
            note = self.notes.pop(key, None)
            if cython.compiled and note is not None:
                self.arena.discard(note)

    def overflow(self, values: tuple[str, ...], like: MetricBase) -> MetricBase:
        """What stands in for a series past the cap; tells `on_overflow`, which counts it."""
        if self.on_overflow is not None:
            self.on_overflow(self, values)
        everywhere = (OVERFLOW,) * len(self.labelnames)
        if self.kind in ("counter", "summary", "histogram"):
            return self.child(everywhere, like, False)
        detached: MetricBase | None = self.kept.get("detached")
        if detached is None:
            detached = type(like).__new__(type(like))
            detached._family = self
            label_text = self.text(everywhere)[0]
            # Removed from the start: no page has it, and it is given back with its child.
            if cython.compiled:
                detached.cell = new_private(self.cells, label_text, len(label_text), REMOVED, 0, 0.0)
                if detached.cell == 0:
                    raise MemoryError
            else:
                detached.cell = self.arena.allocate(self.cells, label_text, RECORD_REMOVED, 0, 0.0)
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
        gone = [values for values in self.present() if wanted is None or wanted(values)]
        return sum([self.remove(values) for values in gone])

    # ---- what pages and collectors read

    def hide(self, child: MetricBase, hidden: bool) -> None:
        """Leave a series out of pages, or show it again: its callback failed, or gave a value again."""
        if child.cell == 0:  # of its process there is no part yet
            return
        if hidden:
            raise_flags(child.cell, HIDDEN)
        else:
            lower_flags(child.cell, HIDDEN)


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
        # What counts for each process by itself begins when it is first used: a process that never sets it is none.
        if observable and not (cython.compiled and family.parts):
            found: MetricBase = family.place(self, b"", 0, 0, False)
            self.cell = found.cell

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


if cython.compiled:

    @cython.cfunc
    @cython.exceptval(check=False)
    def _combine(mode: str, into: cython.size_t, cell: cython.size_t) -> cython.void:
        """Add what a process counted by itself to what the others did that have ended."""
        value: cython.double = load(cell)
        if mode == "sum":
            add_to(into, value)
        elif (mode == "min" and value < load(into)) or (mode == "max" and value > load(into)):
            store(into, value)
        elif mode == "mostrecent" and load(cell + 8) >= load(into + 8):
            store(into, value)
            store(into + 8, load(cell + 8))


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

    def settle(arena: Arena) -> None:
        """Have what counts in memory of this process alone moved into the arena, and removed what was to be removed."""
        waiting = arena.parked
        left: list = []
        if arena.settling:
            return
        arena.settling = True
        try:
            arena.parked = []
            for family, what in waiting:
                done = family.remove(what) if isinstance(what, tuple) else family.settled(what)
                if not done and not isinstance(what, tuple):
                    left.append((family, what))
        finally:
            arena.parked += left
            arena.settling = False
