"""Values about a worker's own state: each process computes its own again and again, since a scrape asks only one."""

from __future__ import annotations

import os
import time

from pyrometer._core.lock import ForkSafeLock

# `typing` alone costs 8 ms to import, a good part of what the whole package may take.
TYPE_CHECKING = False
if TYPE_CHECKING:
    import threading

    from pyrometer._callbacks import Callback

REFRESH = 5.0
"""Seconds between two computations unless `refresh` says otherwise."""

_lock = ForkSafeLock()
_callbacks: dict[Callback, float] = {}
_threads: dict[int, threading.Thread] = {}


def refresh_every(callback: Callback, seconds: float) -> None:
    """Have a callback run at once and every so many seconds, in this process and in every one forked from it."""
    with _lock:
        _callbacks[callback] = seconds
    resume()


def resume() -> None:
    """Have the thread of this process, which a fork leaves behind; cheap where it runs.

    Asked for after forks, and by pages: not every server that forks runs Python's hooks.
    """
    if not _callbacks or os.getpid() in _threads:
        return
    # Here, not in the thread: a fork while that imports would leave half of a module in the child.
    import asyncio  # noqa: F401
    import concurrent.futures  # noqa: F401
    import threading

    import pyrometer._runs  # noqa: F401

    with _lock:
        if os.getpid() not in _threads:
            _threads.clear()
            thread = threading.Thread(target=_run, name="pyrometer-refresh", daemon=True)
            _threads[os.getpid()] = thread
            thread.start()


def _run() -> None:
    from pyrometer._runs import begin_all, run_apart

    due: dict[Callback, float] = {}
    while True:
        now = time.monotonic()
        with _lock:
            for callback in [callback for callback in _callbacks if not callback.is_current()]:
                del _callbacks[callback]
            known = dict(_callbacks)
        if not known:
            with _lock:
                if not _callbacks:
                    _threads.pop(os.getpid(), None)
                    return
            continue
        ready = [callback for callback in known if due.get(callback, 0.0) <= now]
        for callback in ready:
            try:
                run_apart(begin_all([callback.flight]))
            except Exception:
                # A page that asks for it says so, and counts it; here nobody would read it.
                pass
        due = {callback: now + every if callback in ready else due[callback] for callback, every in known.items()}
        time.sleep(max(0.01, min(due.values()) - time.monotonic()))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=resume)
