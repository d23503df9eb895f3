"""Where things lie in an arena: offsets and sizes in bytes, of native byte order, for whoever reads or writes one.

    0          header: what the arena is, its lock, its counts
    SLOTS      one slot for each process attached to it
    RING       the offsets of the records made or removed last, by their number
    CHUNKS     one description for each chunk: size of its records, how many live, how many were ever used, first free
    FIRST ...  chunks of CHUNK bytes, each cut into records of one size; a longer record has chunks of its own

A record is a head and, behind it, cells (float64), then text; its size is a multiple of 8. Only what is touched exists.
"""

from __future__ import annotations

MAGIC = b"PYROMETR"
VERSION = 1
"""Raised when anything here changes; an arena of another version is left alone."""

SIZE = 1 << 30
"""Bytes of address space for an arena, less where a limit says so; memory is used only for what is touched."""
SMALLEST = 2 << 20

# ---- header
AT_VERSION = 8
AT_SIZE = 16
AT_BOOT = 24  # which start of the system it belongs to: process ids mean nothing after another
AT_ROOT = 32  # process id, start (clock ticks since the system's), pid namespace of the root of the program
AT_STARTED = 56  # Unix time in seconds at which the root started, float64
AT_LOCK = 64  # pthread_mutex_t, robust and shared by processes
AT_HEAD = 128  # the number of the last event: a record made or removed
AT_SECRET = 136  # seed of the hashes of label values
AT_CROWDED = 144  # not 0 once there was no slot for a process: then no record is used again
AT_SLOTS = 152  # slots ever used: those behind them were never touched
AT_BURIED = 176  # how many slots of ended processes were freed
AT_RESERVE = 184  # chunks from FIRST on that are kept for what has to have a place: families, overflow children
AT_FILE = 168  # not 0 for a file: its pages are to be had before they are used
AT_TOP = 192  # chunks used so far, from the start of the arena
AT_LIMBO = 200  # first of the removed records that some process may still hold
AT_LIMBO_COUNT = 208
AT_LIMBO_MARK = 216  # the count at which to look through them again
AT_SPARE = 232  # chunks that belonged to long records and belong to none
AT_IDLE = 224  # chunks that are empty and have kept their memory
AT_DEAD = 256  # VALUES float64: sums over the processes that have ended
AT_PARTIAL = 512  # 256 uint32: by size class, first of the chunks that have room

# ---- slots
SLOTS = 4096
SLOT = 256
SLOT_COUNT = 512
AT_PID = 0  # 0: free
AT_START = 8  # clock ticks since the system's start (proc(5), field 22)
AT_NAMESPACE = 16  # inode of its pid namespace
AT_KNOWS = 24  # it may hold records made up to this event
AT_ACKED = 32  # and has let go of all that were removed up to this one
AT_SERVING = 40  # uint16 each: PORTS TCP ports on which it serves metrics by itself, 0 for none
PORTS = 12
AT_VALUES = 64  # VALUES float64 that it keeps for all to see
VALUES = 23
AT_BORN = 248  # how many of its forks have taken slots of their own
CPU_USER = 0
"""Which of the values: clock ticks of processor time in user mode, as last seen."""
GC_FIRST = 1
"""The first of nine values of the garbage collector: objects collected, uncollectable, runs; by generation."""
CPU_SYSTEM = 10
"""Clock ticks of processor time in kernel mode, as last seen."""

# ---- events
RING = SLOTS + SLOT * SLOT_COUNT
RING_COUNT = 8192
"""A power of two. The event of number n is at n modulo this: an offset, plus EVENT_REMOVED for a removal."""
EVENT_REMOVED = 1

# ---- chunks
CHUNKS = RING + 8 * RING_COUNT
CHUNK = 16384
CHUNK_COUNT = SIZE // CHUNK
CHUNK_DESCRIPTION = 16  # uint32 record size (0: none yet; REST), uint16 live, uint16 used, uint32 first free, next
REST = 0xFFFFFFFF
"""In place of a record size: the chunk belongs to a long record that began before it."""
RESERVE = 8
"""How many chunks are kept so; those of a file have their pages from the start."""
FIRST = -(-(CHUNKS + CHUNK_DESCRIPTION * CHUNK_COUNT) // CHUNK)
"""The first chunk of records, by number; its offset is this times CHUNK."""

# ---- records
HEAD = 48
# uint32 size, text length, flags, split, family, link; float64 created; uint64 made, removed.
# An offset of the head, divided by 8, stands for a record in `family` and `link`.
RECORD_ESCAPED = 1
"""Flag: the label text contains an escape, so that raw label values cannot be compared with it."""
RECORD_REMOVED = 2
"""Flag: the series was removed; whoever still holds its child writes here, and nobody reads it."""
RECORD_HIDDEN = 4
"""Flag: left out of pages at present: a callback failed, or a family was unregistered."""
RECORD_LIVE = 8
"""Flag: the record is complete. Without it, it is free or was never finished."""
RECORD_FAMILY = 16
"""Flag: a family. Its text is `fields`; its cells are one bit for each slot, set while that process has it."""
PART_CELLS = 5
NOTE_CELLS = 5
RECORD_PART = 32
"""Flag: one process's part of a series. Its cells: value, Unix time of it, process id, start, pid namespace."""
RECORD_NOTE = 64
"""Flag: text that belongs to a series. Its cells: offset of that one's record, index, value, Unix time, check."""
RECORD_PRIVATE = 128
"""Flag: in memory of one process, not in an arena."""


def packed(fields: list[str]) -> bytes:
    """Fields of text as one: each with its length in bytes before it, `5:hello`."""
    encoded = [field.encode("utf-8", "surrogatepass") for field in fields]
    return b"".join([b"%d:%s" % (len(field), field) for field in encoded])


def fields(text: bytes) -> list[str]:
    """What `packed` made one of; ValueError for anything else."""
    found: list[str] = []
    at = 0
    while at < len(text):
        colon = text.index(b":", at)
        end = colon + 1 + int(text[at:colon]) if text[at:colon].isdigit() else -1
        if not at < end <= len(text):
            raise ValueError(f"a record's text ends within a field: {text!r:.200}")
        found.append(text[colon + 1 : end].decode("utf-8", "surrogatepass"))
        at = end
    return found
