"""Which program this process belongs to: one name for all of its processes, and for no other program's.

The name comes from the exec: the 16 random bytes that the kernel gives each (AT_RANDOM, see getauxval(3)) stay the same
in forks and are new for whatever is executed. Children of multiprocessing that were executed belong to the program that
started them, and are told by a private environment variable, or know it by multiprocessing's own `authkey`.
"""

from __future__ import annotations

import os
import sys
import time

VARIABLE = "_PYROMETER_PROGRAM"
"""The environment variable for executed children: what `Program` has, and the one process whose children may use it."""

_AT_RANDOM = 25
_WORD = (sys.maxsize.bit_length() + 1) // 8
_FIRST_NAMESPACE = 0xEFFFFFFC  # inode of the pid namespace that a system starts with, in every Linux
_FLAGS = ("--multiprocessing-fork", "--billiard-fork")
_FORKSERVERS = ("from multiprocessing.forkserver import main", "from billiard.forkserver import main")


class Program:
    """A program: a process (its root) and what descends from it by forks and multiprocessing. Never changed.

    names: what its processes may meet under, 32 hexadecimal digits each, best first. The first under which there is
        something is the one; where there is nothing under any, something is made under the first.
    root_pid, root_start, root_namespace: the topmost process, by process id, start in clock ticks since the system's
        (0: unknown) and inode of its pid namespace (0: there is none).
    root_started: Unix time in seconds at which the root started; where that is unknown, of the first call.
    joined: the directory that it has joined in code, "" for none.
    """

    __slots__ = ("joined", "names", "root_namespace", "root_pid", "root_start", "root_started")

    def __init__(
        self,
        names: tuple[str, ...],
        root_pid: int,
        root_start: int,
        root_namespace: int,
        root_started: float,
        joined: str = "",
    ) -> None:
        self.joined = joined
        self.names = names
        self.root_pid = root_pid
        self.root_start = root_start
        self.root_namespace = root_namespace
        self.root_started = root_started

    @property
    def name(self) -> str:
        """The best of its names."""
        return self.names[0]


_found: dict[str, Program] = {}
_published_by = 0


def program() -> Program:
    """The program of this process, found out once and kept by its forks. Never raises; any threads may ask.

    Without a Linux /proc nothing is known of other processes: the root is this process, and forks that were made
    before the first call are programs of their own.
    """
    found = _found.get("program") or _found.setdefault("program", _find())
    if _published_by != os.getpid():  # not every server that forks runs Python's hooks
        publish()
    return found


def publish() -> None:
    """Tell the children of multiprocessing that this process executes from here on which program they belong to."""
    global _published_by
    pid = os.getpid()
    found = _found.get("program") or _found.setdefault("program", _find())
    root = f"{found.root_pid}:{found.root_start}:{found.root_namespace}:{found.root_started}"
    _published_by = pid
    joined = os.fsencode(found.joined).hex()
    os.environ[VARIABLE] = f"{','.join(found.names)}:{pid}:{start_of('self') or 0}:{root}:{joined}"


def has_joined(directory: str) -> None:
    """From here on this process, and whom it starts in its program, meet in this directory."""
    own = program()
    _found["program"] = Program(
        own.names, own.root_pid, own.root_start, own.root_namespace, own.root_started, directory
    )
    publish()


def _publish_in_child() -> None:
    if _found:
        publish()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_publish_in_child)


def start_of(pid: int | str) -> int | None:
    """When a process started, in clock ticks since the system did (field 22 of proc(5)'s stat).

    None when it is gone, a zombie, or hidden. The start of a process and its id name it; an id alone is used again.
    """
    try:
        fields = _stat(pid)
        return None if fields[0] in (b"Z", b"X", b"x") else int(fields[19])
    except (OSError, ValueError, IndexError):
        return None


def alive(pid: int, start: int, of: int) -> bool | None:
    """Whether a process lives, by its id, its start (0: unknown) and the inode of its pid namespace.

    None where that cannot be told: its id says nothing in this namespace, or /proc has another's ids.
    """
    own = namespace()
    if of != own or (own and not _proc_is_ours()):
        return None
    try:
        fields = _stat(pid)
        return fields[0] not in (b"Z", b"X", b"x") and start in (0, int(fields[19]))
    except (FileNotFoundError, ProcessLookupError):
        return _exists(pid)  # where /proc shows one's own processes alone (hidepid=2), others live unseen
    except (OSError, ValueError, IndexError):
        return True  # there is one, and /proc does not say more (hidepid=1)


def namespace() -> int:
    """The inode of this process's pid namespace, 0 where there is none."""
    try:
        return os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        return 0


def boot() -> int:
    """63 bits that stand for this run of the system, 0 where unknown: process ids mean nothing beyond it."""
    try:
        return int(_read("/proc/sys/kernel/random/boot_id").replace(b"-", b""), 16) & ((1 << 63) - 1)
    except (OSError, ValueError):
        return 0


def fellow_children() -> bool:
    """Whether this process has children that it forked; False where the system does not list children."""
    own = _image("self")
    try:
        children = b"".join([_read(f"/proc/self/task/{thread}/children") for thread in os.listdir("/proc/self/task")])
    except OSError:
        return False
    return own is not None and any(_image(child) == own for child in children.decode().split())


def _find() -> Program:
    lineage = _lineage()
    is_child = _is_of_multiprocessing(sys.orig_argv)  # `sys.argv` is set later, after a child's first imports
    told = _told(lineage) if is_child else None
    if told is not None:
        return told
    root_pid, root_start = lineage[-1]
    root_namespace = namespace()
    names = [] if is_child else [_name(_random_of_exec())]
    multiprocessing = sys.modules.get("multiprocessing.process")
    if multiprocessing is not None:
        # With the root: an application may set a key of its own, and every instance of it the same. Who is no such
        # child may have started some before it came here, and they have met under this name.
        key = bytes(multiprocessing.current_process().authkey)
        names.append(_name(b"%b %d %d %d" % (key, root_pid, root_start, root_namespace)))
    names = names or [_name(_random_of_exec())]
    return Program(tuple(names), root_pid, root_start, root_namespace, _unix_time(root_start))


def _told(lineage: list[tuple[int, int]]) -> Program | None:
    """What the environment says, if it was said by an ancestor in the same program: variables outlive who set them."""
    try:
        told = os.environ.get(VARIABLE, "").split(":")
        listed, pid, start, root_pid, root_start, root_namespace, started, joined = told
        names = tuple(listed.split(","))
        if not any(ancestor == int(pid) and known in (0, int(start)) for ancestor, known in lineage[1:]):
            return None
        if any(len(name) != 32 or name.strip("0123456789abcdef") for name in names):
            return None
        directory = os.fsdecode(bytes.fromhex(joined))
        return Program(names, int(root_pid), int(root_start), int(root_namespace), float(started), directory)
    except ValueError:
        return None


def _lineage() -> list[tuple[int, int]]:
    """This process and its ancestors in the program, by process id and start, the root last."""
    own = os.getpid()
    if not _proc_is_ours():
        parent = [(os.getppid(), 0)] if _is_of_multiprocessing(sys.orig_argv) else []
        return [(own, start_of("self") or 0), *parent]
    lineage: list[tuple[int, int]] = []
    own_image = image = _image("self")
    pid = own
    try:
        while True:
            fields = _stat(pid)
            lineage.append((pid, int(fields[19])))
            parent_pid = int(fields[1])
            if parent_pid == 0:  # it is outside of this pid namespace
                break
            parent_image = _image(parent_pid)
            if image is None or image != parent_image:  # not a fork of its parent
                # The image of a process that changed its user since its exec cannot be read, not even by itself. Such
                # are workers of a master that runs as root, and its other ancestors cannot be told from strangers.
                # A parent whose image alone is hidden is a stranger: whoever ran this program changed user before.
                has_changed_user = image is None and pid == own and os.path.exists("/proc/self/auxv")
                is_like_us = pid == own or (image is not None and image == own_image)
                command = sys.orig_argv if is_like_us else os.fsdecode(_read(f"/proc/{pid}/cmdline")).split("\0")
                if not has_changed_user and not _is_of_multiprocessing(command):
                    break
                # An orphan's parent is the first process, and that of a container may be a master as well.
                if parent_pid == 1 and namespace() == _FIRST_NAMESPACE:
                    break
            pid, image = parent_pid, parent_image
    except (OSError, ValueError, IndexError):  # an ancestor ended just now
        pass
    return lineage or [(own, 0)]


def _image(pid: int | str) -> bytes | None:
    """What forks of one exec have in common, None where it cannot be read: an exec has addresses of its own.

    Where a system does not choose them at random, a program started by its like may look like a fork of it. Then its
    root is too far up, and what it leaves is removed later than it could be: nothing is shared by mistake.
    """
    try:
        return _read(f"/proc/{pid}/auxv") or None
    except OSError:
        return None


def _is_of_multiprocessing(command: list[str]) -> bool:
    """Whether it was multiprocessing that executed a process: a child of `spawn`, or a forkserver (and its forks)."""
    return any(argument in _FLAGS or argument.startswith(_FORKSERVERS) for argument in command)


def _random_of_exec() -> bytes:
    try:
        vector = _read("/proc/self/auxv")
        words = [int.from_bytes(vector[i : i + _WORD], sys.byteorder) for i in range(0, len(vector), _WORD)]
        memory = os.open("/proc/self/mem", os.O_RDONLY | os.O_CLOEXEC)
        try:
            found = os.pread(memory, 16, words[words[::2].index(_AT_RANDOM) * 2 + 1])
        finally:
            os.close(memory)
        if len(found) == 16:
            return found
    except (OSError, ValueError, OverflowError):
        pass
    try:
        import ctypes  # 10 ms

        library = ctypes.CDLL(None)
        library.getauxval.restype = ctypes.c_ulong
        if address := library.getauxval(ctypes.c_ulong(_AT_RANDOM)):
            return ctypes.string_at(address, 16)
    except (ImportError, OSError, AttributeError, TypeError):
        pass
    return os.urandom(16)


def _name(secret: bytes) -> str:
    """A name that says nothing of what it was made from: the stack protector draws on the same random bytes."""
    try:
        from _blake2 import blake2b  # a fifth of the cost of hashlib
    except ImportError:
        from hashlib import blake2b
    return blake2b(secret, digest_size=16, person=b"pyrometer").hexdigest()


def _unix_time(start: int) -> float:
    try:
        for line in _read("/proc/stat").splitlines():
            if start and line.startswith(b"btime "):
                return int(line.split()[1]) + start / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        pass
    return time.time()


def _proc_is_ours() -> bool:
    """Whether /proc has the ids of this pid namespace: a new one may still see its parent's."""
    try:
        return os.readlink("/proc/self") == str(os.getpid())
    except OSError:
        return False


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return pid > 0


def _stat(pid: int | str) -> list[bytes]:
    """The fields of /proc/<pid>/stat from the third on; the second, a name, may have spaces and parentheses."""
    return _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()


def _read(path: str) -> bytes:
    with open(path, "rb", buffering=0) as file:
        return file.read()
