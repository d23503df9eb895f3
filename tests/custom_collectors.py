"""Collectors of every manner, which give the same families."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator

from pyrometer.families import GaugeMetricFamily, Metric

PAGE = b"# HELP plain help\n# TYPE plain gauge\nplain 1\n# HELP plain_too help\n# TYPE plain_too gauge\nplain_too 2\n"


def gauge(name: str, value: float = 1) -> GaugeMetricFamily:
    """A gauge family of one sample."""
    return GaugeMetricFamily(name, "help", value=value)


class Plain:
    """A collector whose collect() returns a list."""

    def collect(self) -> Iterable[Metric]:
        return [gauge("plain", 1), gauge("plain_too", 2)]


class Generator:
    """A collector whose collect() is a generator."""

    def collect(self) -> Iterator[Metric]:
        yield gauge("plain", 1)
        yield gauge("plain_too", 2)


class Coroutine:
    """A collector whose collect() is a coroutine function."""

    async def collect(self) -> Iterable[Metric]:
        await asyncio.sleep(0)
        return [gauge("plain", 1), gauge("plain_too", 2)]


class AsyncGenerator:
    """A collector whose collect() is an async generator."""

    async def collect(self) -> AsyncIterator[Metric]:
        yield gauge("plain", 1)
        await asyncio.sleep(0)
        yield gauge("plain_too", 2)
