"""What lies in the arenas of this machine, read from outside: without attaching to them, without changing them.

The files may be written at the same time, torn, cut short, or no arenas at all. They are read piece by piece and
never mapped: reading a hole through a mapping would fill it with memory.
"""

from __future__ import annotations

import math
import os
import stat
import struct
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from pyrometer._core import layout

_HEADER = struct.Struct("=8sQQQqqQd")  # AT_VERSION ... AT_STARTED, one behind the other
_EVENTS = struct.Struct("=Q")
_SLOT = struct.Struct("=qqQQQQ")  # AT_PID ... AT_SERVING
_CHUNK = struct.Struct("=IHHII")
_HEAD = struct.Struct("=IIIIIIdQQ")
_LONGEST_TEXT = 1 << 20  # documentation, label names and bounds take far less
_ATTEMPTS = 3
_NO_SERIES = layout.RECORD_FAMILY | layout.RECORD_PART | layout.RECORD_NOTE


class Unreadable(Exception):
    """A file that is no arena which this version can read; the message says what it is instead."""


@dataclass(frozen=True)
class Process:
    """A process that an arena names.

    state: "alive", "dead", or "other namespace" where process ids of here say nothing about it.
    command: its command line; "" where it is not known.
    since: Unix time in seconds of its start; None where it is not known.
    serving: the TCP port on which it serves metrics by itself, 0 for none.
    """

    pid: int
    state: str
    command: str
    since: float | None
    serving: int = 0


@dataclass(frozen=True)
class Family:
    """A family of an arena, with the number of its series (children: one for each set of label values)."""

    registry: str
    name: str
    kind: str
    unit: str
    labels: list[str]
    series: int


@dataclass(frozen=True)
class Arena:
    """An arena as it was when it was read.

    memory, size: bytes that it occupies, and bytes of its address space.
    series: of all families together, and of those that could not be read.
    remarks: what was not as it should be, in words.
    """

    file: str
    memory: int
    size: int
    root: Process
    processes: list[Process]
    families: list[Family]
    series: int
    remarks: list[str] = field(default_factory=list)


def read_arena(file: str, *, follow_links: bool = True) -> Arena:
    """Read the arena in a file. Raises Unreadable for what is none, OSError where the file cannot be read."""
    with _opened(file, follow_links) as descriptor:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise Unreadable("not a file")
        magic, version, size, _boot, *root, started = _HEADER.unpack(_read(descriptor, 0, _HEADER.size))
        if magic != layout.MAGIC:
            began = "with zeros" if not any(magic) else f"with {magic!r}"
            raise Unreadable("empty" if not status.st_size else f"not an arena: it begins {began}")
        if version != layout.VERSION:
            raise Unreadable(f"an arena of version {version}, this Pyrometer reads version {layout.VERSION}")
        if not layout.SMALLEST <= size <= layout.SIZE:
            raise Unreadable(
                f"damaged: expected a size of {layout.SMALLEST} to {layout.SIZE} bytes, its header says {size}"
            )
        if status.st_size < size:
            raise Unreadable(f"cut short: expected {size} bytes, the file has {status.st_size}")
        for _ in range(_ATTEMPTS):
            events = _read(descriptor, layout.AT_HEAD, _EVENTS.size)
            families, series, remarks = _Records(descriptor, size).read()
            if not remarks or events == _read(descriptor, layout.AT_HEAD, _EVENTS.size):
                break
        return Arena(
            file,
            status.st_blocks * 512,
            size,
            _process(*root, since=started if math.isfinite(started) and started > 0 else None),
            _processes(descriptor),
            families,
            series,
            remarks,
        )


@contextmanager
def _opened(file: str, follow_links: bool) -> Iterator[int]:
    # Not blocking: what has the name of an arena may be a pipe that nobody writes to.
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY | (0 if follow_links else os.O_NOFOLLOW)
    descriptor = os.open(file, flags)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _read(descriptor: int, offset: int, size: int) -> bytes:
    """Bytes of the file; zeros where it ends before."""
    return os.pread(descriptor, size, offset).ljust(size, b"\0")


# ---- records


class _Records:
    """One walk over the records of an arena. Nothing that is read is believed before it fits into the file."""

    def __init__(self, descriptor: int, size: int) -> None:
        self._descriptor = descriptor
        self._chunk_count = min(size // layout.CHUNK, layout.CHUNK_COUNT)
        self._families: dict[int, list[str]] = {}
        self._series: Counter[int] = Counter()
        self._remarks: list[str] = []

    def read(self) -> tuple[list[Family], int, list[str]]:
        """The families, the number of all series, and remarks."""
        (top,) = _EVENTS.unpack(_read(self._descriptor, layout.AT_TOP, _EVENTS.size))
        if top > self._chunk_count:
            self._remarks.append(f"damaged: it has {self._chunk_count} chunks, and says that it uses {top}")
            top = self._chunk_count
        descriptions = _read(self._descriptor, layout.CHUNKS, top * layout.CHUNK_DESCRIPTION)
        for number in range(layout.FIRST, top):
            size, _live, used, _free, _next = _CHUNK.unpack_from(descriptions, number * layout.CHUNK_DESCRIPTION)
            if size not in (0, layout.REST):
                self._read_chunk(number, size, used)
        families = []
        for offset, (registry, kind, name, _documentation, unit, labels, *_) in self._families.items():
            try:
                families.append(Family(registry, name, kind, unit, _fields(labels), self._series[offset]))
            except ValueError:
                self._remarks.append(f"the family at offset {offset} cannot be read")
        lost = sum(count for offset, count in self._series.items() if offset not in self._families)
        if lost:
            self._remarks.append(f"{lost} series belong to families that are not there")
        families.sort(key=lambda family: (family.registry, family.name, family.kind, family.labels))
        return families, self._series.total(), self._remarks

    def _read_chunk(self, number: int, size: int, used: int) -> None:
        """The records of a chunk, all of one size; a longer one goes on in the chunks behind."""
        start = number * layout.CHUNK
        if size < layout.HEAD or size % 8 or start + size > self._chunk_count * layout.CHUNK:
            self._remarks.append(f"damaged: chunk {number} has records of {size} bytes")
            return
        count = min(used, layout.CHUNK // size) if size <= layout.CHUNK else 1
        content = _read(self._descriptor, start, count * size if size <= layout.CHUNK else layout.HEAD)
        if not content.strip(b"\0"):
            return  # a hole, which takes a while to look through record by record
        for at in range(0, count * size, size):
            length, text, flags, _split, family, _link, _created, _made, _removed = _HEAD.unpack_from(content, at)
            if not flags & layout.RECORD_LIVE or flags & layout.RECORD_REMOVED:
                continue
            if flags & layout.RECORD_FAMILY:
                self._read_family(start + at, size, length, text)
            elif not flags & _NO_SERIES:
                self._series[family * 8] += 1

    def _read_family(self, offset: int, room: int, length: int, text: int) -> None:
        padded = -(-text // 8) * 8
        try:
            if length > room or layout.HEAD + padded > length or text > _LONGEST_TEXT:
                raise ValueError("its text does not lie within it")
            found = _fields(_read(self._descriptor, offset + length - padded, text))
            if len(found) < 6:
                raise ValueError("its text is not a family's")
            self._families[offset] = found
        except ValueError:
            self._remarks.append(f"the family at offset {offset} cannot be read")


def _fields(packed: bytes | str) -> list[str]:
    """What `layout.packed` made one of, whatever else it may be; ValueError for that."""
    text = packed.encode("utf-8", "surrogatepass") if isinstance(packed, str) else packed
    # A length with a sign would lead backwards.
    at = 0
    while at < len(text):
        digits, colon, _ = text[at : at + 12].partition(b":")
        if not colon or not digits.isdigit():
            raise ValueError(f"expected a length and a colon, got {text[at : at + 12]!r}")
        at += len(digits) + 1 + int(digits)
    return layout.fields(text)


# ---- processes


def _processes(descriptor: int) -> list[Process]:
    slots = _read(descriptor, layout.SLOTS, layout.SLOT * layout.SLOT_COUNT)
    found = []
    for at in range(0, len(slots), layout.SLOT):
        pid, start, namespace, _knows, _acked, serving = _SLOT.unpack_from(slots, at)
        if pid > 0:
            found.append(_process(pid, start, namespace, serving=serving))
    return sorted(found, key=lambda process: (process.since or 0, process.pid))


def _process(pid: int, start: int, namespace: int, *, since: float | None = None, serving: int = 0) -> Process:
    """What is known of the process with this id, start (ticks since the system's) and pid namespace."""
    if since is None:
        boot = _boot_time()
        since = None if boot is None or start <= 0 else boot + start / os.sysconf("SC_CLK_TCK")
    if namespace != _namespace():
        return Process(pid, "other namespace", "", since, serving)
    if start != _start_of(pid):
        return Process(pid, "dead", "", since, serving)
    return Process(pid, "alive", _command(pid), since, serving)


def _start_of(pid: int) -> int | None:
    """When a process that runs started, in ticks since the system's start: fields 3 and 22 of its stat (proc(5))."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        return None if fields[0] in (b"Z", b"X", b"x") else int(fields[22 - 3])
    except (OSError, ValueError, IndexError):
        return None


def _namespace() -> int:
    try:
        return os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        return 0


def _command(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read(1 << 16).replace(b"\0", b" ").strip().decode("utf-8", "backslashreplace")
    except OSError:
        return ""


def _boot_time() -> float | None:
    try:
        with open("/proc/stat", "rb") as file:
            return next(float(line.split()[1]) for line in file if line.startswith(b"btime "))
    except (OSError, ValueError, IndexError, StopIteration):
        return None


# ---- where they are


def directories() -> list[str]:
    """Where arenas of this machine may lie: the places that the environment names, and those without a name given."""
    import glob

    named = [os.environ.get(name, "") for name in ("PYROMETER_ARENA", "PROMETHEUS_MULTIPROC_DIR")]
    temporary = [os.environ.get(name, "") for name in ("XDG_RUNTIME_DIR", "TMPDIR", "TEMP", "TMP")]
    parents = ["/dev/shm", *sorted(glob.glob("/run/user/*")), *temporary, "/tmp", "/var/tmp", "/usr/tmp"]
    own = [
        directory
        for parent in parents
        if os.path.isabs(parent)
        for directory in sorted(glob.glob(os.path.join(glob.escape(parent), "pyrometer-*")))
    ]
    return list(dict.fromkeys([directory for directory in named if directory.lower() not in ("", "off")] + own))


def files_in(directory: str) -> list[str]:
    """The files that have the name of an arena, each once. Raises OSError where the directory cannot be read."""
    return sorted(os.path.join(directory, name) for name in os.listdir(directory) if name.endswith(".arena"))
