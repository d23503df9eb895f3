"""What the processes of one program keep for one another: where, and until the very end of each."""

from __future__ import annotations

import atexit
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Protocol

    class SharedArena(Protocol):
        """What collectors want of an arena. What is kept in it only grows: a smaller value leaves it as it is."""

        @property
        def started(self) -> float: ...
        @property
        def shared(self) -> bool: ...
        def processes(self) -> list[tuple[int, int]]: ...
        def keep(self, index: int, value: float, /) -> None: ...
        def keep_of(self, slot: int, index: int, value: float, /) -> None: ...
        def total(self, index: int, /) -> float: ...


_keepers: list[Callable[[SharedArena], None]] = []
_told_multiprocessing = False


def shared_arena() -> SharedArena | None:
    """The program's arena; None where every process counts for itself."""
    # Late: arenas are found when there is something to keep in them, not by importing collectors.
    from pyrometer._arenas import program_arena

    arena: SharedArena = program_arena()
    return arena if arena.shared else None


def at_exit(keep: Callable[[SharedArena], None]) -> None:
    """Have `keep` called with the arena when this process, or one forked from it, ends of itself."""
    _keepers.append(keep)


def keep_last() -> None:
    """Keep what this process has now, for those that go on. Nothing is raised: the process is ending."""
    from pyrometer._arenas import known_arena

    try:
        arena: SharedArena | None = known_arena()
        if arena is not None and arena.shared:  # one that was never asked for is not made now
            for keep in _keepers:
                keep(arena)
    except Exception:
        return


def _tell_multiprocessing(_: object = None) -> None:
    # Its processes end by os._exit(), after what Finalize objects do. They forget those that were made before they
    # began their work; what is registered to be called after a fork is called then, and in their own children too.
    global _told_multiprocessing
    util: Any = sys.modules.get("multiprocessing.util")
    if util is not None:
        if not _told_multiprocessing:
            _told_multiprocessing = True
            util.register_after_fork(keep_last, _tell_multiprocessing)
        util.Finalize(None, keep_last, exitpriority=-1000)


atexit.register(keep_last)
_tell_multiprocessing()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_tell_multiprocessing)
