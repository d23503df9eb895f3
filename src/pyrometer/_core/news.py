"""What an arena tells of families, of parts of series and of notes: kept by their offsets, for Python to look up."""

from __future__ import annotations

from pyrometer._core.layout import RECORD_FAMILY, RECORD_PART, RECORD_REMOVED, fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrometer._core.arena_cy import Arena


def refresh(arena: Arena) -> None:
    """Learn what other processes made and removed."""
    with arena.local:
        _refresh(arena)


def _refresh(arena: Arena) -> None:
    if arena.has_forked():  # first of all: what is told of the parent's parts is not told of ours
        for family in list(arena.families.values()):
            family.after_fork()
    arena.sync()
    told = arena.take_news()
    if not told:
        return
    try:
        if 0 in told:
            for offset in list(arena.definitions):
                if arena.record(offset)[0] & RECORD_REMOVED:
                    _hear(arena, offset, True)
            for family in list(arena.families.values()):
                family.forget_removed()
        for each in told:
            if each:
                _hear(arena, each & ~7, bool(each & 1))
    finally:
        arena.news_read()


def settle(arena: Arena) -> None:
    """Have what counts in memory of this process alone moved into the arena, where there is anything and it can be."""
    if arena.parked:
        from pyrometer._core.series_cy import settle

        with arena.local:
            settle(arena)


def _hear(arena: Arena, offset: int, removed: bool) -> None:
    flags, owner, _ = arena.record(offset)
    if flags & RECORD_FAMILY:
        if removed:
            arena.definitions.pop(offset, None)
            arena.families.pop(offset, None)
            arena.tables.pop(offset, None)
            arena.revision += 1
        elif offset not in arena.definitions and not flags & RECORD_REMOVED:
            arena.definitions[offset] = fields(arena.text(offset))
            arena.revision += 1
        return
    family = arena.families.get(owner)
    if family is None:
        return
    if flags & RECORD_PART:
        family.lose_part(offset) if removed else family.find_part(offset)
    else:
        family.lose_note(offset) if removed else family.find_note(offset)
