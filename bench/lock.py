"""How long a scrape holds the interpreter lock at a stretch.

A second thread does nothing but read clocks and remember the longest gap between two of its readings. While the main
thread renders a page, a gap is the time from when the ticking thread gave the lock away to when it got it back. The
interpreter's switch interval is set to 0.5 ms, so that the waiting thread asks for the lock early and the next release
by the renderer is a real hand-over: the gap is then the time between two releases, plus the system's wake-up.

Two clocks are read. The one on the wall also shows what other programs of the machine take; what that is, the same
thread shows beside a sleeping main thread: the baseline. The other is the CPU time of the rendering thread, which
advances only by what that thread does while the ticking one waits, so it is the figure that counts; a renderer that
waited for something with the lock in its hands would show on the wall.

A gap that belongs to the renderer comes back in every scrape, one that belongs to the machine does not. So the figure
is the median over scrapes of each scrape's longest gap, taken apart for the first scrapes of their processes (which may
have text to prepare) and for later ones; the larger of the two counts.
"""

from __future__ import annotations

import functools
import json
import sys
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from bench.libraries import load

SWITCH_INTERVAL = 0.0005


class Gap(NamedTuple):
    """The longest time without a tick, in milliseconds."""

    cpu: float
    wall: float


class Ticker:
    """A thread that measures the longest time in which it could not run while ``body`` ran."""

    def __init__(self) -> None:
        self._stopping = False
        self._ticking = threading.Event()
        self._longest = Gap(0.0, 0.0)

    def during(self, body: Callable[[], object]) -> Gap:
        self._stopping = False
        self._ticking.clear()
        thread = threading.Thread(target=self._tick, args=(time.pthread_getcpuclockid(threading.get_ident()),))
        thread.start()
        self._ticking.wait()
        try:
            body()
        finally:
            self._stopping = True
            thread.join()
        return self._longest

    def _tick(self, renderer: int) -> None:
        wall, cpu = time.perf_counter_ns, functools.partial(time.clock_gettime_ns, renderer)
        longest_wall = longest_cpu = 0
        self._ticking.set()
        last_wall, last_cpu = wall(), cpu()
        while True:
            now_wall, now_cpu = wall(), cpu()
            if now_wall - last_wall > longest_wall:
                longest_wall = now_wall - last_wall
            if now_cpu - last_cpu > longest_cpu:
                longest_cpu = now_cpu - last_cpu
            last_wall, last_cpu = now_wall, now_cpu
            if self._stopping:
                break
        self._longest = Gap(longest_cpu / 1e6, longest_wall / 1e6)


def longest_gaps(name: str, series: int, scrapes: int) -> dict[str, list[float]]:
    """Milliseconds: the longest gaps and the duration of each scrape, and the gap without a scrape for as long."""
    library = load(name)
    if isinstance(library, str):
        raise SystemExit(library)
    registry = library.registry()
    family = library.counter("requests", ["product"], registry)
    for number in range(series):
        family.labels(f"product{number}").inc(number % 1000 + 1)
    sys.setswitchinterval(SWITCH_INTERVAL)
    ticker = Ticker()
    found: dict[str, list[float]] = {"cpu": [], "wall": [], "duration": [], "baseline": []}

    def scrape() -> None:
        library.page(registry)

    for _ in range(scrapes):
        start = time.perf_counter()
        gap = ticker.during(scrape)
        seconds = time.perf_counter() - start
        found["cpu"].append(gap.cpu)
        found["wall"].append(gap.wall)
        found["duration"].append(seconds * 1e3)
        found["baseline"].append(ticker.during(functools.partial(time.sleep, min(seconds, 2.0))).wall)
    return found


if __name__ == "__main__":
    print(json.dumps(longest_gaps(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))
