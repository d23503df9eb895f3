"""What a registry has in its arena: the families of this process, those of others, and their collectors' results."""

from __future__ import annotations

import time
from _weakref import ref

from pyrometer import _results as results
from pyrometer._arenas import program_arena, replace_arena, replace_broken
from pyrometer._catalogue import REGISTRY, adopted, enroll, strangers
from pyrometer._core import COMPILED
from pyrometer._core.arena_cy import Arena
from pyrometer._core.family_cy import Family
from pyrometer._core.lock import ForkSafeLock
from pyrometer._core.metric_cy import MetricBase
from pyrometer._core.news import refresh, settle
from pyrometer._core.parts_cy import bury_parts
from pyrometer._kinds import series_names
from pyrometer._refreshing import resume

# `typing` alone costs 8 ms to import, a good part of what the whole package may take.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from pyrometer.families import Metric

_named: list[ref[Holdings]] = []


class Holdings:
    """The part of an arena that is one registry's.

    With a name it lies in the arena of the program, and is one with its namesakes in all processes; without one it has
    an arena of its own, for this process and its forks.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._arena: Arena | None = None
        self._lock = ForkSafeLock()
        self._foreign: dict[int, Family] = {}
        self._shown: set[Family] = set()
        self._owners: dict[str, Family] = {}
        self._collectors: dict[Any, Family] = {}
        self._redefined: set[str] = set()
        self._looked_at = (-1, -1)
        if name:
            _named.append(ref(self))

    @property
    def arena(self) -> Arena:
        """Found, or made, when it is first asked for."""
        if self._arena is None:
            with self._lock:
                if self._arena is None:
                    self._arena = program_arena() if self.name else Arena()
        return self._arena

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to be learned: this process has nothing, and nobody else can."""
        return not self.name and self._arena is None

    # ---- what this process has

    def enroll(self, family: Family, role: str = "") -> Family:
        """Make a family of this process known to the others."""
        family.kept["own"] = True
        enroll(family, self.name, family.kept.get("detail", ()), role)
        if not role:
            self._find_roles(family)
        return family

    def take_in(self, family: Family) -> None:
        """A metric of no registry, or one that left this one, is registered: its series are those of the registry."""
        if family.arena is self.arena:
            family.reinstate()
        else:
            with self.arena.local:
                family.move(self.arena)
                self.enroll(family)
                family.arrive()

    def let_go(self, collector: Any, family: Family | None) -> None:
        """A metric, or another collector, is registered here no more."""
        if family is None:
            family = self._collectors.pop(collector, None)
        if family is not None and family.arena is self._arena:
            family.withdraw()

    def tell_of(self, collector: Any) -> None:
        """Tell the other processes of a collector, whose last result they show where they do not have it."""
        if not COMPILED or collector in self._collectors:
            return
        kind = f"{type(collector).__module__}.{type(collector).__qualname__}"
        before = sum(type(other) is type(collector) for other in self._collectors)
        family = Family(self.arena, "info", f"{kind} {before}", "", "", (), (), 1)
        family.kept["role"] = results.ROLE
        self._collectors[collector] = self.enroll(family, results.ROLE)
        family.kept["handle"] = handle = MetricBase()
        handle._attach(family, True)

    def share(self, collector: Any, metrics: list[Metric]) -> None:
        """Keep a collector's result for the processes that do not have it; nothing where all have."""
        family = self._collectors.get(collector)
        if family is not None and not self.arena.is_used_by_all(family.offset):
            family.put_note(family.kept["handle"], 0, results.as_note(metrics), 0.0, time.time())

    def move(self, arena: Arena, lost: bool = False) -> None:
        """Move to another arena, with everything that was counted here, unless it is lost."""
        with self._lock, arena.local:
            if self._arena is None:
                return
            before, self._arena = self._arena, arena
            self._foreign.clear()
            self._looked_at = (-1, -1)
            for family in list(before.families.values()):
                if self._has(family, before):
                    family.move(arena, lost)
                    if family.kept.get("own"):
                        self.enroll(family, family.kept.get("role", ""))
                        family.arrive()

    # ---- what others have

    def refresh(self) -> None:
        """Learn what other processes have defined, counted for the first time, and removed; bury the dead."""
        resume()
        if self.arena.broken:
            _begin_anew(self.arena)
        arena = self.arena
        arena.settle_after = 0.0
        settle(arena)
        refresh(arena)
        arena.processes()
        for family in list(arena.families.values()):
            if family.parts:
                bury_parts(family)
        arena.tidy()
        for _ in range(3):
            unknown = list(strangers(arena, self.name))
            for offset, record in unknown:
                try:
                    self._adopt(offset, record)
                except (ValueError, IndexError):  # the record of a process that writes what we do not understand
                    arena.definitions.pop(offset, None)
            if not unknown:
                break
        if self._looked_at != (arena.revision, arena.buried):
            self._looked_at = (arena.revision, arena.buried)
            self._choose(arena)
        refresh(arena)

    def newest(self, family: Family) -> Family:
        """The family that a page shows for one of ours: another process may have defined its name otherwise since."""
        if not family.offset or family in self._shown:
            return family
        names = series_names(family.name, family.kind)
        latest = next((self._owners[name] for name in names if name in self._owners), family)
        return family if latest.is_withdrawn() else latest

    def strangers(self) -> list[Family]:
        """The families that only other processes have defined, in the order of their making."""
        found = [family for family in self._foreign.values() if family in self._shown and not family.is_withdrawn()]
        return sorted(found, key=lambda family: family.made)

    def results(self) -> Iterator[tuple[str, Metric]]:
        """(label, family) of the last results of collectors that only other processes have."""
        for family in list(self._foreign.values()):
            if family.kept.get("role") != results.ROLE or family.is_withdrawn():
                continue
            for data, _, stamp in family.read_notes().values():
                if stamp + results.LASTING > time.time() or family.arena.is_used(family.offset):
                    label = family.name.split()[0].rpartition(".")[2]
                    for metric in results.from_note(data):
                        yield label, metric

    def _has(self, family: Family, arena: Arena) -> bool:
        """Whether a family of the arena is this registry's."""
        record = arena.definitions.get(family.offset)
        return record is not None and record[REGISTRY] == self.name

    def _adopt(self, offset: int, record: list[str]) -> None:
        family = self._foreign[offset] = adopted(self.arena, offset, record)
        role = family.kept["role"]
        if not role:
            self._find_roles(family)
            return
        for main in list(self.arena.families.values()):
            if main.name == family.name and main.labelnames == family.labelnames and not main.parts:
                main.kept[role] = family

    def _find_roles(self, family: Family) -> None:
        for other in list(family.arena.families.values()):
            role = other.kept.get("role", "")
            if role and other.name == family.name and other.labelnames == family.labelnames:
                family.kept[role] = other

    def _choose(self, arena: Arena) -> None:
        """Of families that have series of one name, choose the one that pages show.

        It is the one made last, of those that a live process has. What is neither shown nor had ends.
        """
        families = [
            family
            for family in arena.families.values()
            if self._has(family, arena) and not family.is_withdrawn() and not family.kept.get("role")
        ]
        self._owners = {}
        for family in sorted(families, key=lambda each: (arena.is_used(each.offset), each.made)):
            names = series_names(family.name, family.kind)
            beaten = {self._owners[name] for name in names if name in self._owners}
            if beaten:
                self._owners = {name: owner for name, owner in self._owners.items() if owner not in beaten}
            self._owners.update(dict.fromkeys(names, family))
        self._shown = set(self._owners.values())
        for family in families:
            if family in self._shown:
                continue
            if family.name not in self._redefined:
                self._redefined.add(family.name)
                import logging

                logging.getLogger("pyrometer").warning(
                    '%s "%s" is defined in two ways by processes of this program: the definition made last is exposed, '
                    "and what the other one counted is not",
                    family.kind,
                    family.name,
                )
            if not arena.is_used(family.offset):
                self._foreign.pop(family.offset, None)
                family.end()


def join(path: str) -> None:
    """Share metrics with all processes that join the same place, from now on.

    path: a directory, made (0700) if it is missing. What was counted in this process's named registries, and by the
    processes it shares with so far, is taken along. May be called at any time, before or after metrics are defined; an
    OSError says why the place cannot be had, and then nothing changes.
    """
    import os

    arena, before = replace_arena(os.fspath(path))
    if before is None:
        return
    for holdings in _all_named():
        holdings.move(arena)
    before.vacate()
    if before.path:
        from pyrometer._place import leave

        leave(before.path)


def _begin_anew(broken: Arena) -> None:
    """Go on in another arena: somebody has cut the file of this one, or written over it."""
    arena = replace_broken(broken)
    for holdings in _all_named():
        if holdings.arena is broken:
            holdings.move(arena, lost=True)


def _all_named() -> list[Holdings]:
    return [holdings for holdings in [reference() for reference in list(_named)] if holdings is not None]
