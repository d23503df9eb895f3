"""time(), count_exceptions() and track_inprogress() around coroutine functions."""

from __future__ import annotations

import asyncio
import types
from collections.abc import Generator

import pytest
from timing.instruments import Clock, Instruments, Number, coroutine_function


def test_coroutine_is_timed_to_its_end(clock: Clock, instruments: Instruments) -> None:
    """A coroutine function that waits 0.1 s is measured as 0.1 s, and is in progress meanwhile."""

    async def main() -> int:
        started, go_on = asyncio.Event(), asyncio.Event()

        @instruments.all
        async def wait(result: int) -> int:
            started.set()
            await go_on.wait()
            return result

        task = asyncio.ensure_future(wait(7))
        await started.wait()
        assert instruments.inprogress.value == 1
        assert instruments.durations == []
        clock.advance(0.1)
        go_on.set()
        result: int = await task
        return result

    assert asyncio.run(main()) == 7
    assert instruments.durations == [0.1]
    assert instruments.exceptions.value == 0
    assert instruments.inprogress.value == 0


def test_overlapping_coroutines(clock: Clock, instruments: Instruments) -> None:
    """Coroutines of one function that overlap in one thread are each timed from their own start."""

    async def main() -> None:
        events = [asyncio.Event() for _ in range(3)]

        @instruments.all
        async def wait(event: asyncio.Event) -> None:
            await event.wait()

        tasks = []
        for event in events:
            tasks.append(asyncio.ensure_future(wait(event)))
            await asyncio.sleep(0)
            clock.advance(1)
        assert instruments.inprogress.value == 3
        for event, task in zip(events, tasks, strict=True):
            event.set()
            await task
            clock.advance(10)

    asyncio.run(main())
    assert instruments.durations == [3.0, 12.0, 21.0]
    assert instruments.inprogress.value == 0


def test_coroutine_that_raises(clock: Clock, instruments: Instruments) -> None:
    """An exception that leaves a coroutine counts once, and its time is recorded."""

    @instruments.all
    async def fail() -> None:
        await asyncio.sleep(0)
        clock.advance(2)
        raise ValueError

    with pytest.raises(ValueError):
        asyncio.run(fail())
    assert instruments.durations == [2.0]
    assert instruments.exceptions.value == 1
    assert instruments.inprogress.value == 0


def test_cancelled_task(clock: Clock, instruments: Instruments) -> None:
    """A task cancelled in the middle is timed until then, is no longer in progress, and counts where asked for."""
    cancellations = Number()

    async def main() -> None:
        started = asyncio.Event()

        @cancellations.count_exceptions(asyncio.CancelledError)
        @instruments.all
        async def wait() -> None:
            started.set()
            await asyncio.Event().wait()

        task = asyncio.ensure_future(wait())
        await started.wait()
        clock.advance(4)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert instruments.durations == [4.0]
    assert instruments.exceptions.value == 0
    assert instruments.inprogress.value == 0
    assert cancellations.value == 1


def test_task_cancelled_before_it_starts(instruments: Instruments) -> None:
    """A task cancelled before its first step ran nothing, and records nothing."""

    async def main() -> None:
        task = asyncio.ensure_future(instruments.all(coroutine_function)(1))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert instruments.durations == []
    assert instruments.inprogress.highest == 0


def test_async_with_in_a_cancelled_task(clock: Clock, instruments: Instruments) -> None:
    """Cancellation inside `async with` blocks is timed and leaves nothing in progress."""

    async def main() -> None:
        started = asyncio.Event()

        async def wait() -> None:
            async with (
                instruments.inprogress.track_inprogress(),
                instruments.exceptions.count_exceptions(asyncio.CancelledError),
                instruments.durations.time(),
            ):
                started.set()
                await asyncio.Event().wait()

        task = asyncio.ensure_future(wait())
        await started.wait()
        clock.advance(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert instruments.durations == [1.0]
    assert instruments.exceptions.value == 1
    assert instruments.inprogress.value == 0


def test_coroutine_closed_in_the_middle(clock: Clock, instruments: Instruments) -> None:
    """A coroutine that is closed while suspended is timed until then and no longer in progress."""

    @types.coroutine
    def suspend() -> Generator[None, None, None]:
        yield

    @instruments.all
    async def work() -> None:
        await suspend()

    coroutine = work()
    coroutine.send(None)
    clock.advance(1)
    coroutine.close()
    assert instruments.durations == [1.0]
    assert instruments.exceptions.value == 0
    assert instruments.inprogress.value == 0
