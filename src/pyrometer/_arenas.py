"""The arena of the program, which all its processes and all named registries share."""

from __future__ import annotations

import os

from pyrometer._core import COMPILED
from pyrometer._core.arena_cy import Arena
from pyrometer._core.lock import ForkSafeLock
from pyrometer._core.news import settle

# `typing` alone costs 8 ms to import, a good part of what the whole package may take.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrometer._place import Place

_lock = ForkSafeLock()
_found: list[Arena] = []


def program_arena() -> Arena:
    """The arena that the processes of this program share; found, or made, when it is first asked for.

    Where none can be had it is memory without a name, which forks of this process share, and the log says so once.
    """
    if not _found:
        with _lock:
            if not _found:
                _found.append(_find())
    if not COMPILED and not _said and not _is_off() and _is_one_of_several():
        _say_once(["the compiled core is missing, without which nothing is shared"])
    return _found[0]


def known_arena() -> Arena | None:
    """The program's arena if this process has asked for it."""
    return _found[0] if _found else None


def replace_arena(directory: str) -> tuple[Arena, Arena | None]:
    """Take the arena in this directory from now on; returns it and the one before. OSError where it cannot be had."""
    from pyrometer._place import explicit_place
    from pyrometer._program import has_joined

    with _lock:
        if not COMPILED:
            _say_once(["the compiled core is missing, without which nothing is shared"])
            return program_arena(), None
        before = _found[0] if _found else None
        place = explicit_place(directory)
        if before is not None and before.path == place.file:
            return before, None
        arena = _open(place)
        _found[:] = [arena]
        has_joined(os.path.dirname(arena.path))
        return arena, before


def replace_broken(arena: Arena) -> Arena:
    """Another arena in place of one whose file somebody has cut or written over; the log says what is lost, once."""
    with _lock:
        if _found and _found[0] is arena:
            import logging

            logging.getLogger("pyrometer").warning(
                "the arena %s was cut or written over by somebody: what was counted in it is lost, and counting begins "
                "anew in another",
                arena.path,
            )
            _said.append(True)  # which is all there is to say
            _found[:] = [_find()]
        return _found[0]


def _find() -> Arena:
    if _is_off():
        return Arena(-1, True)
    if not COMPILED:
        return Arena()
    from pyrometer._place import places, sweep

    problems: list[str] = []
    for place in places():
        try:
            arena = _open(place)
        except (OSError, MemoryError) as error:
            # What a user asked for and cannot be had is told; of Pyrometer's own places one is enough.
            problems.append(str(error))
            continue
        if not place.explicit:
            sweep(place.directory)
        if problems and _was_asked_for():
            _say_once(problems)
        return arena
    _say_once(problems)
    return Arena()


def _open(place: Place) -> Arena:
    """The arena at a place, this process attached to it."""
    from pyrometer._arena_file import unlock
    from pyrometer._core.header_cy import prepare
    from pyrometer._place import open_at
    from pyrometer._program import boot, program, publish

    own = program()
    root = (own.root_pid, own.root_start, own.root_namespace)
    file = open_at(place, lambda file: prepare(file, root, own.root_started, boot()))
    try:
        arena = Arena(file)
        unlock(file)  # by itself: the mapping would keep the lock that the descriptor has
    finally:
        os.close(file)
    arena.path = place.file
    publish()
    _stay_until_exit()
    return arena


_staying: list[bool] = []


def _stay_until_exit() -> None:
    if not _staying:
        _staying.append(True)
        import atexit

        atexit.register(_leave)


def _leave() -> None:
    """At the end of a program its arena goes: with the root, or with the last process where that has ended before."""
    from pyrometer._place import leave

    for arena in _found:
        arena.settle_after = 0.0
        settle(arena)
        if arena.path:
            leave(arena.path)


def _is_off() -> bool:
    return os.environ.get("PYROMETER_ARENA", "").lower() == "off"


def _was_asked_for() -> bool:
    return bool(os.environ.get("PYROMETER_ARENA") or os.environ.get("PROMETHEUS_MULTIPROC_DIR"))


def _is_one_of_several() -> bool:
    """Whether this process seems to be one of several of its program."""
    import sys

    parent = getattr(sys.modules.get("multiprocessing.process"), "parent_process", None)
    return _was_asked_for() or (parent is not None and parent() is not None)


_said: list[bool] = []


def _say_once(problems: list[str]) -> None:
    if not _said:
        _said.append(True)
        import logging

        logging.getLogger("pyrometer").warning(
            "metrics are not shared by all processes as they should be: %s",
            "; ".join(problems) or "this system has no place for an arena",
        )
