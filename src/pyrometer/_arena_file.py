"""The file of an arena, seen from outside: whether it is one, who uses it, and when it may be removed.

Who attaches holds a shared flock of it until it is mapped, who removes one an exclusive flock, and only of what still
lies under the name: so nobody attaches to what is being removed, and nobody removes what another has just put there.
"""

from __future__ import annotations

import os
import stat
import sys
from time import monotonic, sleep

from pyrometer._core import layout
from pyrometer._program import alive, boot, fellow_children, namespace

# `typing` alone costs 8 ms to import, a good part of what the whole package may take.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE = 0.1
"""Seconds for which another process that is in the way is waited for."""

# Not blocking: a named pipe waits for its other end, and a file under a lease (see `_has_no_writer`) for the lease's.
FLAGS: int = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


def remove_if(directory: int, name: str, condition: Callable[[int], bool]) -> bool | None:
    """Remove a file if the condition holds; True when it is gone, False when it stays.

    None where another process has it locked and so is attaching to it, looking at it or removing it.
    """
    try:
        fd = os.open(name, os.O_RDONLY | FLAGS, dir_fd=directory)
    except FileNotFoundError:
        return True
    try:
        if not lock(fd, shared=False):
            return None
        if is_at(fd, name, directory):
            if not condition(fd):
                return False
            os.unlink(name, dir_fd=directory)
        return True
    finally:
        os.close(fd)


def is_unused(fd: int) -> bool:
    """Whether no process has it mapped, or is about to."""
    free = _has_no_writer(fd)
    if free is False or (free is None and os.pread(fd, 8, 0) == layout.MAGIC and complaint(fd)):
        return False  # for all we know, another version is using it
    if complaint(fd) or _is_of_another_boot(fd):
        return True
    living = [alive(*process) for process in attached(fd)]
    return True not in living and (free is True or None not in living)


def is_last(fd: int) -> bool:
    """Whether no process but this one is attached, was forked and may be, or is its root and lives."""
    if complaint(fd):
        return False
    own = (os.getpid(), namespace())
    related = [*attached(fd), root_of(fd)]
    if any(alive(pid, start, of) is not False for pid, start, of in related if (pid, of) != own):
        return False
    return not fellow_children()


def is_forsaken(fd: int) -> bool:
    """Whether nobody uses it and nobody will: its root is dead, or it never was an arena.

    A root in another pid namespace may live, and have a moment without workers: then its arena stays.
    """
    if os.pread(fd, 8, 0) == layout.MAGIC and complaint(fd):
        return False  # another version's: we cannot read whose it is
    return (bool(complaint(fd)) or _is_of_another_boot(fd) or alive(*root_of(fd)) is False) and is_unused(fd)


def is_leftover(fd: int, explicit: bool) -> bool:
    """Whether an arena may be replaced if nobody uses it.

    At an explicit place, one whose root was in another pid namespace may be: it is what a container has left that was
    started again, far more often than that of another one that has no worker at this moment.
    """
    root = alive(*root_of(fd))
    return _is_of_another_boot(fd) or root is False or (root is None and explicit)


def _has_no_writer(fd: int) -> bool | None:
    """Whether no process has a file open to write or mapped so; None where the system does not tell.

    The kernel grants a lease to read, for a file that is open to read only, exactly then, in whichever pid namespace
    others may be. (On overlayfs it does not see mappings, whose processes then count by the slots of our namespace.)
    """
    try:
        import fcntl
        import signal

        # Sent to who holds a lease that another process wants broken; the usual one would end this process.
        fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except BlockingIOError:
        return False
    except (ImportError, AttributeError, OSError):
        return None
    return True


def complaint(fd: int) -> str:
    """What is wrong with what should be an arena of this version, "" for nothing; it may be of another boot."""
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode):
        return "it is not a regular file"
    if found.st_uid != os.geteuid():
        return f"it belongs to user {found.st_uid}, expected {os.geteuid()}"
    header = os.pread(fd, layout.AT_LOCK, 0)
    if len(header) < layout.AT_LOCK or not header.startswith(layout.MAGIC):
        return f"expected an arena, found {found.st_size} bytes that begin with {header[:16]!r}"
    version, size = _word(header, layout.AT_VERSION), _word(header, layout.AT_SIZE)
    if version != layout.VERSION:
        return f"it is an arena of version {version}, expected {layout.VERSION}"
    if not _is_of_another_boot(fd) and not (size == found.st_size and layout.SMALLEST <= size <= layout.SIZE):
        return f"it is an arena of {size} bytes, found {found.st_size}"
    return ""


def _is_of_another_boot(fd: int) -> bool:
    found, own = _word(os.pread(fd, 8, layout.AT_BOOT), 0), boot()
    return bool(found and own) and found != own


def root_of(fd: int) -> tuple[int, int, int]:
    """The root of the program whose arena it is: process id, start in clock ticks, pid namespace."""
    root = os.pread(fd, 24, layout.AT_ROOT)
    return _word(root, 0), _word(root, 8), _word(root, 16)


def attached(fd: int) -> list[tuple[int, int, int]]:
    """The processes that an arena's slots name, alive or not: process id, start in clock ticks, pid namespace."""
    count = min(_word(os.pread(fd, 8, layout.AT_SLOTS), 0), layout.SLOT_COUNT)
    slots = os.pread(fd, layout.SLOT * count, layout.SLOTS)
    at = range(0, len(slots) - layout.AT_NAMESPACE - 7, layout.SLOT)
    fields = (layout.AT_PID, layout.AT_START, layout.AT_NAMESPACE)
    found = [tuple(_word(slots, slot + field) for field in fields) for slot in at]
    return [(pid, start, of) for pid, start, of in found if pid]


def lock(fd: int, *, shared: bool) -> bool:
    """Lock a file until its descriptor is closed, in forks as well; False where another process has it locked.

    Where a file system knows no locks, all may attach and nobody removes.
    """
    import fcntl

    until = monotonic() + (PATIENCE if shared else 0)
    while True:
        try:
            fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if monotonic() >= until:
                return False
            sleep(PATIENCE / 100)
        except OSError:
            return shared


def unlock(fd: int) -> None:
    """Let go of a file that this process is attached to, and so keeps by its slot."""
    import fcntl

    try:
        fcntl.flock(fd, fcntl.LOCK_UN)
    except OSError:
        pass


def is_at(fd: int, name: str, directory: int) -> bool:
    """Whether a file that was opened still lies under its name."""
    try:
        return os.path.samestat(os.fstat(fd), os.stat(name, dir_fd=directory, follow_symlinks=False))
    except FileNotFoundError:
        return False


def _word(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 8], sys.byteorder)
