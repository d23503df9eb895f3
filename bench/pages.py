"""Scrapes: ``generate_latest`` over many labelled series."""

from __future__ import annotations

import time
from typing import Any

from bench.libraries import Library
from bench.measure import Contender


class Page:
    """A registry with one family of ``series`` children; a few of them change before every scrape.

    Raises RuntimeError at construction when the page does not hold every series with its right value.
    """

    def __init__(self, library: Library, kind: str, series: int) -> None:
        self._library = library
        self._registry = library.registry()
        self._changing: list[Any] = []
        make = {"counters": self._counters, "histograms": self._histograms}[kind]
        counted, expected = make(series)
        page = library.page(self._registry)
        samples = [line for line in page.splitlines() if not line.startswith(b"#")]
        of_children = [line for line in samples if line.startswith(counted + b"{")]
        total = sum(float(line.rsplit(b" ", 1)[1]) for line in of_children)
        if len(of_children) != series or total != expected:
            raise RuntimeError(
                f"the page of {library.name} has {len(of_children)} {counted.decode()} samples with the sum {total}, "
                f"expected {series} with {expected}"
            )
        self.lines = len(samples)

    def _counters(self, series: int) -> tuple[bytes, float]:
        family = self._library.counter("requests", ["product"], self._registry)
        expected = 0
        for number in range(series):
            child = family.labels(f"product{number}")
            child.inc(number % 1000 + 1)
            expected += number % 1000 + 1
            if number % 100 == 0:
                self._changing.append(child.inc)
        return b"requests_total", expected

    def _histograms(self, series: int) -> tuple[bytes, float]:
        family = self._library.histogram("latency_seconds", ["product"], self._registry)
        for number in range(series):
            child = family.labels(f"product{number}")
            child.observe(0.3)
            child.observe(number % 1000 / 100)
            if number % 100 == 0:
                self._changing.append(lambda child=child: child.observe(0.3))
        return b"latency_seconds_count", 2.0 * series

    def contender(self) -> Contender:
        """Scrapes so many times; what changes in between is not timed."""

        def run(count: int) -> float:
            elapsed = 0
            for _ in range(count):
                for change in self._changing:
                    change()
                start = time.process_time_ns()
                self._library.page(self._registry)
                elapsed += time.process_time_ns() - start
            return elapsed

        return Contender(run)
