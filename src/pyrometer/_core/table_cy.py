"""The table of a family's series: rows in the order of their making, found by their label text.

Compiled, it is an open-addressing table with linear probing, whose keys are the label texts in the records themselves;
so nothing is kept to find a series by but eight bytes a slot. A row whose series another process made has no child
until somebody asks for it. It runs no Python between looking and changing: with the interpreter lock every method is
one step, without it a critical section. Interpreted, it is a dict.
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
    from cython.cimports.cpython.object import PyObject
    from cython.cimports.libc.stdint import uint32_t, uint64_t
    from cython.cimports.libc.stdlib import calloc, free, malloc, qsort, realloc
    from cython.cimports.libc.string import memchr, memcmp
    from cython.cimports.pyrometer._core.native import flags, head_of, list_items, mix, pyro_bytes, text, text_len
    from cython.cimports.pyrometer._core.record_cy import private_copy

from pyrometer._core.layout import RECORD_ESCAPED, RECORD_PRIVATE, RECORD_REMOVED

if cython.compiled:
    ESCAPED = cython.declare(cython.uint, RECORD_ESCAPED)
    REMOVED = cython.declare(cython.uint, RECORD_REMOVED)
    PRIVATE = cython.declare(cython.uint, RECORD_PRIVATE)
    ELSEWHERE = cython.declare(cython.uint, RECORD_ESCAPED | RECORD_REMOVED)
    GONE = cython.declare(cython.uint, 0xFFFFFFFF)
    Place = cython.struct(made=uint64_t, row=cython.size_t)


@cython.cclass
class Child:
    """What counts a series: `cell` is the address of its first cell, 0 for none."""

    if not cython.compiled:
        __slots__ = ("cell",)
        cell: int


@cython.final
@cython.no_gc_clear
@cython.cclass
class Table:
    """Children by label text; `live` is how many series there are.

    `literals` are the parts of a label text that stand before its values, and `secret` begins the hash of these.
    """

    if not cython.compiled:
        __slots__ = ("__weakref__", "index", "live")

        def __init__(self, _literals: tuple[bytes, ...], _secret: int) -> None:
            self.index: dict[bytes, Any] = {}
            self.live = 0

        def get(self, label_text: bytes) -> Any:
            return self.index.get(label_text)

        def insert(self, label_text: bytes, child: Any) -> Any:
            found = self.index.setdefault(label_text, child)
            self.live = len(self.index)
            return found

        def pop(self, label_text: bytes) -> Any:
            found = self.index.pop(label_text, None)
            self.live = len(self.index)
            return found

        def all(self) -> list[Any]:
            return list(self.index.values())

    else:

        def __cinit__(self, literals: tuple, secret: uint64_t):
            i: cython.Py_ssize_t
            self.mask = 7
            self.children = []
            self.secret = secret
            self.kept = literals
            self.nvalues = len(literals)
            self.slots = cython.cast(cython.pointer[Slot], calloc(8, cython.sizeof(Slot)))
            self.literals = cython.cast(cython.pointer[pyro_bytes], calloc(self.nvalues + 1, cython.sizeof(pyro_bytes)))
            if self.slots == cython.NULL or self.literals == cython.NULL:
                raise MemoryError
            for i in range(self.nvalues):
                literal: bytes = literals[i]
                self.literals[i].data = literal
                self.literals[i].size = len(literal)

        def __dealloc__(self):
            free(self.slots)
            free(self.rows)
            free(self.literals)

        @cython.cfunc
        @cython.exceptval(check=False)
        def find(
            self, values: cython.pointer[pyro_bytes], order: cython.pointer[cython.int], n: cython.Py_ssize_t
        ) -> cython.Py_ssize_t:
            """The row whose label text is literal, value, literal, value, ..., quote, or -1.

            The i-th value is values[order[i]], raw. A text with escapes is none of raw values, and one without has a
            quote nowhere but in literals, so equal bytes are equal values. A series that was removed, by whatever
            process, is none.
            """
            place: cython.size_t
            row: cython.size_t
            i: cython.Py_ssize_t
            total: cython.size_t = 1
            hash: uint64_t = self.secret
            short: uint32_t
            cell: cython.size_t
            at: cython.p_char
            part: cython.pointer[pyro_bytes]
            for i in range(n):
                part = cython.address(values[order[i]])
                total += self.literals[i].size + part.size
                hash = mix(hash, part.data, part.size)
            short = hash
            place = short & self.mask
            while self.slots[place].row:
                if self.slots[place].hash == short and self.slots[place].row != GONE:
                    row = self.slots[place].row - 1
                    cell = self.rows[row]
                    if text_len(cell) == total and not flags(cell) & ELSEWHERE:
                        at = text(cell)
                        for i in range(n):
                            part = cython.address(self.literals[i])
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
        def hash_of(
            self, label_text: cython.pointer[cython.const[cython.char]], length: cython.size_t, escaped: cython.bint
        ) -> uint32_t:
            """The hash of the values in a label text, as they stand there."""
            hash: uint64_t = self.secret
            i: cython.Py_ssize_t
            at: cython.size_t = 0
            end: cython.size_t
            quote: cython.size_t
            for i in range(self.nvalues):
                at += self.literals[i].size
                end = at
                if escaped:
                    while end < length and label_text[end] != 0x22:
                        end += 2 if label_text[end] == 0x5C else 1
                elif end < length:
                    quote = cython.cast(cython.size_t, memchr(label_text + at, 0x22, length - at))
                    end = quote - cython.cast(cython.size_t, label_text) if quote else length
                if end > length:
                    end = length
                if at > end:
                    return 0
                hash = mix(hash, label_text + at, end - at)
                at = end
            return hash

        @cython.cfunc
        @cython.exceptval(check=False)
        def find_text(
            self, label_text: cython.pointer[cython.const[cython.char]], length: cython.size_t, hash: uint32_t
        ) -> cython.Py_ssize_t:
            """The row with this label text, or -1."""
            place: cython.size_t = hash & self.mask
            row: cython.size_t
            cell: cython.size_t
            while self.slots[place].row:
                if self.slots[place].hash == hash and self.slots[place].row != GONE:
                    row = self.slots[place].row - 1
                    cell = self.rows[row]
                    if text_len(cell) == length and not flags(cell) & REMOVED:
                        if memcmp(text(cell), label_text, length) == 0:
                            return row
                place = (place + 1) & self.mask
            return -1

        @cython.cfunc
        @cython.exceptval(check=False)
        def row_of(self, cell: cython.size_t) -> cython.Py_ssize_t:
            """The row of a record, or -1."""
            place: cython.Py_ssize_t = self._slot_of(cell)
            return -1 if place < 0 else self.slots[place].row - 1

        @cython.cfunc
        @cython.exceptval(check=False)
        def other_of(self, cell: cython.size_t) -> cython.Py_ssize_t:
            """The row of another record with the same label text, or -1."""
            hash: uint32_t = self.hash_of(text(cell), text_len(cell), flags(cell) & ESCAPED)
            place: cython.size_t = hash & self.mask
            other: cython.size_t
            while self.slots[place].row:
                if self.slots[place].row != GONE:
                    other = self.rows[self.slots[place].row - 1]
                    if other != cell and text_len(other) == text_len(cell) and not flags(other) & REMOVED:
                        if memcmp(text(other), text(cell), text_len(cell)) == 0:
                            return self.slots[place].row - 1
                place = (place + 1) & self.mask
            return -1

        @cython.cfunc
        @cython.exceptval(check=False)
        def _slot_of(self, cell: cython.size_t) -> cython.Py_ssize_t:
            """Where the row of a record is found, or -1."""
            hash: uint32_t = self.hash_of(text(cell), text_len(cell), flags(cell) & ESCAPED)
            place: cython.size_t = hash & self.mask
            while self.slots[place].row:
                if self.slots[place].row != GONE and self.rows[self.slots[place].row - 1] == cell:
                    return place
                place = (place + 1) & self.mask
            return -1

        @cython.cfunc
        @cython.exceptval(-1, check=False)
        def append(self, cell: cython.size_t, child: object) -> cython.Py_ssize_t:
            """Add a row for a record that has none; child may be None. It runs no Python."""
            if self.count == self.room:
                self._grow_rows()
            if (self.used + 1) * 3 > (self.mask + 1) * 2:
                self._grow_slots()
            self.children.append(child)
            self.rows[self.count] = cell
            self._place(self.hash_of(text(cell), text_len(cell), flags(cell) & ESCAPED), self.count)
            if head_of(cell).made < self.last_made:
                self.unsorted = True
            else:
                self.last_made = head_of(cell).made
            self.count += 1
            self.live += 1
            self.text_bytes += text_len(cell)
            return self.count - 1

        @cython.cfunc
        @cython.exceptval(-1, check=False)
        def adopt(self, cell: cython.size_t) -> cython.int:
            """Have a row for a series that another process made."""
            with cython.critical_section(self):
                if self._slot_of(cell) < 0:
                    self.append(cell, None)
            return 0

        @cython.cfunc
        def drop(self, cell: cython.size_t) -> object:
            """Take out the row of a record; returns its child or None. Whoever holds that counts on by itself.

            It runs no Python: what the caller does with the child may.
            """
            place: cython.Py_ssize_t
            row: cython.Py_ssize_t
            own: cython.size_t
            with cython.critical_section(self):
                place = self._slot_of(cell)
                if place < 0:
                    return None
                row = self.slots[place].row - 1
                child = self.children[row]
                self.slots[place].row = GONE
                self.text_bytes -= text_len(cell)
                self.rows[row] = 0
                self.live -= 1
                self.children[row] = None
                if child is not None and cython.cast(Child, child).cell == cell and not flags(cell) & PRIVATE:
                    own = private_copy(cell)
                    cython.cast(Child, child).cell = own  # 0 without memory: then it finds its series anew
                return child

        @cython.cfunc
        def drop_removed(self) -> list:
            """Take out the rows of all series that were removed; returns their children."""
            found: list = []
            i: cython.Py_ssize_t
            for i in range(self.count):
                if self.rows[i] and flags(self.rows[i]) & REMOVED:
                    found.append(self.drop(self.rows[i]))
            return found

        @cython.cfunc
        @cython.exceptval(-1, check=False)
        def tidy(self) -> cython.int:
            """Close holes and put rows in order, where that is due."""
            with cython.critical_section(self):
                if self.count - self.live > 64 and self.count > 2 * self.live:
                    self._compact()
                if self.unsorted:
                    self._sort()
            return 0

        @cython.cfunc
        @cython.exceptval(-1, check=False)
        def _sort(self) -> cython.int:
            """Put rows in the order in which their series were made, by whatever process."""
            n: cython.size_t = self.count
            i: cython.size_t
            places = cython.cast(cython.pointer[Place], malloc((n + 1) * cython.sizeof(Place)))
            moved = cython.cast(cython.pointer[uint32_t], malloc((n + 1) * cython.sizeof(uint32_t)))
            rows = cython.cast(cython.pointer[cython.size_t], malloc((self.room + 1) * cython.sizeof(cython.size_t)))
            items = cython.cast(
                cython.pointer[cython.pointer[PyObject]], malloc((n + 1) * cython.sizeof(cython.p_void))
            )
            if places == cython.NULL or moved == cython.NULL or rows == cython.NULL or items == cython.NULL:
                free(places)
                free(moved)
                free(rows)
                free(items)
                raise MemoryError
            self.last_made = 0
            for i in range(n):
                places[i].made = head_of(self.rows[i]).made if self.rows[i] else 0
                places[i].row = i
                if places[i].made > self.last_made:
                    self.last_made = places[i].made
            qsort(places, n, cython.sizeof(Place), _by_making)
            kept = list_items(self.children)
            for i in range(n):
                moved[places[i].row] = i
                rows[i] = self.rows[places[i].row]
                items[i] = kept[places[i].row]
            for i in range(n):
                kept[i] = items[i]
            for i in range(self.mask + 1):
                if self.slots[i].row and self.slots[i].row != GONE:
                    self.slots[i].row = moved[self.slots[i].row - 1] + 1
            free(places)
            free(moved)
            free(items)
            free(self.rows)
            self.rows = rows
            self.unsorted = False
            return 0

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
            if self.room > 2 * n + 64:
                self.room = n + n // 2 + 16
                self.rows = cython.cast(
                    cython.pointer[cython.size_t], realloc(self.rows, self.room * cython.sizeof(cython.size_t))
                )
            if self.mask > 8 * cython.cast(cython.size_t, self.live) + 64:
                self._grow_slots()  # to the size that is wanted, which is less
            return 0


if cython.compiled:

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def _by_making(
        a: cython.pointer[cython.const[cython.void]], b: cython.pointer[cython.const[cython.void]]
    ) -> cython.int:
        first = cython.cast(cython.pointer[Place], a)
        second = cython.cast(cython.pointer[Place], b)
        if first.made == second.made:
            return 1 if first.row > second.row else -1
        return 1 if first.made > second.made else -1
