"""The meeting place: where the processes of a program find their arena, and how long it stays there."""

from __future__ import annotations

import os
import stat
import sys
from errno import ELOOP
from time import sleep

from pyrometer._arena_file import (
    FLAGS,
    PATIENCE,
    attached,
    complaint,
    is_at,
    is_forsaken,
    is_last,
    is_leftover,
    is_unused,
    lock,
    remove_if,
    root_of,
)
from pyrometer._core import layout
from pyrometer._program import alive, program

# `typing` alone costs 8 ms to import, a good part of what the whole package may take.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "Place",
    "PlaceError",
    "attached",
    "explicit_place",
    "leave",
    "open_at",
    "own_directories",
    "places",
    "sweep",
]

_SUFFIX = ".arena"


class PlaceError(OSError):
    """No arena can be had at a place: the message names it, what was expected and what was found there."""


class Place:
    """Where an arena may lie: `file`, a full path, in `directory`; `explicit` where a user has said so.

    What is found at an explicit place and is no arena of ours is never changed; the others are Pyrometer's own.
    """

    __slots__ = ("directory", "explicit", "file")

    def __init__(self, directory: str, file: str, explicit: bool) -> None:
        self.directory = directory
        self.file = file
        self.explicit = explicit

    def __repr__(self) -> str:
        return f"Place({self.file!r}, explicit={self.explicit})"


def explicit_place(directory: str) -> Place:
    """The place in a directory that a user names; a relative one is taken from the current directory."""
    directory = os.path.abspath(directory)
    return Place(directory, os.path.join(directory, f"pyrometer-v{layout.VERSION}{_SUFFIX}"), True)


def places() -> list[Place]:
    """Where this program's arena may lie, best first; empty where PYROMETER_ARENA is `off`, and on Windows.

    What PYROMETER_ARENA names comes first, else PROMETHEUS_MULTIPROC_DIR. The others follow, for when nothing can be
    had there: they still join the processes of one program.
    """
    wanted = os.environ.get("PYROMETER_ARENA", "")
    if wanted.lower() == "off" or not hasattr(os, "geteuid"):
        return []
    named = program().joined or wanted or os.environ.get("PROMETHEUS_MULTIPROC_DIR", "")
    return ([explicit_place(named)] if named else []) + [_own_place(directory) for directory in own_directories()]


def own_directories() -> list[str]:
    """The directories that Pyrometer may make for a user's arenas, in order of preference; they need not exist."""
    user = os.geteuid()
    variables = [os.environ.get(name, "") for name in ("XDG_RUNTIME_DIR", "TMPDIR", "TEMP", "TMP")]
    above = ["/dev/shm", variables[0], f"/run/user/{user}", *variables[1:], "/tmp", "/var/tmp", "/usr/tmp"]
    found = dict.fromkeys(directory for directory in above if os.path.isabs(directory) and os.path.isdir(directory))
    return [os.path.join(directory, f"pyrometer-{user}") for directory in found]


def open_at(place: Place, prepare: Callable[[int], None]) -> int:
    """A descriptor of the arena at a place, open to read and write; it is made where there is none.

    It is complete: of this version and this run of the system. `prepare` gets the descriptor of an empty file and makes
    an arena of it, which appears under its name when that is done, or not at all. The caller closes the descriptor once
    it has mapped the file and taken a slot; until then nobody removes the file.

    What a dead program has left is replaced, and at a place of Pyrometer's own what is broken, too. Raises PlaceError.
    """
    name = os.path.basename(place.file)
    try:
        directory = _open_directory(place)
        try:
            return _join_or_make(place, name, directory, prepare)
        finally:
            os.close(directory)
    except PlaceError:
        raise
    except OSError as error:
        reason = "a symbolic link, which is not followed" if error.errno == ELOOP else error.strerror or error
        raise PlaceError(f"an arena cannot be had at {place.file!r}: {reason}") from error


def leave(file: str) -> None:
    """Remove an arena when this process ends, if it was the last: for the root of a program, and harmless for others.

    The file stays where another process is attached or about to be, or was forked and may be, and where the root is
    another process that lives. Never raises.
    """
    try:
        directory, name = os.open(os.path.dirname(file), os.O_RDONLY | os.O_DIRECTORY), os.path.basename(file)
    except OSError:
        return
    try:
        remove_if(directory, name, is_last)
    except OSError:
        pass
    finally:
        os.close(directory)


def sweep(directory: str) -> None:
    """Remove from a directory of Pyrometer's own what nobody uses any more and no living program owns. Never raises."""
    try:
        opened = _open_directory(Place(directory, "", False), make=False)
    except OSError:
        return
    try:
        for name in os.listdir(opened):
            if _SUFFIX in name:
                try:
                    remove_if(opened, name, is_forsaken)
                except OSError:
                    continue
    except OSError:
        pass
    finally:
        os.close(opened)


def _open_directory(place: Place, make: bool = True) -> int:
    if place.explicit:
        os.makedirs(place.directory, 0o700, exist_ok=True)
        return os.open(place.directory, os.O_RDONLY | os.O_DIRECTORY)
    if make:
        try:
            os.mkdir(place.directory, 0o700)
        except FileExistsError:
            pass
    opened = os.open(place.directory, os.O_RDONLY | os.O_DIRECTORY | FLAGS)
    try:
        found = os.fstat(opened)
        if found.st_uid != os.geteuid():
            raise PlaceError(f"{place.directory!r} belongs to user {found.st_uid}, expected {os.geteuid()}")
        if stat.S_IMODE(found.st_mode) != 0o700:
            os.fchmod(opened, 0o700)
    except BaseException:
        os.close(opened)
        raise
    return opened


def _own_place(directory: str) -> Place:
    files = [os.path.join(directory, name + _SUFFIX) for name in program().names]
    return Place(directory, next((file for file in files if os.path.lexists(file)), files[0]), False)


def _join_or_make(place: Place, name: str, directory: int, prepare: Callable[[int], None]) -> int:
    obstacle = "other processes keep making and removing it"
    has_users = False
    for attempt in range(100):
        if attempt:
            sleep(PATIENCE / 100)
        try:
            fd = os.open(name, os.O_RDWR | FLAGS, dir_fd=directory)
        except FileNotFoundError:
            fd = _make(name, directory, prepare)
            if fd >= 0:
                return fd
            continue
        except BlockingIOError:  # another process holds a lease for a moment
            continue
        kept = False
        try:
            if not lock(fd, shared=True):
                obstacle = f"another process has had it locked for {PATIENCE} s"
                break
            if not is_at(fd, name, directory):
                continue
            wrong = complaint(fd)
            if not wrong and (has_users or not is_leftover(fd, place.explicit)):
                _adopt(fd)
                kept = True
                return fd
        finally:
            if not kept:
                os.close(fd)
        if wrong and (place.explicit or has_users):
            obstacle = wrong
            break
        removed = remove_if(directory, name, is_unused)
        has_users = removed is False or (removed is None and attempt >= 50)
    raise PlaceError(f"{place.file!r} cannot be joined: {obstacle}")


def _make(name: str, directory: int, prepare: Callable[[int], None]) -> int:
    """A descriptor of a new arena; -1 where another process was quicker. Nothing is left of one that fails."""
    temporary = ""
    try:
        fd = os.open(".", os.O_TMPFILE | os.O_RDWR, 0o600, dir_fd=directory)
    except (OSError, AttributeError):  # neither every system nor every file system has files without a name
        temporary = f".{name}.{os.urandom(8).hex()}"
        fd = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_RDWR | FLAGS, 0o600, dir_fd=directory)
    made = False
    try:
        os.fchmod(fd, 0o600)  # whatever the umask
        lock(fd, shared=True)
        prepare(fd)
        if temporary:
            os.link(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
        else:
            os.link(f"/proc/self/fd/{fd}", name, dst_dir_fd=directory, follow_symlinks=True)
        made = True
    except FileExistsError:
        pass
    finally:
        if temporary:
            os.unlink(temporary, dir_fd=directory)
        if not made:
            os.close(fd)
    return fd if made else -1


def _adopt(fd: int) -> None:
    """An arena that is in use outlives the root that made it: from here on it is our program's."""
    if alive(*root_of(fd)) is False:
        own = program()
        root = (own.root_pid, own.root_start, own.root_namespace)
        os.pwrite(fd, b"".join([word.to_bytes(8, sys.byteorder) for word in root]), layout.AT_ROOT)
