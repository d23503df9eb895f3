"""``python -m bench.member LIBRARY REGISTRY``: one process of a crew.

Each line of standard input is a list in JSON, a method of Member and its arguments; what it returns is answered in
JSON. REGISTRY is ``named`` for one without any other collector, ``default`` for the one a program has.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import signal
import sys
import time
import warnings
from pathlib import Path
from typing import Any

from bench.libraries import Library, load
from bench.measure import Contender, statement, timed


class Member:
    """The metrics of one process and what can be done with them."""

    def __init__(self, library: Library, registry: str) -> None:
        self._library = library
        self._registry = library.shared_registry(default=registry == "default")
        self._counter = library.counter("views", ["product"], self._registry)
        self._histogram = library.histogram("latency_seconds", ["product"], self._registry)
        self._running = library.gauge("running", [], self._registry, multiprocess_mode="livesum")
        self._contenders: dict[str, Contender] = {}
        self._series = 0

    def _contender(self, source: str) -> Contender:
        """A statement about `c`, a series that no other process has, `f`, its family, and `p`, its label."""
        if source not in self._contenders:
            label = f"of {os.getpid()}"
            names = {"c": self._counter.labels(label), "f": self._counter, "p": label}
            self._contenders[source] = statement(source, names)
        return self._contenders[source]

    def execute(self, source: str, count: int) -> float:
        """Nanoseconds for so many executions."""
        return timed(self._contender(source).run, count) * count

    def loop(self, source: str, count: int) -> float:
        """Nanoseconds for as many turns of an empty loop."""
        loop = self._contender(source).loop
        assert loop is not None
        return timed(loop, count) * count

    def fill(self, counters: int, histograms: int) -> None:
        """Counts once in each of so many series, which all processes have in common."""
        self._series = counters
        for number in range(counters):
            self._counter.labels(f"product{number}").inc()
        for number in range(histograms):
            self._histogram.labels(f"product{number}").observe(number % 1000 / 100)

    def change(self) -> None:
        """Counts in a few of them."""
        for number in range(0, self._series, 100):
            self._counter.labels(f"product{number}").inc()

    def scrape(self) -> int:
        """Nanoseconds of processor time."""
        start = time.process_time_ns()
        self._library.shared_page(self._registry)
        return time.process_time_ns() - start

    def counted(self) -> float:
        """What a scrape says of all processes: the sum of the counters."""
        lines = self._library.shared_page(self._registry).decode().splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith("views_total{"))

    def serve(self, routes: int) -> None:
        """Counts as a worker does, once in each of so many routes, with a request under way."""
        self._running.inc()
        for number in range(routes):
            self._counter.labels(f"product{number}").inc()
            self._histogram.labels(f"product{number}").observe(0.3)
        self._series = max(self._series, routes)

    def employ(self, workers: int, routes: int) -> None:
        """Has so many forked workers, one after another, serve and die; every other one is killed."""
        for number in range(workers):
            pid = os.fork()
            if not pid:
                self.serve(routes)
                if number % 2:
                    os.kill(os.getpid(), signal.SIGKILL)
                os._exit(0)
            os.waitpid(pid, 0)

    def churn(self, series: int) -> None:
        """Makes so many series, each counted in, and then removes them."""
        names = [f"passing{number}" for number in range(series)]
        for name in names:
            self._counter.labels(name).inc()
        for name in names:
            self._counter.remove(name)

    def private(self) -> int:
        """Bytes in memory now that are of this process alone; files that it shares with others are not in it."""
        gc.collect()
        pages = Path("/proc/self/statm").read_text().split()
        return (int(pages[1]) - int(pages[2])) * resource.getpagesize()


def _main(name: str, registry: str) -> None:
    warnings.simplefilter("ignore")  # prometheus_client says what it cannot do with several processes
    library = load(name)
    if isinstance(library, str):
        raise SystemExit(library)
    member = Member(library, registry)
    for line in sys.stdin:
        action, *arguments = json.loads(line)
        answer: Any = getattr(member, action)(*arguments)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    _main(*sys.argv[1:])
