"""The slots of an arena: which processes are attached to it, and what each may still hold.

A process takes a slot when it maps an arena, and in every fork's child, before any of its code runs: the C library's
own hooks do that, since not every server runs Python's.
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
    from cython.cimports.libc.errno import ESRCH, errno
    from cython.cimports.libc.stdio import snprintf
    from cython.cimports.libc.stdlib import free, malloc, realloc, strtoull
    from cython.cimports.libc.string import memset, strrchr
    from cython.cimports.posix.fcntl import O_CLOEXEC, O_RDONLY, open
    from cython.cimports.posix.signal import kill
    from cython.cimports.posix.stat import stat, struct_stat
    from cython.cimports.posix.time import CLOCK_MONOTONIC, clock_gettime, timespec
    from cython.cimports.posix.unistd import close, getpid, read
    from cython.cimports.pyrometer._core.native import (
        add,
        add_word,
        exchange,
        fence,
        pthread_atfork,
        set_word,
        swap_word,
        word,
    )
    from cython.cimports.pyrometer._core.record_cy import clear_private
    from cython.cimports.pyrometer._core.shared import make_lock

    from pyrometer._core import layout

    SLOTS = cython.declare(cython.size_t, layout.SLOTS)
    SLOT = cython.declare(cython.size_t, layout.SLOT)
    SLOT_COUNT = cython.declare(cython.size_t, layout.SLOT_COUNT)
    AT_SLOTS = cython.declare(cython.size_t, layout.AT_SLOTS)
    AT_CROWDED = cython.declare(cython.size_t, layout.AT_CROWDED)
    AT_LOCK = cython.declare(cython.size_t, layout.AT_LOCK)
    AT_PID = cython.declare(cython.size_t, layout.AT_PID)
    AT_START = cython.declare(cython.size_t, layout.AT_START)
    AT_NAMESPACE = cython.declare(cython.size_t, layout.AT_NAMESPACE)
    AT_KNOWS = cython.declare(cython.size_t, layout.AT_KNOWS)
    AT_ACKED = cython.declare(cython.size_t, layout.AT_ACKED)
    AT_SECRET = cython.declare(cython.size_t, layout.AT_SECRET)
    AT_DEAD = cython.declare(cython.size_t, layout.AT_DEAD)
    AT_BORN = cython.declare(cython.size_t, layout.AT_BORN)
    VALUES = cython.declare(cython.size_t, layout.VALUES)
    AT_SERVING = cython.declare(cython.size_t, layout.AT_SERVING)
    AT_VALUES = cython.declare(cython.size_t, layout.AT_VALUES)

    UNKNOWN = cython.declare(cython.size_t, (1 << 64) - 1)

    _first = cython.declare(cython.pointer[Attachment], cython.NULL)
    _forks = cython.declare(cython.size_t, 1)
    _quiet_until = cython.declare(cython.double, 0.0)

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def fork_count() -> cython.size_t:
        """Changes in the child of a fork."""
        return _forks

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def _now() -> cython.double:
        now: timespec
        clock_gettime(CLOCK_MONOTONIC, cython.address(now))
        return now.tv_sec + now.tv_nsec / 1e9

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def is_quiet(attachment: cython.pointer[Attachment]) -> cython.bint:
        """Whether a fork of this process may not have had the time to take its slot.

        It holds what its parent held: until it has said so, the parent lets go of nothing; for a second at most, since
        a fork may fail, or be killed at once.
        """
        if attachment.slot == 0 or attachment.forked == word(attachment.slot + AT_BORN):
            return False
        if _now() < _quiet_until:
            return True
        attachment.forked = word(attachment.slot + AT_BORN)
        return False

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def _forked_parent() -> cython.void:
        global _quiet_until
        attachment: cython.pointer[Attachment] = _first
        _quiet_until = _now() + 1.0
        while attachment != cython.NULL:
            attachment.forked += 1
            attachment = attachment.next

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def _forked_child() -> cython.void:
        global _forks
        attachment: cython.pointer[Attachment] = _first
        i: cython.size_t
        parent: cython.size_t
        _forks += 1
        while attachment != cython.NULL:
            if attachment.private:
                make_lock(attachment.at + AT_LOCK)
                memset(cython.cast(cython.p_void, attachment.at + SLOTS), 0, SLOT * word(attachment.at + AT_SLOTS))
            for i in range(attachment.handle_count):
                attachment.handles[i][0] = 0
            attachment.handle_count = 0
            for i in range(attachment.alone_count):
                clear_private(attachment.alone[i])
            parent = attachment.slot
            attachment.forked = 0
            attachment.slot = _claim(attachment)
            if parent and not attachment.private:
                add_word(parent + AT_BORN, 1)
            attachment = attachment.next

    pthread_atfork(cython.NULL, _forked_parent, _forked_child)

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def slot_at(at: cython.size_t, number: cython.size_t) -> cython.size_t:
        return at + SLOTS + SLOT * number

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def attach(at: cython.size_t, private: cython.bint) -> cython.pointer[Attachment]:
        """Take a slot for this process and, after each fork, for its children; NULL without memory."""
        global _first
        attachment: cython.pointer[Attachment] = cython.cast(
            cython.pointer[Attachment], malloc(cython.sizeof(Attachment))
        )
        if attachment == cython.NULL:
            return attachment
        memset(attachment, 0, cython.sizeof(Attachment))
        attachment.at = at
        attachment.private = private
        attachment.slot = _claim(attachment)
        attachment.next = _first
        _first = attachment
        return attachment

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def detach(attachment: cython.pointer[Attachment]) -> cython.void:
        """Take no slot in forks any more: the arena is about to be unmapped, with all this process held of it.

        The slot itself stays until somebody finds its process gone, and keeps what that has kept there.
        """
        global _first
        link: cython.pointer[cython.pointer[Attachment]] = cython.address(_first)
        while link[0] != attachment:
            link = cython.address(link[0].next)
        link[0] = attachment.next
        free(attachment.handles)
        free(attachment.alone)
        free(attachment)

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def _claim(attachment: cython.pointer[Attachment]) -> cython.size_t:
        at: cython.size_t = attachment.at
        pid: cython.size_t = getpid()
        start: cython.size_t = start_of(pid)
        if start == UNKNOWN:
            start = 0
        namespace: cython.size_t = own_namespace()
        number: cython.size_t
        slot: cython.size_t
        before: cython.size_t
        for number in range(word(at + AT_SLOTS)):  # of this very process, before it executed what it is now
            slot = slot_at(at, number)
            if word(slot + AT_PID) == pid and word(slot + AT_NAMESPACE) == namespace and not _is_own(at, slot):
                return _begin(attachment, number, start, namespace)
        for number in range(SLOT_COUNT):
            slot = slot_at(at, number)
            if word(slot + AT_PID) == 0 and swap_word(slot + AT_PID, 0, pid):
                return _begin(attachment, number, start, namespace)
        for number in range(SLOT_COUNT):  # whoever scrapes buries the dead, and nobody has scraped for long
            slot = slot_at(at, number)
            before = word(slot + AT_PID)
            if not is_alive(slot) and swap_word(slot + AT_PID, before, pid):
                return _begin(attachment, number, start, namespace)
        set_word(at + AT_CROWDED, 1)
        return 0

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def _begin(
        attachment: cython.pointer[Attachment], number: cython.size_t, start: cython.size_t, namespace: cython.size_t
    ) -> cython.size_t:
        """Make a slot that was taken this process's; what another kept there is kept for it."""
        slot: cython.size_t = slot_at(attachment.at, number)
        top: cython.size_t
        set_word(slot + AT_START, start)
        set_word(slot + AT_NAMESPACE, namespace)
        set_word(slot + AT_KNOWS, attachment.knows)
        set_word(slot + AT_ACKED, attachment.acked)
        keep_values(attachment.at, slot)
        memset(cython.cast(cython.p_void, slot + AT_SERVING), 0, AT_VALUES - AT_SERVING)
        set_word(slot + AT_BORN, 0)
        top = word(attachment.at + AT_SLOTS)
        while top <= number and not swap_word(attachment.at + AT_SLOTS, top, number + 1):
            top = word(attachment.at + AT_SLOTS)
        fence()
        return slot

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def _is_own(at: cython.size_t, slot: cython.size_t) -> cython.bint:
        """Whether this process has a slot already, in an arena that it has mapped twice."""
        other: cython.pointer[Attachment] = _first
        while other != cython.NULL:
            if other.slot and other.slot - other.at == slot - at:
                if word(other.at + AT_SECRET) == word(at + AT_SECRET):
                    return True
            other = other.next
        return False

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def keep_values(at: cython.size_t, slot: cython.size_t) -> cython.void:
        """Add what a process kept in its slot to the sums over those that have ended."""
        i: cython.size_t
        for i in range(VALUES):
            add(at + AT_DEAD + 8 * i, exchange(slot + AT_VALUES + 8 * i, 0.0))

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def free_slot(slot: cython.size_t) -> cython.void:
        """Have a slot taken by another process; the id last, which is what says that it is free."""
        set_word(slot + AT_KNOWS, 0)
        set_word(slot + AT_ACKED, 0)
        memset(cython.cast(cython.p_void, slot + AT_SERVING), 0, AT_VALUES - AT_SERVING)
        set_word(slot + AT_START, 0)
        set_word(slot + AT_NAMESPACE, 0)
        set_word(slot + AT_PID, 0)

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def own_namespace() -> cython.size_t:
        """The pid namespace of this process; 0 where there is none."""
        found: struct_stat
        if stat(b"/proc/self/ns/pid", cython.address(found)) != 0:
            return 0
        return found.st_ino

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def start_of(pid: cython.size_t) -> cython.size_t:
        """When a process started, in clock ticks since the system did (proc(5), field 22).

        0 for none, or a zombie; UNKNOWN where it exists and no more can be had: without a free descriptor, or a /proc.
        """
        path: cython.char[64]
        buffer: cython.char[1024]
        file: cython.int
        n: cython.Py_ssize_t
        _i: cython.int
        snprintf(path, 64, b"/proc/%zu/stat", pid)
        file = open(path, O_RDONLY | O_CLOEXEC)
        if file < 0:
            return 0 if kill(pid, 0) != 0 and errno == ESRCH else UNKNOWN
        n = read(file, buffer, 1023)
        close(file)
        if n <= 0:
            return 0
        buffer[n] = 0
        # The name of the program comes second, in parentheses, and may hold spaces and parentheses itself.
        at: cython.p_char = strrchr(buffer, b")"[0])
        if at == cython.NULL or at[1] == 0 or at[2] == b"Z"[0] or at[2] == b"X"[0]:
            return 0
        for _i in range(20):
            at += 1
            while at[0] != b" "[0] and at[0] != 0:
                at += 1
            if at[0] == 0:
                return 0
        return strtoull(at + 1, cython.NULL, 10)

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def is_alive(slot: cython.size_t) -> cython.bint:
        """Whether the process of a slot lives: its id and its start, since ids are used again.

        One of another pid namespace cannot be asked for, and counts as alive; nor can any without a /proc. One that has
        just taken its slot has not said yet where and when it began.
        """
        start: cython.size_t
        namespace: cython.size_t = own_namespace()
        if namespace == 0 or (word(slot + AT_NAMESPACE) != namespace and word(slot + AT_NAMESPACE) != 0):
            return True
        start = start_of(word(slot + AT_PID))
        if start == UNKNOWN:
            return True
        return start != 0 and (word(slot + AT_START) == 0 or word(slot + AT_START) == start)

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def add_alone(attachment: cython.pointer[Attachment], cell: cython.size_t) -> cython.bint:
        """Have a private record begin at zero in forks: its parent brings to the arena what it has counted."""
        room: cython.size_t
        if attachment.alone_count == attachment.alone_room:
            room = attachment.alone_room * 2 + 16
            grown = cython.cast(
                cython.pointer[cython.size_t], realloc(attachment.alone, room * cython.sizeof(cython.size_t))
            )
            if grown == cython.NULL:
                return False
            attachment.alone = grown
            attachment.alone_room = room
        attachment.alone[attachment.alone_count] = cell
        attachment.alone_count += 1
        return True

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def drop_alone(attachment: cython.pointer[Attachment], cell: cython.size_t) -> cython.void:
        i: cython.size_t
        for i in range(attachment.alone_count):
            if attachment.alone[i] == cell:
                attachment.alone_count -= 1
                attachment.alone[i] = attachment.alone[attachment.alone_count]
                return

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def add_handle(attachment: cython.pointer[Attachment], handle: cython.pointer[cython.size_t]) -> cython.bint:
        """Have the cell of a child set to 0 in the children of this process: it counts for this one alone."""
        room: cython.size_t
        if attachment.handle_count == attachment.handle_room:
            room = attachment.handle_room * 2 + 16
            grown = cython.cast(
                cython.pointer[cython.pointer[cython.size_t]],
                realloc(attachment.handles, room * cython.sizeof(cython.p_void)),
            )
            if grown == cython.NULL:
                return False
            attachment.handles = grown
            attachment.handle_room = room
        attachment.handles[attachment.handle_count] = handle
        attachment.handle_count += 1
        return True

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def drop_handle(attachment: cython.pointer[Attachment], handle: cython.pointer[cython.size_t]) -> cython.void:
        i: cython.size_t
        for i in range(attachment.handle_count):
            if attachment.handles[i] == handle:
                attachment.handle_count -= 1
                attachment.handles[i] = attachment.handles[attachment.handle_count]
                return
