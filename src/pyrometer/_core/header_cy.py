"""The header of an arena: what a new one begins with."""

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
    from cython.cimports.pyrometer._core.memory_cy import map_file, populate, unmap, usable
    from cython.cimports.pyrometer._core.native import set_word, store
    from cython.cimports.pyrometer._core.shared import make_lock

    from pyrometer._core import layout

    AT_SECRET = cython.declare(cython.size_t, layout.AT_SECRET)
    AT_LOCK = cython.declare(cython.size_t, layout.AT_LOCK)

    @cython.cfunc
    @cython.exceptval(check=False)
    def begin(at: cython.size_t, size: cython.size_t) -> cython.void:
        """Write what an arena begins with, but for what only a file needs."""
        import os

        secret: bytes = os.urandom(8)
        random: cython.p_char = secret
        memcpy(cython.cast(cython.p_void, at + AT_SECRET), random, 8)
        set_word(at + layout.AT_TOP, layout.FIRST + layout.RESERVE)
        set_word(at + layout.AT_RESERVE, layout.RESERVE)
        set_word(at + layout.AT_LIMBO_MARK, 64)
        set_word(at + layout.AT_SIZE, size)
        set_word(at + layout.AT_VERSION, layout.VERSION)
        make_lock(at + AT_LOCK)

    def prepare(file: cython.int, root: tuple, started: float, boot: int) -> None:
        """Make a new file an arena. root: its process id, start and pid namespace. OSError where there is no room."""
        import errno
        import os

        size: cython.size_t = usable(layout.SIZE)
        at: cython.size_t
        reserved: cython.size_t = layout.RESERVE * layout.CHUNK
        begins: cython.size_t = layout.FIRST * layout.CHUNK + reserved
        os.ftruncate(file, size)
        at = map_file(file, begins)
        if at == 0:
            raise MemoryError(f"arena: no address space for {begins} bytes of shared memory")
        try:
            if not populate(at, layout.CHUNKS + 4096) or not populate(at + layout.FIRST * layout.CHUNK, reserved):
                raise OSError(errno.ENOSPC, f"no space left for the first {layout.CHUNKS + 4096 + reserved} bytes")
            begin(at, size)
            set_word(at + layout.AT_FILE, 1)
            set_word(at + layout.AT_BOOT, boot)
            set_word(at + layout.AT_ROOT, root[0])
            set_word(at + layout.AT_ROOT + 8, root[1])
            set_word(at + layout.AT_ROOT + 16, root[2])
            store(at + layout.AT_STARTED, started)
            magic: bytes = layout.MAGIC
            first: cython.p_char = magic
            memcpy(cython.cast(cython.p_void, at), first, 8)
        finally:
            unmap(at, begins)

else:

    def prepare(_file: int, _root: tuple[int, int, int], _started: float, _boot: int) -> None:
        """Nothing is shared without the compiled core."""
        raise OSError("an arena in a file needs the compiled core")
