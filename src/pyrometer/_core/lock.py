"""A lock that neither a fork nor a signal handler can leave shut."""

from __future__ import annotations

from _thread import RLock
from os import getpid


class ForkSafeLock:
    """A re-entrant lock, for `with`; in a process forked while another thread held it, it is free.

    The process is asked for its id at each entry: hooks for forks are not run by every server that forks.
    """

    __slots__ = ("_locks",)

    def __init__(self) -> None:
        # One for each process, its own and those it was forked from; `setdefault` is atomic.
        self._locks = {getpid(): RLock()}

    def __enter__(self) -> None:
        pid = getpid()
        (self._locks.get(pid) or self._locks.setdefault(pid, RLock())).acquire()

    def __exit__(self, *_: object) -> None:
        lock = self._locks.get(getpid())
        # Not owned: the fork was inside the block, and what was taken is its parent's.
        if lock is not None and lock._is_owned():  # type: ignore[attr-defined]
            lock.release()
