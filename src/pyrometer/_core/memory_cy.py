"""Memory that processes share: a range of addresses, of which only the pages that are used exist.

On a file system in memory a page that cannot be had is not an error but a signal, at the first read or write. So pages
of a file are asked for before they are used, and nothing is read that was not.
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
    from cython.cimports.posix.fcntl import O_CLOEXEC, O_RDONLY, open
    from cython.cimports.posix.mman import (
        MADV_DONTDUMP,
        MAP_ANONYMOUS,
        MAP_FAILED,
        MAP_NORESERVE,
        MAP_PRIVATE,
        MAP_SHARED,
        PROT_READ,
        PROT_WRITE,
        madvise,
        mmap,
        munmap,
    )
    from cython.cimports.posix.resource import RLIM_INFINITY, RLIMIT_AS, getrlimit, rlimit
    from cython.cimports.posix.unistd import close, read

    from pyrometer._core import layout

    SMALLEST = cython.declare(cython.size_t, layout.SMALLEST)
    # Of Linux, by number: headers older than the system do not name the first.
    POPULATE_WRITE = cython.declare(cython.int, 23)
    REMOVE = cython.declare(cython.int, 9)

    @cython.cfunc
    @cython.exceptval(check=False)
    def usable(size: cython.size_t) -> cython.size_t:
        """How much of so many bytes this process may map: where address space is limited, most is for the program."""
        limit: rlimit
        if getrlimit(RLIMIT_AS, cython.address(limit)) == 0 and limit.rlim_cur != RLIM_INFINITY:
            while size > SMALLEST and size > limit.rlim_cur // 16:
                size //= 2
        return size

    @cython.cfunc
    @cython.exceptval(check=False)
    def map_file(file: cython.int, size: cython.size_t) -> cython.size_t:
        """The address of so many bytes of a file; 0 where that is impossible."""
        at = mmap(cython.NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, file, 0)
        if at == MAP_FAILED:
            return 0
        madvise(at, size, MADV_DONTDUMP)
        return cython.cast(cython.size_t, at)

    @cython.cfunc
    @cython.exceptval(check=False)
    def map_unnamed(size: cython.pointer[cython.size_t], private: cython.bint) -> cython.size_t:
        """The address of memory that forks share (or copy, when private), as much as there can be; 0 for none."""
        sharing: cython.int = MAP_PRIVATE if private else MAP_SHARED
        size[0] = usable(size[0])
        while size[0] >= SMALLEST:
            at = mmap(cython.NULL, size[0], PROT_READ | PROT_WRITE, sharing | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
            if at != MAP_FAILED:
                madvise(at, size[0], MADV_DONTDUMP)
                return cython.cast(cython.size_t, at)
            size[0] //= 2
        return 0

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def unmap(at: cython.size_t, size: cython.size_t) -> cython.void:
        munmap(cython.cast(cython.p_void, at), size)

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def populate(at: cython.size_t, size: cython.size_t) -> cython.bint:
        """Have pages of a file that hold nothing yet; whether there were any left."""
        zeros: cython.int
        n: cython.Py_ssize_t
        begin: cython.size_t = at & ~cython.cast(cython.size_t, 4095)
        if madvise(cython.cast(cython.p_void, begin), at + size - begin, POPULATE_WRITE) == 0:
            return True
        # Before Linux 5.14: zeros that the kernel writes are an error where they find no page, and not a signal.
        zeros = open(b"/dev/zero", O_RDONLY | O_CLOEXEC)
        if zeros < 0:
            return False
        n = read(zeros, cython.cast(cython.p_void, at), size)
        close(zeros)
        return n == cython.cast(cython.Py_ssize_t, size)

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def give_back(at: cython.size_t, size: cython.size_t) -> cython.void:
        """Let go of whole pages, whose contents become zeros."""
        madvise(cython.cast(cython.p_void, at), size, REMOVE)
