"""The series of a family: from label values to the child that counts them, wherever its cells are."""

from __future__ import annotations

import time

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
    from cython.cimports.libc.stdint import uint32_t
    from cython.cimports.libc.stdlib import malloc
    from cython.cimports.posix.unistd import getpid
    from cython.cimports.pyrometer._core.arena_cy import Arena
    from cython.cimports.pyrometer._core.native import (
        HEAD,
        exchange,
        flags,
        load,
        lower_flags,
        raise_flags,
        store,
        text,
        text_len,
        word,
    )
    from cython.cimports.pyrometer._core.native import add as add_to
    from cython.cimports.pyrometer._core.native import created as created_at
    from cython.cimports.pyrometer._core.native import split as split_of
    from cython.cimports.pyrometer._core.record_cy import free_private, new_private
    from cython.cimports.pyrometer._core.slots_cy import add_alone, add_handle, drop_alone, fork_count
    from cython.cimports.pyrometer._core.table_cy import Child, Table
else:
    from pyrometer._core import native
    from pyrometer._core.arena_cy import Arena
    from pyrometer._core.native import load, lower_flags, raise_flags, store
    from pyrometer._core.table_cy import Child, Table

from pyrometer._core import layout
from pyrometer._core.attached_cy import PATIENCE, RETRY
from pyrometer._core.layout import RECORD_ESCAPED, RECORD_HIDDEN, RECORD_REMOVED
from pyrometer._core.news import refresh
from pyrometer._core.text_cy import escape, quoted, unescape

if cython.compiled:
    ESCAPED = cython.declare(uint32_t, RECORD_ESCAPED)
    REMOVED = cython.declare(uint32_t, RECORD_REMOVED)
    HIDDEN = cython.declare(uint32_t, RECORD_HIDDEN)
    PART = cython.declare(uint32_t, layout.RECORD_PART)
    PRIVATE = cython.declare(uint32_t, layout.RECORD_PRIVATE)
    AT_START = cython.declare(cython.size_t, layout.AT_START)
    AT_NAMESPACE = cython.declare(cython.size_t, layout.AT_NAMESPACE)
else:
    REMOVED, HIDDEN = RECORD_REMOVED, RECORD_HIDDEN

PART_CELLS = layout.PART_CELLS
IN_PROGRESS = "inprogress"
"""The role of a family that counts, for each process by itself, what a gauge's `track_inprogress()` is inside of."""
FAST_LABELS = 8
"""A family with more labels than this finds its children by their text."""
OVERFLOW = "__overflow__"
"""The value of every label of the child that counts what came past `max_series`."""


@cython.no_gc_clear
@cython.cclass
class Series:
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
        on_overflow: Callable[[Any, tuple[str, ...]], None] | None
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
            self.overflow_text = self.text((OVERFLOW,) * len(labelnames))[0]
            self.maker = getpid()
            self.last_read = {}
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

    # ---- series

    def child(self, values: tuple[str, ...], like: Any, capped: bool = True) -> Any:
        """The child for these values (exact str, in the order of declaration), made by `like` if it is new.

        Past `max_series` the overflow child, or one that no page shows.
        """
        label_text, record_flags, split = self.text(values)
        found = self.place(like._sibling(self), label_text, record_flags, split, capped)
        if found is None:
            return self.overflow(values, like)
        return found

    if not cython.compiled:

        def place(self, child: Child, label_text: bytes, record_flags: int, split: int, capped: bool) -> Any:
            found: Any = self.table.get(label_text)
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
            child: Any = self.table.pop(self.text(values)[0])
            if child is None:
                return False
            raise_flags(child.cell, REMOVED)
            self._forget(child.cell)
            return True

        def hide_all(self) -> None:
            for child in self.table.all():
                raise_flags(child.cell, HIDDEN)

    else:

        def place(
            self,
            child: Child,
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
            with self.arena.local:
                # Milliseconds are exact enough for a counter's beginning, and are written without a search for digits.
                created: cython.double = round(time.time(), 3)
                if self.forks != fork_count():
                    self.after_fork()
                refresh(self.arena)
                if self.arena.parked:
                    settle(self.arena)
                self.table.tidy()
                row = self.table.find_text(wanted, length, hash)
                if row < 0:
                    if capped and self._is_full():
                        return None
                    if self.parts:  # nothing of this process until it is first used: who never sets it is none
                        cell = self._outside(wanted, length, record_flags, split)
                        with cython.critical_section(self.table):
                            self.table.append(cell, child)
                        return child
                    locked = self.arena.lock(PATIENCE)
                    try:
                        if locked:
                            self.arena.catch_up()
                        row = self.table.find_text(wanted, length, hash)
                        if row < 0:
                            if capped and self._is_full():
                                return None
                            if locked and self.arena.is_current() and self.pending is None:
                                cell = self.arena.make(
                                    record_flags,
                                    self.offset,
                                    self.cells,
                                    wanted,
                                    length,
                                    split,
                                    created,
                                    cython.NULL,
                                    not capped,
                                )
                                if cell == 0 and capped and self.nlabels:
                                    return None  # the arena is full
                            if cell == 0:
                                parked = True
                                cell = self._outside(wanted, length, record_flags, split)
                                add_alone(self.arena.attachment, cell)
                            with cython.critical_section(self.table):
                                row = self.table.append(cell, child)
                            child.cell = cell
                    finally:
                        if locked:
                            self.arena.unlock()
                    if parked:
                        self.arena.park(self, child)
                    elif self.arena.parked:  # the lock can be had again
                        self.arena.settle_after = 0.0
                        settle(self.arena)
                found = self.table.children[row]
                if found is None:
                    child.cell = self.table.rows[row]
                    self.table.children[row] = child
                    return child
                return found

        @cython.cfunc
        @cython.exceptval(0, check=False)
        def _outside(
            self,
            label_text: cython.pointer[cython.const[cython.char]],
            length: cython.size_t,
            record_flags: uint32_t,
            split: cython.size_t,
        ) -> cython.size_t:
            """A record of this process, for a series that has no place in the arena yet."""
            cell: cython.size_t = new_private(
                self.cells, label_text, length, record_flags & ESCAPED, split, round(time.time(), 3)
            )
            if cell == 0:
                raise MemoryError
            return cell

        @cython.cfunc
        @cython.exceptval(check=False)
        def _is_full(self) -> cython.bint:
            if self.max_series is None or self.table.live < self.max_series:
                return False
            # The overflow child is not one of those the cap counts.
            overflow: bytes = self.overflow_text
            hash: uint32_t = self.table.hash_of(overflow, len(overflow), False)
            spilled: cython.Py_ssize_t = 1 if self.table.find_text(overflow, len(overflow), hash) >= 0 else 0
            return self.table.live - spilled >= self.max_series

        def present(self) -> list:
            """The label values of every series, in the order of their making."""
            i: cython.Py_ssize_t
            texts: list = []
            with self.arena.local:
                refresh(self.arena)
                self.table.tidy()
                for i in range(self.table.count):
                    if self.table.rows[i]:
                        texts.append(text(self.table.rows[i])[: text_len(self.table.rows[i])])
                if self.parts:
                    texts = list(dict.fromkeys(texts + list(self.others.values())))
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
            with self.arena.local:
                if not self.labelnames:
                    return False
                label_text, record_flags, _ = self.text(values)
                hash = self.table.hash_of(label_text, len(label_text), record_flags & ESCAPED)
                for _attempt in range(20):
                    refresh(self.arena)
                    parts: list = []
                    if not own:
                        parts = [each for each, part_text in self.others.items() if part_text == label_text]
                    locked: cython.bint = self.arena.lock(PATIENCE)
                    try:
                        if locked:
                            self.arena.catch_up()
                            if self.arena.has_news():
                                continue
                        row = self.table.find_text(label_text, len(label_text), hash)
                        if row < 0 and not parts:
                            return False
                        cell = self.table.rows[row] if row >= 0 else 0
                        notes: list = [note for key, note in self.notes.items() if key[0] == cell]
                        done = locked and self.arena.is_current()
                        # Let go of first: once it is removed it may be used again.
                        if cell:
                            gone = self.table.drop(cell)
                            self.others.pop(cell, None)
                            if flags(cell) & PRIVATE:
                                drop_alone(self.arena.attachment, cell)
                                raise_flags(cell, REMOVED)  # from here on it is the child's
                                if gone is None:
                                    free_private(cell)
                                cell = 0
                        if done:
                            if cell:
                                self.arena.remove(cell)
                            for part in parts:
                                if part != cell:
                                    self.others.pop(part, None)
                                    self.arena.remove(part)
                            for part in notes:
                                self.arena.remove(part)
                        elif cell:
                            raise_flags(cell, REMOVED | HIDDEN)
                    finally:
                        if locked:
                            self.arena.unlock()
                    break
                if not done:  # gone for all, who have yet to be told
                    self.arena.parked += [(self, each) for each in {cell, *parts} if each]
                self._forget(cell)
                if self.parts:
                    self.functions.pop(values, None)
                within: Any = self.kept.get(IN_PROGRESS)
                if within is not None and not own:
                    within.remove(values)
                return True

        def hide_all(self) -> None:
            """Leave all series out of pages: their callback failed."""
            i: cython.Py_ssize_t
            with self.arena.local:
                for i in range(self.table.count):
                    if self.table.rows[i]:
                        raise_flags(self.table.rows[i], HIDDEN)

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

        def _own(self, child: Child) -> None:
            """A part is this process's: a fork's child counts in one of its own."""
            self.others[child.cell] = text(child.cell)[: text_len(child.cell)]
            add_handle(self.arena.attachment, cython.address(child.cell))

        @cython.cfunc
        @cython.exceptval(check=False)
        def _owner(self, values: cython.pointer[cython.double]) -> cython.pointer[cython.double]:
            """The cells of a new part: value and time, and whose it is."""
            slot: cython.size_t = self.arena.attachment.slot
            values[0] = values[1] = 0.0
            values[2] = getpid()
            values[3] = word(slot + AT_START) if slot else 0.0
            values[4] = word(slot + AT_NAMESPACE) if slot else 0.0
            return values

        def after_fork(self) -> None:
            """In a fork's child: what the parent counted by itself is the parent's."""
            i: cython.Py_ssize_t
            own: cython.size_t
            cell: cython.size_t
            if self.forks == fork_count():
                return
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

        def resume(self, child: Child) -> None:
            """Give a child that lost its cell one again: in a fork's child, or after its series was removed."""
            i: cython.Py_ssize_t
            cell: cython.size_t
            with self.arena.local:
                if self.forks != fork_count():
                    self.after_fork()
                for i in range(self.table.count):
                    if self.table.children[i] is child:
                        cell = self.table.rows[i]
                        if not flags(cell) & PRIVATE:
                            child.cell = cell
                        elif not self._move_in(child, i, PATIENCE):
                            add_alone(self.arena.attachment, cell)
                            self.arena.park(self, child)
                        return
                if self.parts and not self.nlabels and self.kept.get("handle") is child:
                    self.place(child, b"", 0, 0, False)
                    self.resume(child)
                elif self.parts and self.kept.get("handle") is not child:  # its series was removed
                    child.cell = self._outside(b"", 0, 0, 0)
                    raise_flags(child.cell, REMOVED)

        def settled(self, child: Child) -> bool:
            """Whether a child that counted in memory of this process has its place in the arena, or needs none."""
            row: cython.Py_ssize_t
            if self.pending is not None and not self.enroll(*self.pending):
                return False
            if child.cell == 0 or flags(child.cell) & (PRIVATE | REMOVED) != PRIVATE:
                return True
            row = self.table.row_of(child.cell)
            return row < 0 or self._move_in(child, row)

        def _move_in(self, child: Child, row: cython.Py_ssize_t, patience: cython.long = 1) -> bool:
            """Have a row of private memory moved into the arena, to the series of its label text; whether it was."""
            k: cython.size_t
            owner: cython.double[5]
            private: cython.size_t = self.table.rows[row]
            cell: cython.size_t = 0
            there: cython.Py_ssize_t = -1
            with self.arena.local:
                child.cell = private
                if not self.arena.lock(patience):
                    return False
                try:
                    self.arena.catch_up()
                    if not self.arena.is_current():
                        return False
                    row = self.table.row_of(private)  # others' series may have come before it
                    there = self.table.other_of(private)
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
                            self._owner(owner) if self.parts else cython.NULL,
                            self.nlabels == 0,
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
                        self.table.unsorted = True
                    child.cell = cell
                    if self.parts:
                        self._own(child)
                    if private in self.functions:
                        self.functions[cell] = self.functions.pop(private)
                    drop_alone(self.arena.attachment, private)
                    free_private(private)
                finally:
                    self.arena.unlock()
                return True

    def _forget(self, cell: int) -> None:
        """Forget what belongs to a series that was removed."""
        self.functions.pop(cell, None)
        for key in [key for key in self.notes if key[0] == cell]:
            self.notes.pop(key, None)
            if cython.compiled:
                self.last_read.pop(key, None)

    def overflow(self, values: tuple[str, ...], like: Any) -> Any:
        """What stands in for a series past the cap; tells `on_overflow`, which counts it."""
        if self.on_overflow is not None:
            self.on_overflow(self, values)
        everywhere = (OVERFLOW,) * len(self.labelnames)
        if self.kind in ("counter", "summary", "histogram"):
            return self.child(everywhere, like, False)
        detached: Any = self.kept.get("detached")
        if detached is None:
            detached = like._sibling(self)
            label_text = self.text(everywhere)[0]
            # Removed from the start: no page has it, and it is given back with its child.
            own: Child = detached
            if cython.compiled:
                own.cell = new_private(self.cells, label_text, len(label_text), REMOVED, 0, 0.0)
                if own.cell == 0:
                    raise MemoryError
            else:
                own.cell = self.arena.allocate(self.cells, label_text, RECORD_REMOVED, 0, 0.0)
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

    def hide(self, child: Child, hidden: bool) -> None:
        """Leave a series out of pages, or show it again: its callback failed, or gave a value again."""
        if child.cell == 0:  # of its process there is no part yet
            return
        if hidden:
            raise_flags(child.cell, HIDDEN)
        else:
            lower_flags(child.cell, HIDDEN)


if not cython.compiled:

    def settle(_arena: Arena) -> None:
        """Everything counts in memory of this process."""

else:

    def settle(arena: Arena) -> None:
        """Have what counts in memory of this process alone moved into the arena, and removed what was to be removed."""
        waiting: list = arena.parked
        left: list = []
        i: cython.Py_ssize_t
        if arena.settling or time.monotonic() < arena.settle_after:
            return
        arena.settling = True
        try:
            arena.parked = []
            for i in range(len(waiting)):
                family, what = waiting[i]
                done = arena.discard(what) if isinstance(what, int) else family.settled(what)
                if not done:  # nor would it be with the others
                    left = waiting[i:]
                    break
        finally:
            arena.parked += left
            if left:
                arena.settle_after = time.monotonic() + RETRY
            arena.settling = False
