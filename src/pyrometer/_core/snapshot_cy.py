"""A snapshot: the series of a family at one moment, for pages and collectors to read."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrometer._core import _cython as cython
    from pyrometer._samples import Exemplar
else:
    try:
        import cython
    except ImportError:
        from pyrometer._core import _cython as cython

if cython.compiled:
    from cython.cimports.libc.stdlib import free, malloc
    from cython.cimports.libc.string import memcpy
    from cython.cimports.pyrometer._core.native import created as created_at
    from cython.cimports.pyrometer._core.native import flags, load, text, text_len
    from cython.cimports.pyrometer._core.series_cy import Family
else:
    from pyrometer._core import native
    from pyrometer._core.native import load
    from pyrometer._core.series_cy import Family

from pyrometer._core.arena_cy import RECORD_HIDDEN

if cython.compiled:
    HIDDEN = cython.declare(cython.uint, RECORD_HIDDEN)


@cython.final
@cython.no_gc_clear
@cython.cclass
class Snapshot:
    """The series of a family at one moment, in order; their values are read when a page is written.

    While it exists, no record of the arena is used for another series.
    """

    if not cython.compiled:
        __slots__ = ("cell_list", "children", "count", "exemplars", "family")
        exemplars: dict[tuple[int, int], Exemplar]

    def __init__(self, family: Family) -> None:
        self.family = family
        self.exemplars = dict(family.exemplars) if family.exemplars else family.exemplars
        if cython.compiled:
            i: cython.Py_ssize_t
            n: cython.Py_ssize_t = 0
            cell: cython.size_t
            with cython.critical_section(family):
                self.entered = family.arena.enter()
                self.rows = cython.cast(
                    cython.pointer[cython.size_t], malloc((family.live + 1) * cython.sizeof(cython.size_t))
                )
                if self.rows == cython.NULL:
                    raise MemoryError
                if family.live == family.count:
                    n = family.count
                    if n:
                        memcpy(self.rows, family.rows, n * cython.sizeof(cython.size_t))
                else:
                    for i in range(family.count):
                        cell = family.rows[i]
                        if cell:
                            self.rows[n] = cell
                            n += 1
                self.count = n
                self.text_bytes = family.text_bytes
        else:
            with native.lock:
                # Held, they keep their records.
                self.children = list(family.index.values())
            self.cell_list = [child.cell for child in self.children]
            self.count = len(self.cell_list)

    if cython.compiled:

        def __dealloc__(self):
            if self.rows != cython.NULL:
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
