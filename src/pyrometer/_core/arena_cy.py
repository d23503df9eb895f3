"""The memory that holds the cells.

An arena is one range of addresses, mapped shared: what a process forks sees the same cells, and an update by either is
an update for both. It is handed out in records, one for each series::

    size, length of the text, flags, split | created | cells ... | label text, ready for a page

A record never moves, so its address (that of its first cell) is all a child needs. Records are handed out by an atomic
add to a word at the start of the range, which also works across processes. A record that was given back is used again
by the process that handed it out, unless a fork happened in between: then another process may still count in it.

Interpreted, the records live in a list of this process (`native.py`), with the same addresses-as-names rules.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pyrometer._core import _cython as cython
else:
    try:
        import cython
    except ImportError:
        from pyrometer._core import _cython as cython

if cython.compiled:
    from cython.cimports.libc.stdint import uint32_t
    from cython.cimports.libc.stdlib import free, realloc
    from cython.cimports.libc.string import memcpy, memset
    from cython.cimports.pyrometer._core.native import (
        HEAD,
        SPARE,
        fork_count,
        head_of,
        map_memory,
        set_word,
        spin_lock,
        spin_unlock,
        store,
        take,
        text,
        unmap_memory,
        watch_forks,
        word,
    )

    watch_forks()
else:
    from pyrometer._core import native

RECORD_ESCAPED = 1
"""Flag: the label text contains an escape, so that raw label values cannot be compared with it."""
RECORD_REMOVED = 2
"""Flag: the series was removed; whoever still holds its child writes here, and nobody reads it."""
RECORD_HIDDEN = 4
"""Flag: the series has no value at present (its callback failed) and is left out of pages."""

RESERVED = 1 << 30
"""Bytes of address space for an arena; memory is used only for what is touched."""


@cython.final
@cython.cclass
class Arena:
    """Memory for the records of one registry, shared with the processes forked from this one.

    It is given back when the last family, child and snapshot that use it are gone.
    """

    if not cython.compiled:
        __slots__ = ("held",)

    def __cinit__(self) -> None:
        if cython.compiled:
            self.size = RESERVED
            self.at = map_memory(cython.address(self.size))
            if self.at == 0:
                raise MemoryError("arena: no address space for 64 KiB of shared memory")
            memset(cython.address(self.free[0]), 0, 256 * cython.sizeof(cython.size_t))
            self.forks = fork_count()
            set_word(self.at, 64)

    def __reduce__(self) -> str:
        raise TypeError("an arena is neither copied nor pickled: its memory is in one place")

    if not cython.compiled:

        def __init__(self) -> None:
            self.held: set[int] = set()

        def allocate(
            self, cells: int, label_text: bytes, length: int, record_flags: int, split: int, created: float
        ) -> int:
            cell = native.allocate(cells, label_text, record_flags, split, created)
            self.held.add(cell)
            return cell

        def release(self, cell: int) -> None:
            self.held.discard(cell)
            native.release(cell)

        # At the end of the interpreter, names of modules are gone before objects are.
        def __del__(self, ending: Callable[[], bool] = sys.is_finalizing) -> None:
            if not ending():
                for cell in self.held:
                    native.release(cell)

    else:

        def __dealloc__(self):
            if self.at:
                unmap_memory(self.at, self.size)
            free(self.limbo)

        @cython.cfunc
        @cython.exceptval(0, check=False)
        def allocate(
            self,
            cells: cython.size_t,
            label_text: cython.pointer[cython.const[cython.char]],
            length: cython.size_t,
            record_flags: uint32_t,
            split: cython.size_t,
            created: cython.double,
        ) -> cython.size_t:
            size: cython.size_t = HEAD + 8 * cells + ((length + 7) & ~cython.cast(cython.size_t, 7))
            index: cython.size_t = _size_class(cython.address(size))
            cell: cython.size_t
            i: cython.size_t
            spin_lock(cython.address(self.busy))
            if self.forks != fork_count():
                self._forked()
            cell = self.free[index]
            if cell:
                self.free[index] = word(cell)
            spin_unlock(cython.address(self.busy))
            if cell == 0:
                i = take(self.at, size, self.size - SPARE)
                if i == 0:
                    raise MemoryError(f"arena: {self.size} bytes of address space are used up")
                cell = self.at + i + HEAD
            head = head_of(cell)
            head.size = size
            head.text = length
            head.flags = record_flags
            head.split = split
            head.created = created
            for i in range(cells):
                store(cell + 8 * i, 0.0)
            memcpy(text(cell), label_text, length)
            return cell

        @cython.cfunc
        @cython.exceptval(check=False)
        def release(self, cell: cython.size_t) -> cython.void:
            """Take a record back, to be used again once no page that is being written can still read it."""
            index: cython.size_t
            size: cython.size_t
            room: cython.size_t
            grown: cython.pointer[cython.size_t]
            spin_lock(cython.address(self.busy))
            if self.forks != fork_count():
                self._forked()
            if cell >= self.watermark:
                if self.readers:
                    if self.limbo_used == self.limbo_room:
                        room = self.limbo_room * 2 + 64
                        grown = cython.cast(
                            cython.pointer[cython.size_t], realloc(self.limbo, room * cython.sizeof(cython.size_t))
                        )
                        if grown != cython.NULL:
                            self.limbo = grown
                            self.limbo_room = room
                    if self.limbo_used < self.limbo_room:
                        self.limbo[self.limbo_used] = cell
                        self.limbo_used += 1
                else:
                    size = head_of(cell).size
                    index = _size_class(cython.address(size))
                    set_word(cell, self.free[index])
                    self.free[index] = cell
            spin_unlock(cython.address(self.busy))

        @cython.cfunc
        @cython.nogil
        @cython.exceptval(check=False)
        def _forked(self) -> cython.void:
            """After a fork, what was handed out before it belongs to both processes: neither uses it again.

            So the pages that were being written at the fork need nobody's care; a page of a thread that the fork did
            not take along would never leave.
            """
            self.forks = fork_count()
            self.watermark = self.at + word(self.at)
            memset(cython.address(self.free[0]), 0, 256 * cython.sizeof(cython.size_t))
            self.limbo_used = 0
            self.readers = 0

        @cython.cfunc
        @cython.exceptval(check=False)
        def enter(self) -> cython.size_t:
            """A page begins to read records; returns what `leave` has to be told."""
            entered: cython.size_t
            spin_lock(cython.address(self.busy))
            if self.forks != fork_count():
                self._forked()
            self.readers += 1
            entered = self.forks
            spin_unlock(cython.address(self.busy))
            return entered

        @cython.cfunc
        @cython.exceptval(check=False)
        def leave(self, entered: cython.size_t) -> cython.void:
            """A page has read its records; the last one frees what was given back meanwhile."""
            i: cython.size_t
            index: cython.size_t
            size: cython.size_t
            cell: cython.size_t
            spin_lock(cython.address(self.busy))
            if self.forks != fork_count():
                self._forked()
            if entered == self.forks:
                self.readers -= 1
            if self.readers == 0:
                for i in range(self.limbo_used):
                    cell = self.limbo[i]
                    size = head_of(cell).size
                    index = _size_class(cython.address(size))
                    set_word(cell, self.free[index])
                    self.free[index] = cell
                self.limbo_used = 0
            spin_unlock(cython.address(self.busy))


if cython.compiled:

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def _size_class(size: cython.pointer[cython.size_t]) -> cython.size_t:
        """The free list for records of *size bytes; a size above 512 bytes is rounded up, by an eighth at most."""
        index: cython.size_t = 64
        step: cython.size_t = 64
        if size[0] < 512:
            return size[0] // 8
        while size[0] > 16 * step:
            step *= 2
            index += 8
        size[0] = (size[0] + step - 1) // step * step
        return index + size[0] // step - 8
