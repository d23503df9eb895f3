"""The table of a family's series: rows in the order of their making, found by their label text.

Compiled, it is an open-addressing table with linear probing, whose keys are the label texts in the records themselves;
so nothing is kept to find a series by but eight bytes a slot. It runs no Python between looking and changing: with the
interpreter lock every method is one step, without it a critical section. Interpreted, it is a dict.
"""

from __future__ import annotations

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
    from cython.cimports.libc.stdint import uint32_t
    from cython.cimports.libc.stdlib import calloc, free, malloc, realloc
    from cython.cimports.libc.string import memcmp
    from cython.cimports.pyrometer._core.native import flags, pyro_bytes, text, text_len

from pyrometer._core.arena_cy import RECORD_ESCAPED

if cython.compiled:
    ESCAPED = cython.declare(cython.uint, RECORD_ESCAPED)
    GONE = cython.declare(cython.uint, 0xFFFFFFFF)


@cython.final
@cython.no_gc_clear
@cython.cclass
class Table:
    """Children by label text; `live` is how many there are."""

    if not cython.compiled:
        __slots__ = ("index", "live")

        def __init__(self) -> None:
            self.index: dict[bytes, Any] = {}
            self.live = 0

        def get(self, label_text: bytes, _hash: int) -> Any:
            return self.index.get(label_text)

        def insert(self, label_text: bytes, _hash: int, _cell: int, child: Any) -> Any:
            found = self.index.setdefault(label_text, child)
            self.live = len(self.index)
            return found

        def pop(self, label_text: bytes, _hash: int) -> Any:
            found = self.index.pop(label_text, None)
            self.live = len(self.index)
            return found

        def all(self) -> list[Any]:
            return list(self.index.values())

    else:

        def __cinit__(self):
            self.mask = 7
            self.children = []
            self.slots = cython.cast(cython.pointer[Slot], calloc(8, cython.sizeof(Slot)))
            if self.slots == cython.NULL:
                raise MemoryError

        def __dealloc__(self):
            free(self.slots)
            free(self.rows)

        def get(self, label_text: bytes, hash: cython.uint) -> object:
            """The child with this label text, or None."""
            row: cython.Py_ssize_t
            with cython.critical_section(self):
                row = self._find_text(label_text, hash)
                return self.children[row] if row >= 0 else None

        def insert(self, label_text: bytes, hash: cython.uint, cell: cython.size_t, child: object) -> object:
            """Append a row, unless there is one with this label text; returns the child that is there."""
            row: cython.Py_ssize_t
            with cython.critical_section(self):
                # First whatever may fail or run the garbage collector, and so any code; then look; then change.
                if self.count - self.live > 64 and self.count > 2 * self.live:
                    self._compact()
                if self.count == self.room:
                    self._grow_rows()
                if (self.used + 1) * 3 > (self.mask + 1) * 2:
                    self._grow_slots()
                row = self._find_text(label_text, hash)
                if row >= 0:
                    return self.children[row]
                self.children.append(child)
                self.rows[self.count] = cell
                self._place(hash, self.count)
                self.count += 1
                self.live += 1
                self.text_bytes += len(label_text)
                return child

        def pop(self, label_text: bytes, hash: cython.uint) -> object:
            """Take out the row with this label text; returns its child, or None if there is none."""
            row: cython.Py_ssize_t
            place: cython.size_t
            with cython.critical_section(self):
                row = self._find_text(label_text, hash)
                if row < 0:
                    return None
                place = hash & self.mask
                while self.slots[place].row != row + 1:
                    place = (place + 1) & self.mask
                child = self.children[row]
                self.slots[place].row = GONE
                self.text_bytes -= text_len(self.rows[row])
                self.rows[row] = 0
                self.live -= 1
                self.children[row] = None
                return child

        def all(self) -> list:
            """The children, in the order of their making."""
            with cython.critical_section(self):
                return [child for child in self.children if child is not None]

        @cython.cfunc
        @cython.exceptval(check=False)
        def find(
            self,
            literals: cython.pointer[pyro_bytes],
            values: cython.pointer[pyro_bytes],
            order: cython.pointer[cython.int],
            n: cython.Py_ssize_t,
            hash: uint32_t,
        ) -> cython.Py_ssize_t:
            """The row whose label text is literal, value, literal, value, ..., quote, or -1.

            The i-th value is values[order[i]], raw. A text with escapes is none of raw values, and one without has a
            quote nowhere but in literals, so equal bytes are equal values.
            """
            place: cython.size_t = hash & self.mask
            row: cython.size_t
            i: cython.Py_ssize_t
            total: cython.size_t = 1
            cell: cython.size_t
            at: cython.p_char
            part: cython.pointer[pyro_bytes]
            for i in range(n):
                total += literals[i].size + values[i].size
            while self.slots[place].row:
                if self.slots[place].hash == hash and self.slots[place].row != GONE:
                    row = self.slots[place].row - 1
                    cell = self.rows[row]
                    if text_len(cell) == total and not flags(cell) & ESCAPED:
                        at = text(cell)
                        for i in range(n):
                            part = cython.address(literals[i])
                            if memcmp(at, part.data, part.size) != 0:
                                break
                            at += part.size
                            part = cython.address(values[order[i]])
                            if memcmp(at, part.data, part.size) != 0:
                                break
                            at += part.size
                        else:
                            return row
                place = (place + 1) & self.mask
            return -1

        @cython.cfunc
        @cython.exceptval(check=False)
        def _find_text(self, label_text: bytes, hash: uint32_t) -> cython.Py_ssize_t:
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
        def _place(self, hash: uint32_t, row: cython.size_t) -> cython.void:
            at: cython.size_t = hash & self.mask
            while self.slots[at].row:
                at = (at + 1) & self.mask
            self.slots[at].hash = hash
            self.slots[at].row = row + 1
            self.used += 1

        @cython.cfunc
        @cython.exceptval(-1, check=False)
        def _grow_rows(self) -> cython.int:
            room: cython.Py_ssize_t = self.room * 2 + 4
            grown = cython.cast(cython.pointer[cython.size_t], realloc(self.rows, room * cython.sizeof(cython.size_t)))
            if grown == cython.NULL:
                raise MemoryError
            self.rows = grown
            self.room = room
            return 0

        @cython.cfunc
        @cython.exceptval(-1, check=False)
        def _grow_slots(self) -> cython.int:
            """Make room in the slots, and drop those of rows that are gone."""
            old: cython.pointer[Slot] = self.slots
            size: cython.size_t = self.mask + 1
            i: cython.size_t
            wanted: cython.size_t = 8
            while wanted < cython.cast(cython.size_t, self.live + 1) * 2:
                wanted *= 2
            fresh = cython.cast(cython.pointer[Slot], calloc(wanted, cython.sizeof(Slot)))
            if fresh == cython.NULL:
                raise MemoryError
            self.slots = fresh
            self.mask = wanted - 1
            self.used = 0
            for i in range(size):
                if old[i].row and old[i].row != GONE:
                    self._place(old[i].hash, old[i].row - 1)
            free(old)
            return 0

        @cython.cfunc
        @cython.exceptval(-1, check=False)
        def _compact(self) -> cython.int:
            """Close the holes of rows that are gone, keeping the order of the others."""
            children: list = []  # first of all: making a list may run the garbage collector, and that any code
            i: cython.Py_ssize_t
            n: cython.Py_ssize_t = 0
            place: cython.size_t
            moved = cython.cast(cython.pointer[uint32_t], malloc((self.count + 1) * cython.sizeof(uint32_t)))
            if moved == cython.NULL:
                raise MemoryError
            for i in range(self.count):
                moved[i] = n
                if self.rows[i]:
                    children.append(self.children[i])
                    self.rows[n] = self.rows[i]
                    n += 1
            for place in range(self.mask + 1):
                if self.slots[place].row and self.slots[place].row != GONE:
                    self.slots[place].row = moved[self.slots[place].row - 1] + 1
            free(moved)
            self.count = n
            self.children = children
            return 0
