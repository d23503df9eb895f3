"""How long a scrape holds the interpreter lock at a stretch.

A second thread does nothing but give the lock away, take it back, and read clocks. While the main thread renders a
page, the gap between two of its readings is the time in which it could not have the lock. The interpreter's switch
interval is set to 0.5 ms, so that the waiting thread asks for the lock early and the next release by the renderer is a
real hand-over: the gap is then the time between two releases, plus the system's wake-up.

On a machine that does other things too, the time on the wall is mostly theirs. So from each gap is taken what the
kernel says the ticking thread was runnable without a processor (``schedstat``), and the gap is never more than the CPU
time of the rendering thread in it. The gap on the wall is reported beside that, and gaps on the wall beside a main
thread that sleeps: the baseline. A renderer that waits for something with the lock in its hands shows on the wall.

A gap that belongs to the renderer comes back in every scrape, one that belongs to the machine does not, and the machine
only ever adds to a gap. So the figure is the lower quartile over scrapes of each scrape's longest gap, taken apart for
the first scrapes of their processes (which may have text to prepare) and for later ones; the larger of the two counts.
The median and the worst are printed beside it.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from bench.libraries import load

SWITCH_INTERVAL = 0.0005


class Gap(NamedTuple):
    """The longest time without the lock, in milliseconds: because another thread held it, and on the wall."""

    held: float
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
        longest_wall = longest_held = gap_wall = gap_cpu = 0
        with _unscheduled() as unscheduled:
            last_delay, last_wall, last_cpu = unscheduled(), wall(), cpu()
            self._ticking.set()
            stopping = False
            while not stopping:
                stopping = self._stopping
                # Reading gives the lock away and then waits for it, so the last gap lies between the last two readings.
                delay = unscheduled()
                longest_wall = max(longest_wall, gap_wall)
                longest_held = max(longest_held, min(gap_cpu, gap_wall - (delay - last_delay)))
                now_wall, now_cpu = wall(), cpu()
                gap_wall, gap_cpu = now_wall - last_wall, now_cpu - last_cpu
                last_delay, last_wall, last_cpu = delay, now_wall, now_cpu
        self._longest = Gap(longest_held / 1e6, longest_wall / 1e6)


@contextlib.contextmanager
def _unscheduled() -> Iterator[Callable[[], int]]:
    """A function that says for how many nanoseconds this thread was runnable and had no processor; it lets go of the
    interpreter lock. Where the kernel does not tell, it is always 0."""
    try:
        descriptor = os.open(f"/proc/self/task/{threading.get_native_id()}/schedstat", os.O_RDONLY)
    except FileNotFoundError:
        descriptor = os.open("/dev/zero", os.O_RDONLY)
        yield lambda: len(os.pread(descriptor, 1, 0)) - 1
    else:
        yield lambda: int(os.pread(descriptor, 64, 0).split()[1])
    finally:
        os.close(descriptor)


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
    found: dict[str, list[float]] = {"held": [], "wall": [], "duration": [], "baseline": []}

    pages = []  # giving a large page back to the system is not the renderer's work

    def scrape() -> None:
        pages.append(library.page(registry))

    for _ in range(scrapes):
        start = time.perf_counter()
        gap = ticker.during(scrape)
        seconds = time.perf_counter() - start
        pages.clear()
        found["held"].append(gap.held)
        found["wall"].append(gap.wall)
        found["duration"].append(seconds * 1e3)
        found["baseline"].append(ticker.during(functools.partial(time.sleep, min(seconds, 2.0))).wall)
    return found


def recurring(first: Sequence[float], later: Sequence[float]) -> float:
    """The longest gap that comes back: of the first scrapes or of the later ones."""
    return max(_lower_quartile(gaps) for gaps in (first, later) if gaps)


def _lower_quartile(values: Sequence[float]) -> float:
    return statistics.quantiles(values, n=4, method="inclusive")[0] if len(values) > 1 else values[0]


if __name__ == "__main__":
    print(json.dumps(longest_gaps(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))
