"""A lock that neither a fork nor a signal handler can leave shut."""

from __future__ import annotations

from _thread import RLock
from os import getpid


class ForkSafeLock:
    """A re-entrant lock, for `with`; in a process forked while another thread held it, it is free.

    The process is asked for its id at each entry: hooks for forks are not run by every server that forks.
    """

    __slots__ = ("_lock", "_pid")

    def __init__(self) -> None:
        self._lock = RLock()
        self._pid = getpid()

    def __enter__(self) -> None:
        if self._pid != getpid():
            self._lock = RLock()
            self._pid = getpid()
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()
