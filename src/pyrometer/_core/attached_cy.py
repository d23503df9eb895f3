"""A process attached to an arena: the mapping, the lock, and what processes keep there for one another to see."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyrometer._core import _cython as cython
else:
    try:
        import cython
    except ImportError:
        from pyrometer._core import _cython as cython

from time import monotonic

from pyrometer._core import layout
from pyrometer._core.news import refresh

if cython.compiled:
    from cython.cimports.libc.stdint import uint16_t
    from cython.cimports.pyrometer._core.chunks_cy import rebuild
    from cython.cimports.pyrometer._core.header_cy import begin
    from cython.cimports.pyrometer._core.memory_cy import map_file, map_unnamed, unmap
    from cython.cimports.pyrometer._core.native import HEAD, load, set_word, store, swap_word, word
    from cython.cimports.pyrometer._core.shared import drop_lock, guard, lost_pages, take_lock
    from cython.cimports.pyrometer._core.slots_cy import (
        attach,
        detach,
        free_slot,
        is_alive,
        keep_values,
        own_namespace,
        slot_at,
    )

    AT_LOCK = cython.declare(cython.size_t, layout.AT_LOCK)
    AT_HEAD = cython.declare(cython.size_t, layout.AT_HEAD)
    AT_SECRET = cython.declare(cython.size_t, layout.AT_SECRET)
    AT_SLOTS = cython.declare(cython.size_t, layout.AT_SLOTS)
    AT_PID = cython.declare(cython.size_t, layout.AT_PID)
    AT_START = cython.declare(cython.size_t, layout.AT_START)
    AT_NAMESPACE = cython.declare(cython.size_t, layout.AT_NAMESPACE)
    AT_SERVING = cython.declare(cython.size_t, layout.AT_SERVING)
    AT_VALUES = cython.declare(cython.size_t, layout.AT_VALUES)
    AT_DEAD = cython.declare(cython.size_t, layout.AT_DEAD)
    PORTS = cython.declare(cython.size_t, layout.PORTS)
    SLOT_COUNT = cython.declare(cython.size_t, layout.SLOT_COUNT)
    VALUES = cython.declare(cython.size_t, layout.VALUES)
    RING_COUNT = cython.declare(cython.size_t, layout.RING_COUNT)

PATIENCE = 100
"""Milliseconds that a new series waits for its place while another process makes one."""
RETRY = 1.0
"""Seconds for which nobody waits again after waiting was in vain."""


@cython.no_gc_clear
@cython.cclass
class Attached:
    """An arena as the process that is attached to it sees its header and its slots.

    file: descriptor of a file that `prepare` made, which may be closed afterwards; -1 for memory without a name, which
        only the processes forked from this one share. private: not even they.

    Interpreted, there is no other process: what this one keeps, it keeps for itself.
    """

    if not cython.compiled:
        __slots__ = ("kept", "named", "private")

        shared = False
        started = 0.0
        broken = False
        buried = 0

        def __init__(self, _file: int = -1, _private: bool = False) -> None:
            self.named = False
            self.private = True
            self.kept = [0.0] * layout.VALUES

        def is_used(self, _family: int) -> bool:
            return True

        def keep(self, index: int, value: float) -> None:
            self.kept[index] = value

        def processes(self) -> list[tuple[int, int]]:
            import os

            return [(0, os.getpid())]

        def keep_of(self, _slot: int, index: int, value: float) -> None:
            self.kept[index] = value

        def kept_of(self, _slot: int, index: int) -> float:
            return self.kept[index]

        def total(self, index: int) -> float:
            return self.kept[index]

        def serve(self, _ports: Sequence[int]) -> None:
            """Nobody is there to be told."""

        def serving(self, _port: int) -> bool:
            return False

        def has_process(self, _owner: tuple[float, float, float]) -> bool:
            return True

        def vacate(self) -> None:
            """There is no slot to give up."""

        def is_used_by_all(self, _family: int) -> bool:
            return True

    else:

        def __cinit__(self, file: cython.int = -1, private: cython.bint = False) -> None:
            header: cython.size_t
            self.named = file >= 0
            self.private = private
            if file >= 0:
                header = map_file(file, layout.SLOTS)
                if header:
                    self.size = word(header + layout.AT_SIZE)
                    unmap(header, layout.SLOTS)
                    self.at = map_file(file, self.size)
                if self.at == 0:
                    raise MemoryError(f"arena: no address space for {self.size} bytes of shared memory")
                guard(self.at, self.size)
            else:
                self.size = layout.SIZE
                self.at = map_unnamed(cython.address(self.size), private)
                if self.at == 0:
                    raise MemoryError(f"arena: no address space for {layout.SMALLEST} bytes of shared memory")
                begin(self.at, self.size)
            self.magic = word(self.at)
            self.lost_before = lost_pages()
            self.attachment = attach(self.at, private)
            if self.attachment == cython.NULL:
                raise MemoryError

        def __dealloc__(self):
            if self.attachment != cython.NULL:
                if self.attachment.slot and not self.named:
                    free_slot(self.attachment.slot)
                detach(self.attachment)
            if self.at and not self.named:
                unmap(self.at, self.size)

        # ---- what processes keep for all to see

        def processes(self) -> list:
            """[(slot, process id)] of the live processes attached, this one included; the dead are cleared away.

            Those of other pid namespaces are not among them: their ids mean nothing here.
            """
            number: cython.size_t
            slot: cython.size_t
            namespace: cython.size_t = own_namespace()
            found: list = []
            dead: list = []
            with self.local:
                for number in range(min(word(self.at + AT_SLOTS), SLOT_COUNT)):
                    slot = slot_at(self.at, number)
                    if word(slot + AT_PID):
                        if slot != self.attachment.slot and not is_alive(slot):
                            dead.append(number)
                        elif word(slot + AT_NAMESPACE) == namespace:
                            found.append((number, word(slot + AT_PID)))
                if dead:
                    refresh(self)
                    if self.lock():
                        try:
                            for number in dead:
                                self._bury(number)
                        finally:
                            self.unlock()
                return found

        def _bury(self, number: cython.size_t) -> None:
            """Free the slot of a process that has ended; what it kept is kept."""
            slot: cython.size_t = slot_at(self.at, number)
            family: cython.size_t
            if word(slot + AT_PID) == 0 or (slot != self.attachment.slot and is_alive(slot)):  # another was faster
                return
            keep_values(self.at, slot)
            for family in self.definitions:
                self._mark(family, number, False)
            free_slot(slot)
            set_word(self.at + layout.AT_BURIED, word(self.at + layout.AT_BURIED) + 1)

        def vacate(self) -> None:
            """Give up this process's slot: it has moved elsewhere with everything it held."""
            with self.local:
                if self.attachment.slot and self.lock():
                    try:
                        self._bury(self.slot)
                        self.attachment.slot = 0
                    finally:
                        self.unlock()

        def _mark(self, family: cython.size_t, number: cython.size_t, used: cython.bint) -> None:
            """Say whether the process of a slot has a family."""
            at: cython.size_t = self.at + family + HEAD + 8 * (number // 64)
            bit: cython.size_t = cython.cast(cython.size_t, 1) << number % 64
            before: cython.size_t = word(at)
            while not swap_word(at, before, before | bit if used else before & ~bit):
                before = word(at)

        def mark(self, family: cython.size_t, used: cython.bint = True) -> None:
            """Say whether this process has a family."""
            if self.attachment.slot:
                self._mark(family, (self.attachment.slot - self.at - layout.SLOTS) // layout.SLOT, used)

        def is_used_by_all(self, family: cython.size_t) -> bool:
            """Whether every process that is attached has a family."""
            number: cython.size_t
            for number in range(min(word(self.at + AT_SLOTS), SLOT_COUNT)):
                if word(slot_at(self.at, number) + AT_PID):
                    if not word(self.at + family + HEAD + 8 * (number // 64)) >> number % 64 & 1:
                        return False
            return True

        def is_used(self, family: cython.size_t) -> bool:
            """Whether a process has a family."""
            i: cython.size_t
            for i in range(SLOT_COUNT // 64):
                if word(self.at + family + HEAD + 8 * i):
                    return True
            return False

        def keep_of(self, number: cython.size_t, index: cython.size_t, value: cython.double) -> None:
            """Keep one of the values of the process in a slot, unless a higher one is kept."""
            cell: cython.size_t = slot_at(self.at, number) + AT_VALUES + 8 * index
            if number < SLOT_COUNT and index < VALUES and value > load(cell):
                store(cell, value)

        def kept_of(self, number: cython.size_t, index: cython.size_t) -> float:
            """One of the values of the process in a slot."""
            if number < SLOT_COUNT and index < VALUES:
                return load(slot_at(self.at, number) + AT_VALUES + 8 * index)
            return 0.0

        def total(self, index: cython.size_t) -> float:
            """The sum of a value over all processes, those that have ended included."""
            number: cython.size_t
            sum: cython.double
            locked: cython.bint = self.lock()  # so that nobody is buried meanwhile
            sum = load(self.at + AT_DEAD + 8 * index)
            for number in range(min(word(self.at + AT_SLOTS), SLOT_COUNT)):
                sum += load(slot_at(self.at, number) + AT_VALUES + 8 * index)
            if locked:
                self.unlock()
            return sum

        def has_process(self, owner: tuple) -> bool:
            """Whether the process (id, start, pid namespace) is attached and lives."""
            number: cython.size_t
            slot: cython.size_t
            pid: cython.size_t = owner[0]
            start: cython.size_t = owner[1]
            namespace: cython.size_t = owner[2]
            for number in range(min(word(self.at + AT_SLOTS), SLOT_COUNT)):
                slot = slot_at(self.at, number)
                if word(slot + AT_PID) == pid and word(slot + AT_START) == start:
                    if word(slot + AT_NAMESPACE) == namespace:
                        return slot == self.attachment.slot or is_alive(slot)
            return False

        def attached(self) -> int:
            """How many processes are attached."""
            number: cython.size_t
            n: cython.int = 0
            for number in range(min(word(self.at + AT_SLOTS), SLOT_COUNT)):
                n += word(slot_at(self.at, number) + AT_PID) != 0
            return n

        @property
        def slot(self) -> int:
            """The slot of this process; -1 where there was none left."""
            if self.attachment.slot == 0:
                return -1
            return (self.attachment.slot - self.at - layout.SLOTS) // layout.SLOT

        @property
        def shared(self) -> bool:
            """Whether other processes may be attached."""
            return not self.private

        def keep(self, index: cython.size_t, value: cython.double) -> None:
            """Keep one of the values of this process, for all to see, unless a higher one is kept."""
            if self.attachment.slot:
                self.keep_of(self.slot, index, value)

        @property
        def started(self) -> float:
            """Unix time in seconds at which the root of the program started."""
            return load(self.at + layout.AT_STARTED)

        @property
        def broken(self) -> bool:
            """Whether somebody has written over the file, or cut it: then nothing in it is to be believed."""
            return self.is_broken()

        @property
        def buried(self) -> int:
            """How many slots of ended processes were freed."""
            return word(self.at + layout.AT_BURIED)

        def serve(self, ports: list) -> None:
            """Say on which ports this process serves metrics by itself."""
            i: cython.Py_ssize_t
            own = cython.cast(cython.pointer[uint16_t], self.attachment.slot + AT_SERVING)
            if self.attachment.slot:
                for i in range(PORTS):
                    own[i] = ports[i] if i < len(ports) else 0

        def serving(self, port: uint16_t) -> bool:
            """Whether another live process says that it serves this port."""
            number: cython.size_t
            i: cython.size_t
            slot: cython.size_t
            for number in range(min(word(self.at + AT_SLOTS), SLOT_COUNT)):
                slot = slot_at(self.at, number)
                ports = cython.cast(cython.pointer[uint16_t], slot + AT_SERVING)
                for i in range(PORTS):
                    if ports[i] == port and slot != self.attachment.slot and word(slot + AT_PID) and is_alive(slot):
                        return True
            return False

        @cython.cfunc
        def lock(self, patience: cython.long = 1) -> cython.bint:
            """Take the lock; whether it could be had within so many milliseconds."""
            at: cython.size_t = self.at + AT_LOCK
            result: cython.int
            if self.is_broken():
                return False
            result = take_lock(at, 0)
            if result < 0:
                if monotonic() < self.blocked_until:
                    return False
                with cython.nogil:
                    result = take_lock(at, patience)
                if result < 0:
                    if patience == PATIENCE:
                        self.blocked_until = monotonic() + RETRY
                    return False
            if patience == PATIENCE:
                self.blocked_until = 0.0
            if result == 1:  # its holder died in the middle of whatever it did
                rebuild(self.at)
                set_word(self.at + AT_HEAD, word(self.at + AT_HEAD) + RING_COUNT + 1)
            return True

        @cython.cfunc
        @cython.exceptval(check=False)
        def unlock(self) -> cython.void:
            drop_lock(self.at + AT_LOCK)

        def hold(self) -> bool:
            """Take the lock and keep it: for tests of what happens then."""
            return self.lock()

        def let_go(self) -> None:
            """Give the lock back that `hold` took."""
            self.unlock()

        @cython.cfunc
        @cython.exceptval(check=False)
        def is_broken(self) -> cython.bint:
            """Whether somebody has written over the file, or cut it: then nothing in it is to be believed."""
            return self.named and (word(self.at) != self.magic or lost_pages() != self.lost_before)

        @cython.cfunc
        @cython.exceptval(check=False)
        def secret(self) -> cython.size_t:
            """What the hashes of label values begin with."""
            return word(self.at + AT_SECRET)
