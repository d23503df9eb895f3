"""The memory that holds the cells.

An arena is one range of addresses, mapped by all processes of a program: an update by any is an update for all. It is
handed out in records, one for each series, with its cells and its label text. A record never moves, so its address
(that of its first cell) is all a child needs.

What the processes tell one another is a sequence of events: a record was made, a record was removed. An event is
written with the lock held and read without it. A process says in its slot which events it may have seen the making of
(`knows`), and up to which it has let go of everything removed (`acked`). So a record is used again once no process can
hold it: for none of them was it made before `knows` and removed after `acked`. A process that sleeps for ever keeps
what existed when it fell asleep, and nothing that came later.

With the lock held no Python runs, so neither a signal handler nor the garbage collector can want it a second time.

Interpreted, the records live in a list of this process (`native.py`), with the same addresses-as-names rules.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from pyrometer._core import _cython as cython
else:
    try:
        import cython
    except ImportError:
        from pyrometer._core import _cython as cython

from pyrometer._core import layout

if cython.compiled:
    from cython.cimports.libc.stdint import uint16_t, uint32_t
    from cython.cimports.libc.string import memcpy, memset
    from cython.cimports.pyrometer._core.chunks_cy import allocate, next_record, rebuild, release
    from cython.cimports.pyrometer._core.memory_cy import map_file, map_unnamed, populate, unmap, usable
    from cython.cimports.pyrometer._core.native import (
        HEAD,
        fence,
        flags,
        head_of,
        load,
        pyro_head,
        raise_flags,
        set_word,
        store,
        swap_word,
        text,
        text_len,
        word,
    )
    from cython.cimports.pyrometer._core.record_cy import fill, size_of
    from cython.cimports.pyrometer._core.shared import drop_lock, guard, lost_pages, make_lock, take_lock
    from cython.cimports.pyrometer._core.slots_cy import (
        Attachment,
        attach,
        detach,
        fork_count,
        is_alive,
        is_quiet,
        own_namespace,
        slot_at,
    )
    from cython.cimports.pyrometer._core.table_cy import Table

    AT_LOCK = cython.declare(cython.size_t, layout.AT_LOCK)
    AT_HEAD = cython.declare(cython.size_t, layout.AT_HEAD)
    AT_SECRET = cython.declare(cython.size_t, layout.AT_SECRET)
    AT_CROWDED = cython.declare(cython.size_t, layout.AT_CROWDED)
    AT_SLOTS = cython.declare(cython.size_t, layout.AT_SLOTS)
    AT_LIMBO = cython.declare(cython.size_t, layout.AT_LIMBO)
    AT_LIMBO_COUNT = cython.declare(cython.size_t, layout.AT_LIMBO_COUNT)
    AT_LIMBO_MARK = cython.declare(cython.size_t, layout.AT_LIMBO_MARK)
    AT_PID = cython.declare(cython.size_t, layout.AT_PID)
    AT_START = cython.declare(cython.size_t, layout.AT_START)
    AT_NAMESPACE = cython.declare(cython.size_t, layout.AT_NAMESPACE)
    AT_KNOWS = cython.declare(cython.size_t, layout.AT_KNOWS)
    AT_ACKED = cython.declare(cython.size_t, layout.AT_ACKED)
    AT_SERVING = cython.declare(cython.size_t, layout.AT_SERVING)
    PORTS = cython.declare(cython.size_t, layout.PORTS)
    AT_VALUES = cython.declare(cython.size_t, layout.AT_VALUES)
    AT_DEAD = cython.declare(cython.size_t, layout.AT_DEAD)
    SLOT_COUNT = cython.declare(cython.size_t, layout.SLOT_COUNT)
    VALUES = cython.declare(cython.size_t, layout.VALUES)
    RING = cython.declare(cython.size_t, layout.RING)
    RING_COUNT = cython.declare(cython.size_t, layout.RING_COUNT)
    FIRST = cython.declare(cython.size_t, layout.FIRST)
    LIVE = cython.declare(uint32_t, layout.RECORD_LIVE)
    REMOVED = cython.declare(uint32_t, layout.RECORD_REMOVED)
    NEVER = cython.declare(cython.size_t, (1 << 63) - 1)
    TOLD = cython.declare(uint32_t, layout.RECORD_FAMILY | layout.RECORD_PART | layout.RECORD_NOTE)
else:
    from pyrometer._core import native

PATIENCE = 100
"""Milliseconds that a new series waits for its place while another process makes one."""
RETRY = 1.0
"""Seconds for which nobody waits again after waiting was in vain."""


@cython.final
@cython.no_gc_clear
@cython.cclass
class Arena:
    """The memory of a registry, or of all named registries of a program.

    file: descriptor of a file that `prepare` made, which may be closed afterwards; -1 for memory without a name, which
        only the processes forked from this one share. private: not even they.

    It is given back when the last family, child and snapshot that use it are gone.
    """

    if not cython.compiled:
        __slots__ = (
            "definitions",
            "families",
            "held",
            "kept",
            "keeper",
            "named",
            "parked",
            "private",
            "revision",
            "tables",
        )

        def __init__(self, file: int = -1, private: bool = False) -> None:
            self.held: set[int] = set()
            self.named = False
            self.private = True
            self.tables: dict[int, Any] = {}
            self.families: dict[int, Any] = {}
            self.definitions: dict[int, list[str]] = {}
            self.parked: list[Any] = []
            self.revision = 0
            self.keeper: Any = None
            self.kept = [0.0] * layout.VALUES

        def allocate(self, cells: int, label_text: bytes, record_flags: int, split: int, created: float) -> int:
            cell = native.allocate(cells, label_text, record_flags, split, created)
            self.held.add(cell)
            return cell

        def release(self, cell: int) -> None:
            self.held.discard(cell)
            native.release(cell)

        # At the end of the interpreter, names of modules are gone before objects are.
        def __del__(self, ending: Callable[[], bool] = sys.is_finalizing) -> None:
            if not ending():
                for cell in self.held:
                    native.release(cell)

        def sync(self) -> None:
            """There is nobody to learn from."""

        def take_news(self) -> list[int]:
            return []

        def news_read(self) -> None:
            """There were none."""

        def is_used(self, _family: int) -> bool:
            return True

        shared = False

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

    def __reduce__(self) -> str:
        raise TypeError("an arena is neither copied nor pickled: its memory is in one place")

    if cython.compiled:

        def __cinit__(self, file: cython.int = -1, private: cython.bint = False) -> None:
            header: cython.size_t
            self.named = file >= 0
            self.private = private
            self.tables = {}
            self.families = {}
            self.definitions = {}
            self.parked = []
            self.news = []
            self.news_floor = NEVER
            self.dropped = []
            self.forks = fork_count()
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
                _begin(self.at, self.size)
            # What was removed before it came does not concern it; what lives it finds by looking at everything once.
            self.attachment = attach(self.at, private)
            if self.attachment == cython.NULL:
                raise MemoryError
            self.known = word(self.at + AT_HEAD)
            self.stale = self.known != 0
            self._acknowledge()

        def __dealloc__(self):
            if self.attachment != cython.NULL:
                if self.attachment.slot and not self.named:
                    set_word(self.attachment.slot + AT_KNOWS, 0)
                    set_word(self.attachment.slot + AT_PID, 0)
                detach(self.attachment)
            if self.at and not self.named:
                unmap(self.at, self.size)

        # ---- the lock

        @cython.cfunc
        def lock(self) -> cython.bint:
            """Take the lock; whether it could be had in time."""
            at: cython.size_t = self.at + AT_LOCK
            patience: cython.long = 0
            result: cython.int = take_lock(at, 0)
            if result < 0:
                import time

                if time.monotonic() >= self.blocked_until:
                    patience = PATIENCE
                with cython.nogil:
                    result = take_lock(at, patience)
                if result < 0:
                    self.blocked_until = time.monotonic() + RETRY
                    return False
            self.blocked_until = 0.0
            if result == 1:  # its holder died in the middle of whatever it did
                rebuild(self.at)
                set_word(self.at + AT_HEAD, word(self.at + AT_HEAD) + RING_COUNT + 1)
            return True

        @cython.cfunc
        @cython.exceptval(check=False)
        def unlock(self) -> cython.void:
            drop_lock(self.at + AT_LOCK)

        # ---- events

        @cython.cfunc
        @cython.exceptval(-1, check=False)
        def catch_up(self) -> cython.int:
            """Learn what other processes made and removed. It runs no Python; what it let go of waits in `dropped`."""
            head: cython.size_t = word(self.at + AT_HEAD)
            number: cython.size_t
            if self.forks != fork_count():
                self._forked()
            if (head == self.known and not self.stale) or self.reading:
                return 0
            self.reading = True
            try:
                # First said, then read: what is still there when it is read stays until this process has let go of it.
                self.attachment.knows = head
                if self.attachment.slot:
                    set_word(self.attachment.slot + AT_KNOWS, head)
                fence()
                if not self.stale and head - self.known < RING_COUNT:
                    for number in range(self.known + 1, head + 1):
                        self._event(word(self.at + RING + number % RING_COUNT * 8), number)
                    fence()
                    self.stale = word(self.at + AT_HEAD) - self.known >= RING_COUNT  # overtaken while reading
                else:
                    self.stale = True
                if self.stale:
                    self._resync(head)
                self.known = head
                self._acknowledge()
            finally:
                self.reading = False
            return 0

        @cython.cfunc
        @cython.exceptval(-1, check=False)
        def _event(self, event: cython.size_t, number: cython.size_t) -> cython.int:
            offset: cython.size_t = event & ~cython.cast(cython.size_t, 7)
            head: cython.pointer[pyro_head] = head_of(self.at + offset + HEAD)
            if not event & 1:
                if head.made == number and flags(self.at + offset + HEAD) & (LIVE | REMOVED) == LIVE:
                    self._take(offset)
            elif head.removed == number:
                if head.flags & TOLD:
                    if self.news_floor > number - 1:
                        self.news_floor = number - 1
                    self.news.append(offset | 1)
                else:
                    table: Table = self.tables.get(8 * cython.cast(cython.size_t, head.family))
                    if table is not None:
                        self.dropped.append(table.drop(self.at + offset + HEAD))
            return 0

        @cython.cfunc
        @cython.exceptval(-1, check=False)
        def _take(self, offset: cython.size_t) -> cython.int:
            """Learn of a record that lives."""
            head: cython.pointer[pyro_head] = head_of(self.at + offset + HEAD)
            if head.flags & TOLD:
                self.news.append(offset)
            else:
                table: Table = self.tables.get(8 * cython.cast(cython.size_t, head.family))
                if table is not None:
                    table.adopt(self.at + offset + HEAD)
            return 0

        @cython.cfunc
        @cython.exceptval(-1, check=False)
        def _resync(self, head: cython.size_t) -> cython.int:
            """Look at everything: too much happened since, or a family is new here."""
            number: cython.size_t = FIRST
            place: cython.size_t = 0
            offset: cython.size_t
            cell: cython.size_t
            table: Table
            self.stale = False
            for table in list(self.tables.values()):
                self.dropped += table.drop_removed()
            while True:
                offset = next_record(self.at, cython.address(number), cython.address(place))
                if offset == 0:
                    break
                cell = self.at + offset + HEAD
                if flags(cell) & (LIVE | REMOVED) == LIVE and head_of(cell).made <= head:
                    self._take(offset)
            self.news.append(0)  # what was told before has to be looked at again
            if self.news_floor > self.known:
                self.news_floor = self.known
            return 0

        @cython.cfunc
        @cython.exceptval(check=False)
        def _acknowledge(self) -> cython.void:
            """Say what this process has let go of: all that was removed so far, but for what pages still read."""
            floor: cython.size_t = self.known
            i: cython.int
            self.attachment.knows = self.known
            if self.attachment.slot:
                set_word(self.attachment.slot + AT_KNOWS, self.known)
            if is_quiet():
                return
            if self.readers[1 - self.current] == 0:
                self.current = 1 - self.current
                self.floors[self.current] = self.known
            for i in range(2):
                if self.readers[i] and self.floors[i] < floor:
                    floor = self.floors[i]
            if self.news_floor < floor:  # removals that Python has yet to hear of
                floor = self.news_floor
            if floor > self.attachment.acked:
                self.attachment.acked = floor
                if self.attachment.slot:
                    set_word(self.attachment.slot + AT_ACKED, floor)

        @cython.cfunc
        @cython.exceptval(check=False)
        def _forked(self) -> cython.void:
            """In a fork's child: pages that its parent was writing are not written here."""
            self.forks = fork_count()
            self.readers[0] = self.readers[1] = 0
            self.reading = False

        @cython.cfunc
        @cython.exceptval(check=False)
        def enter(self) -> cython.size_t:
            """A page begins to read records; returns what `leave` has to be told."""
            if self.forks != fork_count():
                self._forked()
            if self.readers[self.current] == 0:
                self.floors[self.current] = self.known
            self.readers[self.current] += 1
            return 2 * self.forks + self.current

        @cython.cfunc
        @cython.exceptval(check=False)
        def leave(self, entered: cython.size_t) -> cython.void:
            """A page has read its records."""
            if entered // 2 == self.forks and self.readers[entered % 2]:
                self.readers[entered % 2] -= 1
                if self.readers[entered % 2] == 0:
                    self._acknowledge()

        # ---- records, with the lock held and everything known

        @cython.cfunc
        @cython.exceptval(check=False)
        def make(
            self,
            record_flags: uint32_t,
            family: cython.size_t,
            cells: cython.size_t,
            label_text: cython.pointer[cython.const[cython.char]],
            length: cython.size_t,
            split: cython.size_t,
            created: cython.double,
        ) -> cython.size_t:
            """The cell of a new record; 0 when the arena is full. For `family`, the offset of what it belongs to."""
            offset: cython.size_t
            cell: cython.size_t
            if word(self.at + AT_LIMBO_COUNT) >= word(self.at + AT_LIMBO_MARK):
                self._reclaim()
            offset = allocate(self.at, size_of(cells, length))
            if offset == 0 and word(self.at + AT_LIMBO_COUNT):
                self._reclaim()
                offset = allocate(self.at, size_of(cells, length))
            if offset == 0:
                return 0
            cell = self.at + offset + HEAD
            fill(cell, cells, label_text, length, record_flags, split, created)
            head_of(cell).family = family // 8
            head_of(cell).made = self.known + 1
            self._commit(cell, offset)
            return cell

        @cython.cfunc
        @cython.exceptval(check=False)
        def remove(self, cell: cython.size_t) -> cython.void:
            """Remove a record, which other processes may go on using until they know."""
            offset: cython.size_t = cell - HEAD - self.at
            head: cython.pointer[pyro_head] = head_of(cell)
            if flags(cell) & (LIVE | REMOVED) != LIVE:
                return
            head.removed = self.known + 1
            raise_flags(cell, REMOVED)
            head.link = word(self.at + AT_LIMBO)
            set_word(self.at + AT_LIMBO, offset // 8)
            set_word(self.at + AT_LIMBO_COUNT, word(self.at + AT_LIMBO_COUNT) + 1)
            self._commit(cell, offset | 1)
            if word(self.at + AT_LIMBO_COUNT) >= word(self.at + AT_LIMBO_MARK):
                self._reclaim()

        @cython.cfunc
        @cython.exceptval(check=False)
        def _commit(self, cell: cython.size_t, event: cython.size_t) -> cython.void:
            """Tell of a record made or removed: from here on it is."""
            number: cython.size_t = self.known + 1
            self.attachment.knows = number
            if self.attachment.slot:
                set_word(self.attachment.slot + AT_KNOWS, number)
            raise_flags(cell, LIVE)
            set_word(self.at + RING + number % RING_COUNT * 8, event)
            set_word(self.at + AT_HEAD, number)
            self.known = number
            self._acknowledge()

        @cython.cfunc
        @cython.exceptval(check=False)
        def _reclaim(self) -> cython.void:
            """Have the removed records that no process can hold used again."""
            knows: cython.size_t[512]
            acked: cython.size_t[512]
            n: cython.int = 0
            i: cython.int
            count: cython.size_t = 0
            offset: cython.size_t = 8 * word(self.at + AT_LIMBO)
            after: cython.size_t
            kept: cython.size_t = 0
            slot: cython.size_t
            number: cython.size_t
            fence()
            if word(self.at + AT_CROWDED):
                return
            for number in range(word(self.at + AT_SLOTS)):
                slot = slot_at(self.at, number)
                # Who has let go of everything blocks nothing, whether it lives or not.
                if word(slot + AT_PID) and word(slot + AT_ACKED) < self.known and is_alive(slot):
                    knows[n] = word(slot + AT_KNOWS)
                    acked[n] = word(slot + AT_ACKED)
                    n += 1
            while offset:
                head = head_of(self.at + offset + HEAD)
                after = 8 * cython.cast(cython.size_t, head.link)
                for i in range(n):
                    if head.made <= knows[i] and head.removed > acked[i]:
                        head.link = kept
                        kept = offset // 8
                        count += 1
                        break
                else:
                    release(self.at, offset)
                offset = after
            set_word(self.at + AT_LIMBO, kept)
            set_word(self.at + AT_LIMBO_COUNT, count)
            set_word(self.at + AT_LIMBO_MARK, 2 * count + 64)

        @cython.cfunc
        @cython.exceptval(check=False)
        def secret(self) -> cython.size_t:
            """What the hashes of label values begin with."""
            return word(self.at + AT_SECRET)

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
            for number in range(word(self.at + AT_SLOTS)):
                slot = slot_at(self.at, number)
                if word(slot + AT_PID):
                    if slot != self.attachment.slot and not is_alive(slot):
                        dead.append(number)
                    elif word(slot + AT_NAMESPACE) == namespace:
                        found.append((number, word(slot + AT_PID)))
            if dead:
                self.sync()
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
            i: cython.size_t
            if word(slot + AT_PID) == 0 or (slot != self.attachment.slot and is_alive(slot)):  # another was faster
                return
            for i in range(VALUES):
                store(self.at + AT_DEAD + 8 * i, load(self.at + AT_DEAD + 8 * i) + load(slot + AT_VALUES + 8 * i))
                store(slot + AT_VALUES + 8 * i, 0.0)
            for family in self.definitions:
                self._mark(family, number, False)
            set_word(slot + AT_KNOWS, 0)
            set_word(slot + AT_ACKED, 0)
            memset(cython.cast(cython.p_void, slot + AT_SERVING), 0, 2 * PORTS)
            set_word(slot + AT_PID, 0)

        def vacate(self) -> None:
            """Give up this process's slot: it has moved elsewhere with everything it held."""
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
            for number in range(word(self.at + AT_SLOTS)):
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
            for number in range(word(self.at + AT_SLOTS)):
                sum += load(slot_at(self.at, number) + AT_VALUES + 8 * index)
            if locked:
                self.unlock()
            return sum

        # ---- for those who speak Python

        def sync(self) -> None:
            """Learn what other processes made and removed, and let go of what they removed."""
            self.catch_up()
            if self.dropped:
                gone = self.dropped
                self.dropped = []
                del gone[:]

        def take_news(self) -> list:
            """The offsets of families, parts and notes that were made or, plus 1, removed; 0: look at all again."""
            told = self.news
            self.news = []
            return told

        def news_read(self) -> None:
            """Nothing that was told of is used any more where it was removed."""
            if not self.news:
                self.news_floor = NEVER
                self._acknowledge()

        @cython.cfunc
        @cython.exceptval(check=False)
        def is_current(self) -> cython.bint:
            """Whether this process knows of everything that has happened."""
            return not self.reading and self.known == word(self.at + AT_HEAD)

        @cython.cfunc
        @cython.exceptval(check=False)
        def has_news(self) -> cython.bint:
            """Whether there is something that Python has yet to hear of."""
            return len(self.news) > 0

        def tell(self, offset: cython.size_t) -> None:
            """Have Python hear of a record that this process made itself."""
            self.news.append(offset)

        def text(self, offset: cython.size_t) -> bytes:
            """The text of a record."""
            cell: cython.size_t = self.at + offset + HEAD
            return text(cell)[: text_len(cell)]

        def discard(self, cell: cython.size_t) -> None:
            """Remove a record that nobody will ask for again; where the lock cannot be had, it stays."""
            if self.lock():
                try:
                    self.catch_up()
                    if self.is_current():
                        self.remove(cell)
                finally:
                    self.unlock()

        def has_process(self, owner: tuple) -> bool:
            """Whether the process (id, start, pid namespace) is attached and lives."""
            number: cython.size_t
            slot: cython.size_t
            pid: cython.size_t = owner[0]
            start: cython.size_t = owner[1]
            namespace: cython.size_t = owner[2]
            for number in range(word(self.at + AT_SLOTS)):
                slot = slot_at(self.at, number)
                if word(slot + AT_PID) == pid and word(slot + AT_START) == start:
                    if word(slot + AT_NAMESPACE) == namespace:
                        return slot == self.attachment.slot or is_alive(slot)
            return False

        def attached(self) -> int:
            """How many processes are attached."""
            number: cython.size_t
            n: cython.int = 0
            for number in range(word(self.at + AT_SLOTS)):
                n += word(slot_at(self.at, number) + AT_PID) != 0
            return n

        def park(self, family: object, child: object) -> None:
            """Remember a child that counts in memory of this process alone."""
            self.parked.append((family, child))
            if not self.warned:
                self.warned = True
                import logging

                logging.getLogger("pyrometer").warning(
                    '%s "%s": no place for a new series at once (the arena is full, or another process that was making '
                    "one is stopped): it counts in this process alone until there is one; further ones are not reported",
                    family.kind,
                    family.name,
                )

        def look_again(self) -> None:
            """Learn everything anew at the next occasion: a family is known now whose series were passed over."""
            self.stale = True

        def record(self, offset: cython.size_t) -> tuple:
            """(flags, offset of what it belongs to, number of its making) of a record."""
            head: cython.pointer[pyro_head] = head_of(self.at + offset + HEAD)
            return head.flags, 8 * cython.cast(cython.size_t, head.family), head.made

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
        def lost(self) -> int:
            """Pages of mapped files that this process lost."""
            return lost_pages()

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
            for number in range(word(self.at + AT_SLOTS)):
                slot = slot_at(self.at, number)
                ports = cython.cast(cython.pointer[uint16_t], slot + AT_SERVING)
                for i in range(PORTS):
                    if ports[i] == port and slot != self.attachment.slot and word(slot + AT_PID) and is_alive(slot):
                        return True
            return False

        def hold(self) -> bool:
            """Take the lock and keep it: for tests of what happens then."""
            return self.lock()

        def let_go(self) -> None:
            """Give the lock back that `hold` took."""
            self.unlock()


if cython.compiled:

    @cython.cfunc
    @cython.exceptval(check=False)
    def _begin(at: cython.size_t, size: cython.size_t) -> cython.void:
        """Write what an arena begins with, but for what only a file needs."""
        import os

        secret: bytes = os.urandom(8)
        random: cython.p_char = secret
        memcpy(cython.cast(cython.p_void, at + AT_SECRET), random, 8)
        set_word(at + layout.AT_TOP, layout.FIRST)
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
        os.ftruncate(file, size)
        at = map_file(file, layout.CHUNKS)
        if at == 0:
            raise MemoryError(f"arena: no address space for {layout.CHUNKS} bytes of shared memory")
        try:
            if not populate(at, layout.CHUNKS):
                raise OSError(errno.ENOSPC, f"arena: no room for {layout.CHUNKS} bytes")
            _begin(at, size)
            set_word(at + layout.AT_FILE, 1)
            set_word(at + layout.AT_BOOT, boot)
            set_word(at + layout.AT_ROOT, root[0])
            set_word(at + layout.AT_ROOT + 8, root[1])
            set_word(at + layout.AT_ROOT + 16, root[2])
            store(at + layout.AT_STARTED, started)
            magic: bytes = layout.MAGIC
            begin: cython.p_char = magic
            memcpy(cython.cast(cython.p_void, at), begin, 8)
        finally:
            unmap(at, layout.CHUNKS)
