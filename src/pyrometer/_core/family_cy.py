"""A family: the series of one metric, as all processes of a program know it by its record in their arena."""

from __future__ import annotations

import time
from _weakref import ref

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyrometer._core import _cython as cython
else:
    try:
        import cython
    except ImportError:
        from pyrometer._core import _cython as cython

if cython.compiled:
    from cython.cimports.libc.stdlib import free
    from cython.cimports.posix.unistd import getpid
    from cython.cimports.pyrometer._core.arena_cy import Arena
    from cython.cimports.pyrometer._core.native import (
        HEAD,
        exchange,
        flags,
        head_of,
        load,
        lower_flags,
        raise_flags,
        store,
        text,
        text_len,
    )
    from cython.cimports.pyrometer._core.native import add as add_to
    from cython.cimports.pyrometer._core.native import split as split_of
    from cython.cimports.pyrometer._core.notes_cy import read_note, write_note
    from cython.cimports.pyrometer._core.record_cy import free_private
    from cython.cimports.pyrometer._core.series_cy import Series
    from cython.cimports.pyrometer._core.slots_cy import drop_alone, drop_handle
    from cython.cimports.pyrometer._core.table_cy import Child, Table
else:
    from pyrometer._core import native
    from pyrometer._core.arena_cy import Arena
    from pyrometer._core.native import load
    from pyrometer._core.series_cy import Series
    from pyrometer._core.table_cy import Child

from pyrometer._core import layout
from pyrometer._core.attached_cy import PATIENCE
from pyrometer._core.layout import RECORD_HIDDEN
from pyrometer._core.news import refresh

if cython.compiled:
    from cython.cimports.libc.stdint import uint32_t

    ESCAPED = cython.declare(uint32_t, layout.RECORD_ESCAPED)
    REMOVED = cython.declare(uint32_t, layout.RECORD_REMOVED)
    HIDDEN = cython.declare(uint32_t, RECORD_HIDDEN)
    FAMILY = cython.declare(uint32_t, layout.RECORD_FAMILY)
    NOTE = cython.declare(uint32_t, layout.RECORD_NOTE)
    PRIVATE = cython.declare(uint32_t, layout.RECORD_PRIVATE)
    FAMILY_CELLS = cython.declare(cython.size_t, layout.SLOT_COUNT // 64)
    NOTE_CELLS = cython.declare(cython.size_t, layout.NOTE_CELLS)

NOTE_ROOM = 96
"""Bytes for the text of a note, at least, so that the next one has room."""


@cython.final
@cython.no_gc_clear
@cython.cclass
class Family(Series):
    """One metric family: its series, its record, and the notes that belong to its series.

    `enrolled`: it has a record in the arena, and this process takes part in it. Without one its series are this
    process's, and end with it.
    """

    if not cython.compiled:
        __slots__ = ()

    else:

        def __dealloc__(self):
            # No child is left that could count: they hold their family.
            i: cython.Py_ssize_t
            if (
                self.table is not None
                and self.arena is not None
                and not self.enrolled
                and self.maker == getpid()
                and self.arena.lock()
            ):
                self.arena.catch_up()
                for i in range(self.table.count):
                    if self.table.rows[i]:
                        if flags(self.table.rows[i]) & PRIVATE:
                            drop_alone(self.arena.attachment, self.table.rows[i])
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
        with self.arena.local:
            if not cython.compiled:
                self.enrolled = True
                return True
            else:
                offset: cython.size_t = 0
                made: cython.size_t
                created: cython.double = round(time.time(), 3)
                wanted: cython.p_char = fields
                length: cython.size_t = len(fields)
                for _attempt in range(20):
                    refresh(self.arena)
                    for known, others in list(self.arena.definitions.items()):
                        # One that no process has any more begins anew.
                        if key(others) and not self.arena.record(known)[0] & RECORD_HIDDEN:
                            offset = known
                    if offset:
                        break
                    if not self.arena.lock(PATIENCE):
                        break
                    try:
                        self.arena.catch_up()
                        # Another process may have made it just now: then it is told of, and looked for once more.
                        if self.arena.is_current() and not self.arena.has_news():
                            made = self.arena.make(
                                FAMILY, 0, FAMILY_CELLS, wanted, length, 0, created, cython.NULL, True
                            )
                            if made:
                                offset = made - HEAD - self.arena.at
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

    def enroll_alone(self) -> None:
        """Have a record of its own, by which the forks of this process know it, and nobody else."""
        with self.arena.local:
            if cython.compiled:
                cell: cython.size_t = 0
                created: cython.double = round(time.time(), 3)
                if self.arena.lock(PATIENCE):
                    try:
                        self.arena.catch_up()
                        if self.arena.is_current():
                            cell = self.arena.make(FAMILY, 0, FAMILY_CELLS, b"", 0, 0, created, cython.NULL, True)
                    finally:
                        self.arena.unlock()
                if cell:
                    self.offset = cell - HEAD - self.arena.at
                    self.arena.tables[self.offset] = ref(self.table)

    def take(self, offset: int, using: bool = True) -> None:
        """Have the record at this offset; with `using` this process counts in it, and it lives as long as that."""
        if cython.compiled:
            self.offset = offset
            refresh(self.arena)
            self.reinstate(using)

    def withdraw(self) -> None:
        """Be no family of this process's pages any more; where no other process has it, its series end with it."""
        with self.arena.local:
            if not cython.compiled:
                self.enrolled = False
            elif self.offset and self.enrolled:
                self.enrolled = False
                self.arena.families.pop(self.offset, None)  # its table goes on being told what is removed
                self.arena.mark(self.offset, False)
                self.arena.revision += 1
                if self.arena.is_used(self.offset):
                    self.enrolled = True  # its series are not this process's to remove
                else:
                    self.maker = getpid()
                    raise_flags(self.arena.at + self.offset + HEAD, HIDDEN)

    def reinstate(self, using: bool = True) -> None:
        """Be a family of this process's pages, again or for the first time."""
        with self.arena.local:
            self.enrolled = True
            if cython.compiled and self.offset:
                self.arena.families[self.offset] = self
                self.arena.tables[self.offset] = ref(self.table)
                self.arena.revision += 1
                if using:
                    lower_flags(self.arena.at + self.offset + HEAD, HIDDEN)
                    self.arena.mark(self.offset, True)
                self.arena.look_again()

    def is_withdrawn(self) -> bool:
        """Whether no process has it registered any more."""
        return cython.compiled and self.offset != 0 and flags(self.arena.at + self.offset + HEAD) & HIDDEN != 0

    @property
    def made(self) -> int:
        """A number that is higher for a family defined later, by whatever process."""
        if cython.compiled and self.offset:
            return head_of(self.arena.at + self.offset + HEAD).made
        return 0

    if not cython.compiled:

        def move(self, _arena: Arena, _lost: bool = False) -> None:
            """Cells of this process lie where they lie."""

        def arrive(self) -> None:
            """And nothing has to be brought."""

        def end(self) -> None:
            """Nobody else could have it."""

        def put_note(self, child: Any, index: int, data: bytes, value: float, stamp: float) -> None:
            if not native.flags(child.cell) & layout.RECORD_REMOVED:
                self.notes[(child.cell, index)] = (data, value, stamp)

        def read_notes(self) -> dict[tuple[int, int], tuple[bytes, float, float]]:
            return dict(self.notes)

    else:

        def end(self) -> None:
            """Remove all series and the family itself: nobody has it any more."""
            i: cython.Py_ssize_t
            cell: cython.size_t
            gone: list = []
            with self.arena.local:
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

        def move(self, arena: Arena, lost: bool = False) -> None:
            """Move to another arena, with the series this process has and what they count.

            What counts up is taken out of the old cells, so that each process that moves takes what is there. With
            `lost` nothing of the old arena is to be believed: its series begin anew.
            """
            before: Arena = self.arena
            old: Table = self.table
            i: cython.Py_ssize_t
            cell: cython.size_t
            own: Child
            notes = {} if lost else self.read_notes()
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
                if lost:
                    if old.children[i] is not None:
                        own = old.children[i]
                        if self.nlabels:  # whoever holds it counts on by itself
                            own.cell = self._outside(b"", 0, 0, 0)
                            raise_flags(own.cell, REMOVED)
                        else:
                            self.waiting.append((own, b"", 0, 0, 0, []))
                elif cell:
                    label_text = text(cell)[: text_len(cell)]
                    own_notes = [(key[1], note) for key, note in notes.items() if key[0] == cell]
                    self.waiting.append(
                        (old.children[i], label_text, flags(cell) & ESCAPED, split_of(cell), cell, own_notes)
                    )
            self.left = before  # until what is in it has been taken

        def arrive(self) -> None:
            """After a move: have in the new arena what was counted in the old one."""
            k: cython.size_t
            cell: cython.size_t
            own: Child
            waiting, self.waiting = self.waiting, []
            for child, label_text, escaped, split, cell, notes in waiting:
                own = self.kept["handle"]._sibling(self) if child is None else child
                # First counted in the new place, then taken out of the old one: nothing falls in between.
                own = self.place(own, label_text, escaped, split, False)
                if cell and own.cell == 0:
                    self.resume(own)
                for k in range((1 if self.parts else self.cells) if cell else 0):
                    if self.kind not in ("gauge", "stateset"):
                        add_to(own.cell + 8 * k, exchange(cell + 8 * k, 0.0))
                    elif not flags(cell) & HIDDEN:  # which says that another process has taken it along
                        store(own.cell + 8 * k, load(cell + 8 * k))
                if cell and self.kind in ("gauge", "stateset") and not self.parts:
                    raise_flags(cell, HIDDEN)
                for index, (data, value, stamp) in notes:
                    self.put_note(own, index, data, value, stamp)
            self.left = None

        # ---- notes: text that belongs to a series

        def put_note(self, child: Child, index: cython.size_t, data: bytes, value: float, stamp: float) -> None:
            """Set the note of a cell in place of the one before: text, a value, and a Unix time in seconds."""
            note: cython.size_t
            values: cython.double[5]
            cell: cython.size_t = child.cell
            with self.arena.local:
                if flags(cell) & (REMOVED | PRIVATE):
                    return
                key = (cell, index)
                room = data + bytes(max(0, NOTE_ROOM - len(data)))
                for _attempt in range(20):
                    note = self.notes.get(key, 0)
                    if note and not flags(note) & REMOVED and write_note(note, data, value, stamp):
                        return
                    refresh(self.arena)
                    if self.notes.get(key, 0) != note:
                        continue  # another process has made one
                    if not self.arena.lock(PATIENCE):
                        return  # the next one will be
                    try:
                        self.arena.catch_up()
                        if self.arena.has_news() or not self.arena.is_current():
                            continue
                        if flags(cell) & REMOVED:
                            return
                        if note:
                            self.notes.pop(key, None)
                            self.arena.remove(note)
                        values[0], values[1] = cell - HEAD - self.arena.at, index
                        values[2] = values[3] = values[4] = 0.0
                        # With the number of its series' making: another series may have that cell later.
                        note = self.arena.make(
                            NOTE,
                            self.offset,
                            NOTE_CELLS,
                            room,
                            len(room),
                            cython.cast(uint32_t, head_of(cell).made),
                            stamp,
                            values,
                            True,
                        )
                        if note:
                            write_note(note, data, value, stamp)
                            self.notes[key] = note
                        return
                    finally:
                        self.arena.unlock()

        def read_notes(self) -> dict:
            """{(cell, index): (text, value, Unix time)} of the notes that can be read now."""
            entered: cython.size_t
            with self.arena.local:
                if not self.notes:
                    return {}
                found: dict = {}
                entered = self.arena.enter()  # until it has left, no note is used for anything else
                try:
                    for key, note in list(self.notes.items()):
                        if split_of(note) != cython.cast(uint32_t, head_of(key[0]).made):
                            continue
                        content = read_note(note)
                        if content is None:  # half written: what it said before
                            content = self.last_read.get(key)
                        if content is not None:
                            found[key] = self.last_read[key] = content
                finally:
                    self.arena.leave(entered)
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
