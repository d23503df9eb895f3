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
Among the threads of a process whoever makes, removes or moves anything holds `local`, which may be taken again.

Interpreted, the records live in a list of this process (`native.py`), with the same addresses-as-names rules.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from pyrometer._core import _cython as cython
else:
    try:
        import cython
    except ImportError:
        from pyrometer._core import _cython as cython

from pyrometer._core import layout
from pyrometer._core.lock import ForkSafeLock

if cython.compiled:
    from cython.cimports.libc.stdint import uint32_t
    from cython.cimports.libc.string import memcpy
    from cython.cimports.pyrometer._core.attached_cy import Attached
    from cython.cimports.pyrometer._core.chunks_cy import allocate, is_used, next_record, release, trim
    from cython.cimports.pyrometer._core.native import (
        HEAD,
        fence,
        flags,
        head_of,
        pyro_head,
        raise_flags,
        set_word,
        text,
        text_len,
        word,
    )
    from cython.cimports.pyrometer._core.record_cy import fill, size_of
    from cython.cimports.pyrometer._core.slots_cy import fork_count, is_alive, is_quiet, slot_at
    from cython.cimports.pyrometer._core.table_cy import Table

    AT_HEAD = cython.declare(cython.size_t, layout.AT_HEAD)
    AT_CROWDED = cython.declare(cython.size_t, layout.AT_CROWDED)
    AT_SLOTS = cython.declare(cython.size_t, layout.AT_SLOTS)
    AT_IDLE = cython.declare(cython.size_t, layout.AT_IDLE)
    AT_LIMBO = cython.declare(cython.size_t, layout.AT_LIMBO)
    AT_LIMBO_COUNT = cython.declare(cython.size_t, layout.AT_LIMBO_COUNT)
    AT_LIMBO_MARK = cython.declare(cython.size_t, layout.AT_LIMBO_MARK)
    AT_PID = cython.declare(cython.size_t, layout.AT_PID)
    AT_KNOWS = cython.declare(cython.size_t, layout.AT_KNOWS)
    AT_ACKED = cython.declare(cython.size_t, layout.AT_ACKED)
    RING = cython.declare(cython.size_t, layout.RING)
    RING_COUNT = cython.declare(cython.size_t, layout.RING_COUNT)
    CHUNK = cython.declare(cython.size_t, layout.CHUNK)
    FIRST = cython.declare(cython.size_t, layout.FIRST)
    LIVE = cython.declare(uint32_t, layout.RECORD_LIVE)
    REMOVED = cython.declare(uint32_t, layout.RECORD_REMOVED)
    NEVER = cython.declare(cython.size_t, (1 << 63) - 1)
    TOLD = cython.declare(uint32_t, layout.RECORD_FAMILY | layout.RECORD_PART | layout.RECORD_NOTE)
else:
    from pyrometer._core import native
    from pyrometer._core.attached_cy import Attached


@cython.final
@cython.no_gc_clear
@cython.cclass
class Arena(Attached):
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
            "path",
            "local",
            "parked",
            "revision",
            "settle_after",
            "tables",
        )

        def __init__(self, file: int = -1, private: bool = False) -> None:
            super().__init__(file, private)
            self.held: set[int] = set()
            self.local = ForkSafeLock()
            self.tables: dict[int, Any] = {}
            self.families: dict[int, Any] = {}
            self.definitions: dict[int, list[str]] = {}
            self.parked: list[Any] = []
            self.revision = 0
            self.settle_after = 0.0
            self.path: Any = None

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

        def has_forked(self) -> bool:
            return False

        def sync(self) -> None:
            """There is nobody to learn from."""

        def tidy(self) -> None:
            """What is removed is used again at once."""

        def record(self, _offset: int) -> tuple[int, int, int]:
            return 0, 0, 0

        def text(self, _offset: int) -> bytes:
            return b""

        def take_news(self) -> list[int]:
            return []

        def news_read(self) -> None:
            """There were none."""

    def __reduce__(self) -> str:
        raise TypeError("an arena is neither copied nor pickled: its memory is in one place")

    if cython.compiled:

        def __cinit__(self, file: cython.int = -1, private: cython.bint = False) -> None:
            self.local = ForkSafeLock()
            self.tables = {}
            self.families = {}
            self.definitions = {}
            self.parked = []
            self.news = []
            self.news_floor = NEVER
            self.dropped = []
            self.forks = self.left = fork_count()
            # What was removed before it came does not concern it; what lives it finds by looking at everything once.
            self.known = word(self.at + AT_HEAD)
            self.stale = self.known != 0
            self._acknowledge()

        # ---- events

        @cython.cfunc
        @cython.exceptval(-1, check=False)
        def catch_up(self) -> cython.int:
            """Learn what other processes made and removed. It runs no Python; what it let go of waits in `dropped`."""
            head: cython.size_t = word(self.at + AT_HEAD)
            number: cython.size_t
            if self.is_broken():
                return 0
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
            if offset > self.size - CHUNK or not is_used(self.at, offset):
                return 0  # it was removed long ago, and its memory given back
            head: cython.pointer[pyro_head] = head_of(self.at + offset + HEAD)
            if not event & 1:
                if flags(self.at + offset + HEAD) & (LIVE | REMOVED) == LIVE:
                    fence()
                    if head.made == number:
                        self._take(offset)
            elif head.removed == number:
                if head.flags & TOLD:
                    if self.news_floor > number - 1:
                        self.news_floor = number - 1
                    self.news.append(offset | 1)
                else:
                    table: Table = self._table_of(head.family)
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
                table: Table = self._table_of(head.family)
                if table is not None:
                    table.adopt(self.at + offset + HEAD)
            return 0

        @cython.cfunc
        def _table_of(self, family: uint32_t) -> Table:
            """The table of a family, by an eighth of its offset; None where this process has no such family."""
            reference = self.tables.get(8 * cython.cast(cython.size_t, family))
            return None if reference is None else reference()

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
            for reference in list(self.tables.values()):
                table = reference()
                if table is not None:
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
            if is_quiet(self.attachment):
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
            values: cython.pointer[cython.double] = cython.NULL,
            urgent: cython.bint = False,
        ) -> cython.size_t:
            """The cell of a new record; 0 when the arena is full.

            family: the offset of what it belongs to. values: of its cells, where they do not begin at 0.
            urgent: it may use what is kept for what has to have a place.
            """
            offset: cython.size_t
            cell: cython.size_t
            if word(self.at + AT_LIMBO_COUNT) >= word(self.at + AT_LIMBO_MARK):
                self._reclaim()
            offset = allocate(self.at, size_of(cells, length), urgent)
            if offset == 0 and word(self.at + AT_LIMBO_COUNT):
                self._reclaim()
                offset = allocate(self.at, size_of(cells, length), urgent)
            if offset == 0:
                return 0
            cell = self.at + offset + HEAD
            fill(cell, cells, label_text, length, record_flags, split, created)
            if values != cython.NULL:
                memcpy(cython.cast(cython.p_void, cell), values, 8 * cells)
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
            if not flags(cell) & LIVE or head.removed:
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
            fence()
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

        def tidy(self) -> None:
            """Give back what removed records took, where no process holds them any more.

            Many that somebody sleeps on are not looked through again and again.
            """
            waiting: cython.size_t = word(self.at + AT_LIMBO_COUNT)
            with self.local:
                if (0 < waiting < 10_000 or word(self.at + AT_IDLE)) and self.lock():
                    try:
                        self.catch_up()
                        if self.is_current():
                            self._reclaim()
                            trim(self.at)
                    finally:
                        self.unlock()

        # ---- for those who speak Python

        def sync(self) -> None:
            """Learn what other processes made and removed, and let go of what they removed."""
            self.catch_up()
            if self.dropped:
                gone = self.dropped
                self.dropped = []
                del gone[:]

        def has_forked(self) -> bool:
            """Whether this process is a fork that has not taken leave of what its parent counts by itself."""
            before: cython.size_t = self.left
            self.left = fork_count()
            return before != self.left

        def take_news(self) -> list:
            """The offsets of families, parts and notes that were made or, plus 1, removed; 0: look at all again."""
            told = self.news
            self.news = []
            if told:
                self.hearing += 1
            return told

        def news_read(self) -> None:
            """Nothing that was told of is used any more where it was removed."""
            self.hearing -= 1
            if not self.news and self.hearing == 0:  # nor is another thread about to use it
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

        def discard(self, cell: cython.size_t) -> bool:
            """Remove a record of which this process holds nothing; whether the lock could be had."""
            done: cython.bint = False
            with self.local:
                if self.lock():
                    try:
                        self.catch_up()
                        if self.is_current():
                            self.remove(cell)
                            done = True
                    finally:
                        self.unlock()
                return done

        def park(self, family: object, child: object) -> None:
            """Remember a child that counts in memory of this process alone."""
            self.parked.append((family, child))
            if not self.warned and not self.is_broken():
                self.warned = True
                import logging

                logging.getLogger("pyrometer").warning(
                    '%s "%s": no place for a new series at once (the arena is full, or another process is stopped '
                    "while it makes one): it counts in this process alone until there is one, as will further ones",
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
