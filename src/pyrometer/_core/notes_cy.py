"""Notes: short texts that belong to a series (an exemplar, the text of an Info), written in place by any process.

Nobody waits for anybody: a note carries a check of its contents, and one that is found half written, because another
process is writing it or died in the middle, is none until the next is written.
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
    from cython.cimports.libc.string import memcpy
    from cython.cimports.pyrometer._core.native import (
        HEAD,
        fence,
        head_of,
        load,
        mix,
        set_word,
        store,
        word,
    )

    # Cells of a note: the offset of its series' record, an index there, value, Unix time, check.
    VALUE_AT = cython.declare(cython.size_t, 16)
    STAMP_AT = cython.declare(cython.size_t, 24)
    CHECK_AT = cython.declare(cython.size_t, 32)
    CELLS_SIZE = cython.declare(cython.size_t, 40)

    @cython.cfunc
    @cython.exceptval(check=False)
    def _check(note: cython.size_t, data: cython.p_char, size: cython.size_t) -> cython.size_t:
        return mix(mix(size, data, size), cython.cast(cython.p_char, note + VALUE_AT), CHECK_AT - VALUE_AT)

    @cython.cfunc
    @cython.exceptval(check=False)
    def write_note(note: cython.size_t, data: bytes, value: cython.double, stamp: cython.double) -> cython.bint:
        """Write a note over the one before; whether there is room for it."""
        size: cython.size_t = len(data)
        given: cython.p_char = data
        if size > head_of(note).size - HEAD - CELLS_SIZE:
            return False
        set_word(note + CHECK_AT, 0)
        fence()
        head_of(note).text = size
        memcpy(cython.cast(cython.p_void, note + CELLS_SIZE), given, size)
        store(note + VALUE_AT, value)
        store(note + STAMP_AT, stamp)
        fence()
        set_word(note + CHECK_AT, _check(note, given, size))
        return True

    @cython.cfunc
    def read_note(note: cython.size_t) -> object:
        """(text, value, Unix time) of a note; None for one that is being written."""
        size: cython.size_t
        check: cython.size_t
        _attempt: cython.int
        for _attempt in range(3):
            check = word(note + CHECK_AT)
            size = head_of(note).text
            if size <= head_of(note).size - HEAD - CELLS_SIZE:
                data: bytes = cython.cast(cython.p_char, note + CELLS_SIZE)[:size]
                value: cython.double = load(note + VALUE_AT)
                stamp: cython.double = load(note + STAMP_AT)
                fence()
                if check == _check(note, data, size) and check == word(note + CHECK_AT):
                    return data, value, stamp
        return None
