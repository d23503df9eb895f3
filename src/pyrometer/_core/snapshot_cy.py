"""A snapshot: the series of a family at one moment, for pages and collectors to read."""

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
    from cython.cimports.libc.stdlib import free, malloc
    from cython.cimports.libc.string import memset
    from cython.cimports.pyrometer._core.family_cy import Family
    from cython.cimports.pyrometer._core.native import created as created_at
    from cython.cimports.pyrometer._core.native import flags, load, text, text_len
    from cython.cimports.pyrometer._core.table_cy import Table
else:
    from pyrometer._core import native
    from pyrometer._core.family_cy import Family
    from pyrometer._core.native import load

from pyrometer._core.layout import RECORD_HIDDEN, RECORD_PRIVATE

if cython.compiled:
    HIDDEN = cython.declare(cython.uint, RECORD_HIDDEN)
    PRIVATE = cython.declare(cython.uint, RECORD_PRIVATE)


@cython.final
@cython.no_gc_clear
@cython.cclass
class Snapshot:
    """The series of a family at one moment, in order; their values are read when a page is written.

    While it exists, no record of the arena is used for another series.
    """

    if not cython.compiled:
        __slots__ = ("cell_list", "children", "count", "family", "notes")
        notes: dict[tuple[int, int], tuple[bytes, float, float]]

    def __init__(self, family: Family) -> None:
        self.family = family
        self.notes = family.read_notes()
        if cython.compiled:
            i: cython.Py_ssize_t
            n: cython.Py_ssize_t = 0
            cell: cython.size_t
            table: Table = family.table
            table.tidy()
            room: cython.Py_ssize_t = -1
            while room < table.live:
                room = table.live + table.live // 8 + 16
                free(self.rows)
                self.rows = cython.cast(cython.pointer[cython.size_t], malloc(room * cython.sizeof(cython.size_t)))
                if self.rows == cython.NULL:
                    raise MemoryError
                with cython.nogil:  # touched here, the memory costs those who wait for the lock nothing
                    memset(self.rows, 0, room * cython.sizeof(cython.size_t))
            with cython.critical_section(table):
                self.entered = family.arena.enter()
                self.reading = True
                for i in range(table.count):
                    cell = table.rows[i]
                    if cell and n < room and not flags(cell) & PRIVATE:
                        self.rows[n] = cell
                        n += 1
                self.count = n
                self.text_bytes = table.text_bytes
        else:
            self.children = family.table.all()  # which, held, keep their records
            self.cell_list = [child.cell for child in self.children]
            self.count = len(self.cell_list)

    if cython.compiled:

        def __dealloc__(self):
            if self.reading:
                self.family.arena.leave(self.entered)
            free(self.rows)

    def __len__(self) -> int:
        return self.count

    def records(self) -> list[tuple[int, bytes, float]]:
        """[(cell, label text, Unix time of its making)] of the series."""
        if cython.compiled:
            found: list = []
            i: cython.Py_ssize_t
            for i in range(self.count):
                if flags(self.rows[i]) & HIDDEN:
                    continue
                label_text: bytes = text(self.rows[i])[: text_len(self.rows[i])]
                found.append((self.rows[i], label_text, load(created_at(self.rows[i]))))
            return found
        else:
            records = [(cell, native.record(cell)) for cell in self.cell_list]
            return [(cell, record.text, record.created) for cell, record in records if not record.flags & RECORD_HIDDEN]


def read_cell(cell: cython.size_t) -> float:
    """The value of a cell by its address."""
    return load(cell)
