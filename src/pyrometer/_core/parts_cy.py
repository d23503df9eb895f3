"""Parts: what each process counts of a series by itself, and what becomes of it when the process has ended."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrometer._core import _cython as cython
else:
    try:
        import cython
    except ImportError:
        from pyrometer._core import _cython as cython

from pyrometer._core import layout

if cython.compiled:
    from cython.cimports.libc.stdint import uint32_t
    from cython.cimports.pyrometer._core.family_cy import Family
    from cython.cimports.pyrometer._core.native import HEAD, flags, head_of, load, store
    from cython.cimports.pyrometer._core.native import add as add_to

    REMOVED = cython.declare(uint32_t, layout.RECORD_REMOVED)
    HIDDEN = cython.declare(uint32_t, layout.RECORD_HIDDEN)
else:
    from pyrometer._core import native
    from pyrometer._core.family_cy import Family

FOLDED = ("min", "max", "sum", "mostrecent")
"""The modes that count what ended processes have set, as one part that is no process's."""
KEPT = 100
"""How many ended processes the mode "all" shows of a series, those that came last."""


if not cython.compiled:

    def each_part(family: Family) -> list[tuple[tuple[str, ...], int, bool, float, float]]:
        """[(label values, process id, whether it lives, value, Unix time of it)] of all parts that pages show."""
        import os

        records = [(child.cell, native.record(child.cell)) for child in family.table.all()]
        return [
            (family.values(record.text), os.getpid(), True, native.load(cell), native.load(cell + 8))
            for cell, record in records
            if not record.flags & layout.RECORD_HIDDEN
        ]

    def bury_parts(_family: Family) -> None:
        """No other process has any."""

else:

    def each_part(family: Family) -> list:
        """[(label values, process id, whether it lives, value, Unix time of it)] of all parts that pages show."""
        cell: cython.size_t
        found: list = []
        alive: dict = {}
        entered: cython.size_t = family.arena.enter()  # until it has left, no part is used for anything else
        with family.arena.local:
            try:
                for part, label_text in list(family.others.items()):
                    cell = part
                    if flags(cell) & (HIDDEN | REMOVED):
                        continue
                    owner = (load(cell + 16), load(cell + 24), load(cell + 32))
                    if owner not in alive:
                        alive[owner] = family.arena.has_process(owner)
                    found.append((family.values(label_text), int(owner[0]), alive[owner], load(cell), load(cell + 8)))
            finally:
                family.arena.leave(entered)
            return found

    def bury_parts(family: Family) -> None:
        """Drop the parts of processes that have ended, or add them to one that stands for all of them.

        With the mode "all" each stays, the last hundred of a series.
        """
        cell: cython.size_t
        into: cython.size_t
        with family.arena.local:
            # Looked for without the lock, which is not held while Python makes objects: that may run anything.
            owners: dict = {cell: (load(cell + 16), load(cell + 24), load(cell + 32)) for cell in list(family.others)}
            lives: dict = {owner: not owner[0] or family.arena.has_process(owner) for owner in set(owners.values())}
            dead: list = sorted([cell for cell, owner in owners.items() if not lives[owner]])
            if family.mode == "all":
                dead = _oldest(family, dead)
            into_of: dict = {family.others.get(cell): cell for cell, owner in owners.items() if not owner[0]}
            if not dead or not family.arena.lock():
                return
            try:
                family.arena.catch_up()
                if family.arena.has_news():  # some may be others' by now: the next page does it
                    return
                for cell in dead:
                    if not family.arena.is_current() or flags(cell) & REMOVED:
                        break
                    label_text = family.others.get(cell)
                    into = into_of.get(label_text, 0)
                    if family.mode in FOLDED and not into:
                        into_of[label_text] = cell
                        store(cell + 16, 0.0)
                        continue
                    if into:
                        _combine(family.mode, into, cell)
                    family.lose_part(cell - HEAD - family.arena.at)
                    family.arena.remove(cell)
            finally:
                family.arena.unlock()

    def _oldest(family: Family, dead: list) -> list:
        """Of the parts of ended processes, those that come before the last hundred of their series."""
        cell: cython.size_t
        by_series: dict = {}
        for cell in dead:
            by_series.setdefault(family.others.get(cell), []).append((head_of(cell).made, cell))
        return [cell for parts in by_series.values() for _, cell in sorted(parts)[: max(0, len(parts) - KEPT)]]

    @cython.cfunc
    @cython.exceptval(check=False)
    def _combine(mode: str, into: cython.size_t, cell: cython.size_t) -> cython.void:
        """Add what a process counted by itself to what the others did that have ended."""
        value: cython.double = load(cell)
        if mode == "sum":
            add_to(into, value)
        elif (mode == "min" and value < load(into)) or (mode == "max" and value > load(into)):
            store(into, value)
        elif mode == "mostrecent" and load(cell + 8) >= load(into + 8):
            store(into, value)
            store(into + 8, load(cell + 8))
