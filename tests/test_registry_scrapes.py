"""Scrapes at the same time: they share the running of functions and collectors, never the reading of cells."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import pytest

from pyrometer import CollectorRegistry, Counter, Gauge, generate_latest, generate_latest_async
from pyrometer.families import GaugeMetricFamily, Metric

ERRORS = "pyrometer_scrape_errors_total"
LONG = 30  # seconds: longer than anything here takes, so that what hangs fails


def value_of(page: bytes, series: str) -> float | None:
    """The value of a line of a page, None without that line."""
    for line in page.decode().splitlines():
        name, _, value = line.rpartition(" ")
        if name == series:
            return float(value)
    return None


class Gate:
    """A function of a metric that waits in the middle, so that other scrapes can come."""

    def __init__(self) -> None:
        self.calls = 0
        self.entered = threading.Event()
        self.open = threading.Event()

    def __call__(self) -> float:
        self.calls += 1
        self.entered.set()
        assert self.open.wait(LONG)
        return self.calls


def until(condition: Callable[[], object]) -> None:
    """Wait for a condition, for no longer than LONG."""
    deadline = time.monotonic() + LONG
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        threading.Event().wait(0.001)


def waiters(registry: CollectorRegistry) -> int:
    """How many threads are inside a scrape of this module's making."""
    import sys
    import traceback

    frames = [traceback.extract_stack(frame) for frame in sys._current_frames().values()]
    return sum(any(entry.name == "outcome" for entry in stack) for stack in frames)


def test_concurrent_scrapes_share_one_call(registry: CollectorRegistry) -> None:
    """Scrapes that come while a function runs wait for that call, and have its value."""
    gate = Gate()
    Gauge("m", "help", registry=registry).set_function(gate)
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(generate_latest, registry)
        assert gate.entered.wait(LONG)
        others = [pool.submit(generate_latest, registry) for _ in range(7)]
        until(lambda: waiters(registry) == 7)
        gate.open.set()
        pages = [future.result(LONG) for future in (first, *others)]
    assert gate.calls == 1
    assert {value_of(page, "m") for page in pages} == {1}
    assert value_of(generate_latest(registry), "m") == 2


def test_concurrent_scrapes_share_collectors(registry: CollectorRegistry) -> None:
    """Scrapes that come while a collector runs share its families, and its failure is counted once."""
    gate = Gate()

    class Collector:
        def collect(self) -> Iterable[Metric]:
            return [GaugeMetricFamily("m", "help", value=gate())]

    class Failing:
        def collect(self) -> Iterable[Metric]:
            raise LookupError("out of order")

    registry.register(Failing())
    registry.register(Collector())
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(generate_latest, registry)
        assert gate.entered.wait(LONG)
        second = pool.submit(generate_latest, registry)
        until(lambda: waiters(registry) == 1)
        gate.open.set()
        pages = [first.result(LONG), second.result(LONG)]
    assert gate.calls == 1
    assert {value_of(page, "m") for page in pages} == {1}


def test_counts_before_a_scrape_are_in_its_answer(registry: CollectorRegistry) -> None:
    """A scrape that shares a call reads the cells itself: what was counted before it began is in its answer."""
    gate = Gate()
    counter = Counter("c", "help", registry=registry)
    labelled = Counter("d", "help", ["a"], registry=registry)
    Gauge("m", "help", registry=registry).set_function(gate)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(generate_latest, registry)
        assert gate.entered.wait(LONG)
        counter.inc(5)
        labelled.labels("new").inc(6)
        second = pool.submit(generate_latest, registry)
        until(lambda: waiters(registry) == 1)
        gate.open.set()
        first.result(LONG)
        page = second.result(LONG)
    assert gate.calls == 1
    assert value_of(page, "c_total") == 5
    assert value_of(page, 'd_total{a="new"}') == 6


def test_scrapes_on_a_loop_share_one_call(registry: CollectorRegistry) -> None:
    """On one loop, scrapes that come while an async function runs share it, and the loop is never blocked."""
    calls: list[asyncio.AbstractEventLoop] = []

    async def main() -> tuple[list[bytes], asyncio.AbstractEventLoop]:
        entered, gate = asyncio.Event(), asyncio.Event()

        async def compute() -> float:
            calls.append(asyncio.get_running_loop())
            entered.set()
            await gate.wait()
            return 9

        Gauge("m", "help", registry=registry).set_function(compute)
        first = asyncio.create_task(generate_latest_async(registry))
        await asyncio.wait_for(entered.wait(), LONG)
        others = [asyncio.create_task(generate_latest_async(registry)) for _ in range(5)]
        for _ in range(100):
            await asyncio.sleep(0)
        gate.set()
        return await asyncio.wait_for(asyncio.gather(first, *others), LONG), asyncio.get_running_loop()

    pages, loop = asyncio.run(main())
    assert {value_of(page, "m") for page in pages} == {9}
    assert set(calls) == {loop}


def test_plain_function_does_not_block_the_loop(registry: CollectorRegistry) -> None:
    """generate_latest_async runs plain functions and collectors off the loop, which goes on meanwhile."""
    gate = Gate()
    Gauge("m", "help", registry=registry).set_function(gate)

    async def main() -> bytes:
        page = asyncio.create_task(generate_latest_async(registry))
        deadline = time.monotonic() + LONG
        while not gate.entered.is_set():
            assert time.monotonic() < deadline
            await asyncio.sleep(0)
        gate.open.set()
        return await asyncio.wait_for(page, LONG)

    assert value_of(asyncio.run(main()), "m") == 1


def test_async_collector_sees_the_callers_loop(registry: CollectorRegistry) -> None:
    """generate_latest_async runs async collectors and functions on the caller's loop, with its context."""
    loops: list[asyncio.AbstractEventLoop] = []

    class Coroutine:
        async def collect(self) -> Iterable[Metric]:
            loops.append(asyncio.get_running_loop())
            return [GaugeMetricFamily("coroutine", "help", value=1)]

    class Generator:
        async def collect(self) -> AsyncIterator[Metric]:
            loops.append(asyncio.get_running_loop())
            yield GaugeMetricFamily("generator", "help", value=1)

    async def compute() -> float:
        loops.append(asyncio.get_running_loop())
        return 1

    registry.register(Coroutine())
    registry.register(Generator())
    Gauge("m", "help", registry=registry).set_function(compute)

    async def asynchronous() -> asyncio.AbstractEventLoop:
        await generate_latest_async(registry)
        return asyncio.get_running_loop()

    async def plain() -> asyncio.AbstractEventLoop:
        generate_latest(registry)
        return asyncio.get_running_loop()

    mine = asyncio.run(asynchronous())
    assert loops == [mine] * 3
    loops.clear()
    mine = asyncio.run(plain())
    assert len(loops) == 3 and mine not in loops


def test_cancelled_scrape(registry: CollectorRegistry) -> None:
    """A scrape that is cancelled does not wedge the next one, and is no failure of the function."""
    cancelled: list[bool] = []

    async def main() -> bytes:
        entered = asyncio.Event()
        hang = True

        async def compute() -> float:
            if not hang:
                return 5
            entered.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.append(True)
                raise
            return 0

        Gauge("m", "help", registry=registry).set_function(compute)
        scrape = asyncio.create_task(generate_latest_async(registry))
        await asyncio.wait_for(entered.wait(), LONG)
        scrape.cancel()
        with pytest.raises(asyncio.CancelledError):
            await scrape
        hang = False
        return await asyncio.wait_for(generate_latest_async(registry), LONG)

    page = asyncio.run(main())
    assert cancelled == [True]
    assert value_of(page, "m") == 5
    assert ERRORS.encode() not in page


def test_scrape_that_waits_for_a_cancelled_one(registry: CollectorRegistry) -> None:
    """A scrape that shares the call of one which is cancelled runs the function itself, and has its value."""
    calls: list[int] = []

    async def main() -> bytes:
        entered = asyncio.Event()

        async def compute() -> float:
            calls.append(len(calls))
            if len(calls) == 1:
                entered.set()
                await asyncio.Event().wait()
            return 5

        Gauge("m", "help", registry=registry).set_function(compute)
        first = asyncio.create_task(generate_latest_async(registry))
        await asyncio.wait_for(entered.wait(), LONG)
        second = asyncio.create_task(generate_latest_async(registry))
        in_thread = asyncio.create_task(asyncio.to_thread(generate_latest, registry))
        deadline = time.monotonic() + LONG
        while waiters(registry) < 1:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.001)
        first.cancel()
        pages = await asyncio.wait_for(asyncio.gather(second, in_thread), LONG)
        assert value_of(pages[1], "m") == 5
        return pages[0]

    page = asyncio.run(main())
    assert value_of(page, "m") == 5
    assert ERRORS.encode() not in page
    assert len(calls) >= 2


def test_cancelled_while_a_plain_function_runs(registry: CollectorRegistry) -> None:
    """A scrape that is cancelled while a plain function runs in a thread leaves nothing behind for the next one."""
    gate = Gate()
    Gauge("m", "help", registry=registry).set_function(gate)
    started: list[str] = []

    async def compute() -> float:
        started.append("async")
        return 3

    Gauge("n", "help", registry=registry).set_function(compute)

    async def main() -> bytes:
        scrape = asyncio.create_task(generate_latest_async(registry))
        await asyncio.to_thread(gate.entered.wait, LONG)
        scrape.cancel()
        with pytest.raises(asyncio.CancelledError):
            await scrape
        gate.open.set()
        return await asyncio.wait_for(generate_latest_async(registry), LONG)

    page = asyncio.run(main())
    assert value_of(page, "m") in (1, 2)
    assert value_of(page, "n") == 3
    assert ERRORS.encode() not in page


def test_many_threads_and_loops(registry: CollectorRegistry) -> None:
    """Scrapes from threads with and without loops at once all have the values of plain and async functions."""

    async def compute() -> float:
        await asyncio.sleep(0)
        return 2

    Gauge("plain", "help", registry=registry).set_function(lambda: 1)
    Gauge("later", "help", registry=registry).set_function(compute)
    barrier = threading.Barrier(6)

    async def several() -> list[bytes]:
        return [await generate_latest_async(registry) for _ in range(5)]

    def without_loop() -> list[bytes]:
        barrier.wait(LONG)
        return [generate_latest(registry) for _ in range(5)]

    def with_loop() -> list[bytes]:
        barrier.wait(LONG)
        return asyncio.run(several())

    with ThreadPoolExecutor(6) as pool:
        futures = [pool.submit(work) for work in (without_loop, with_loop) for _ in range(3)]
        pages = [page for future in futures for page in future.result(LONG)]
    assert {(value_of(page, "plain"), value_of(page, "later")) for page in pages} == {(1, 2)}
    assert all(ERRORS.encode() not in page for page in pages)
