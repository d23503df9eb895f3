"""A record: the head, cells and text of one series, in an arena or in memory of this process alone.

What counts before its series has a place in the arena, and what goes on counting after its series was removed, counts
in a record of its own process, which no page shows.
"""

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
    from cython.cimports.libc.stdint import uint32_t
    from cython.cimports.libc.stdlib import free, malloc
    from cython.cimports.libc.string import memcpy, memset
    from cython.cimports.pyrometer._core.native import HEAD, SPARE, head_of, store, text

    from pyrometer._core.layout import RECORD_HIDDEN, RECORD_PRIVATE, RECORD_REMOVED

    OWN = cython.declare(uint32_t, RECORD_PRIVATE | RECORD_HIDDEN)
    REMOVED = cython.declare(uint32_t, RECORD_REMOVED)

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def size_of(cells: cython.size_t, length: cython.size_t) -> cython.size_t:
        """Bytes of a record with so many cells and so much text."""
        return HEAD + 8 * cells + ((length + 7) & ~cython.cast(cython.size_t, 7))

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def fill(
        cell: cython.size_t,
        cells: cython.size_t,
        label_text: cython.pointer[cython.const[cython.char]],
        length: cython.size_t,
        record_flags: uint32_t,
        split: cython.size_t,
        created: cython.double,
    ) -> cython.void:
        """Write a record whose size is known: its cells are 0."""
        i: cython.size_t
        head = head_of(cell)
        head.text = length
        head.flags = record_flags
        head.split = split
        head.family = head.link = 0
        head.made = head.removed = 0
        head.created = created
        for i in range(cells):
            store(cell + 8 * i, 0.0)
        memcpy(text(cell), label_text, length)

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def new_private(
        cells: cython.size_t,
        label_text: cython.pointer[cython.const[cython.char]],
        length: cython.size_t,
        record_flags: uint32_t,
        split: cython.size_t,
        created: cython.double,
    ) -> cython.size_t:
        """The address of a record of this process; 0 without memory."""
        size: cython.size_t = size_of(cells, length)
        made: cython.size_t = cython.cast(cython.size_t, malloc(size + SPARE))
        if made == 0:
            return 0
        memset(cython.cast(cython.p_void, made), 0, size + SPARE)
        head_of(made + HEAD).size = size
        fill(made + HEAD, cells, label_text, length, record_flags | OWN, split, created)
        head_of(made + HEAD).link = cells
        return made + HEAD

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def clear_private(cell: cython.size_t) -> cython.void:
        """Set the cells of a record that `new_private` made to 0."""
        i: cython.size_t
        for i in range(head_of(cell).link):
            store(cell + 8 * i, 0.0)

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def private_copy(cell: cython.size_t) -> cython.size_t:
        """A removed record as one of this process, for a child that is still held; 0 without memory."""
        size: cython.size_t = head_of(cell).size
        made: cython.size_t = cython.cast(cython.size_t, malloc(size + SPARE))
        if made == 0:
            return 0
        memcpy(cython.cast(cython.p_void, made), cython.cast(cython.p_void, cell - HEAD), size)
        head_of(made + HEAD).flags |= OWN | REMOVED
        return made + HEAD

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def free_private(cell: cython.size_t) -> cython.void:
        free(cython.cast(cython.p_void, cell - HEAD))
