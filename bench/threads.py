"""Several threads of one process counting in one series, exact to the last count."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from typing import Any

from bench.libraries import Library
from bench.measure import Contender

NUMBERS = (1, 2, 3, 4)
STATEMENTS = ("inc", "labels")
LEAST = 50_000
"""Increments beside which the start of a few threads costs little."""


class Hammered:
    """One library's counters under threads; ``lost`` says how many increments did not arrive."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._registry = library.registry()
        plain = library.counter("plain", [], self._registry)
        labelled = library.counter("labelled", ["product"], self._registry)
        self._made = dict.fromkeys(STATEMENTS, 0)
        self._loops: dict[str, Callable[[int], None]] = {
            "inc": lambda count: _inc(plain, count),
            "labels": lambda count: _labels(labelled, count),
        }

    def contender(self, source: str, threads: int) -> Contender:
        """Nanoseconds of wall time per increment of the whole process, loop included."""
        loop = self._loops[source]

        def run(count: int) -> float:
            each = -(-count // threads)
            workers = [threading.Thread(target=loop, args=(each,)) for _ in range(threads)]
            self._made[source] += each * threads
            start = time.perf_counter_ns()
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join()
            return (time.perf_counter_ns() - start) * count / (each * threads)

        return Contender(run, least=LEAST)

    def lost(self) -> int:
        page = self._library.page(self._registry).decode()
        counted = sum(
            float(line.rsplit(" ", 1)[1])
            for line in page.splitlines()
            if line.startswith(("plain_total", "labelled_total"))
        )
        return sum(self._made.values()) - round(counted)


def _inc(counter: Any, count: int) -> None:
    for _ in itertools.repeat(None, count):
        counter.inc()


def _labels(family: Any, count: int) -> None:
    for _ in itertools.repeat(None, count):
        family.labels("p1").inc()
