"""time(), count_exceptions() and track_inprogress() around asynchronous generator functions."""

from __future__ import annotations

import asyncio
import gc
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from timing.instruments import Clock, Instruments, Number, async_generator_function, collect


def test_async_generator_is_timed_from_first_item_to_exhaustion(clock: Clock, instruments: Instruments) -> None:
    """The clock of an asynchronous generator starts at the first item asked for, and stops when it is exhausted."""

    @instruments.all
    async def count() -> AsyncIterator[int]:
        for number in range(3):
            clock.advance(1)
            await asyncio.sleep(0)
            yield number

    async def main() -> None:
        items = count()
        clock.advance(100)
        assert instruments.inprogress.value == 0
        assert await items.__anext__() == 0
        assert instruments.inprogress.value == 1
        clock.advance(10)
        assert await collect(items) == [1, 2]

    asyncio.run(main())
    assert instruments.durations == [13.0]
    assert instruments.exceptions.value == 0
    assert instruments.inprogress.value == 0


def test_async_generator_that_yields_nothing(instruments: Instruments) -> None:
    """An asynchronous generator without items is timed, and its end is no exception."""

    @instruments.all
    async def nothing() -> AsyncIterator[int]:
        for item in list[int]():
            yield item

    assert asyncio.run(collect(nothing())) == []
    assert len(instruments.durations) == 1
    assert instruments.exceptions.value == 0


def test_async_generator_passes_asend_and_athrow(instruments: Instruments) -> None:
    """asend() and athrow() reach the asynchronous generator, and it ends as it wants to."""

    @instruments.all
    async def echo() -> AsyncGenerator[object, object]:
        got: object = "started"
        while got != "stop":
            try:
                got = yield got
            except KeyError as error:
                got = error

    async def main() -> None:
        error = KeyError("k")
        generator = echo()
        assert await generator.asend(None) == "started"
        assert await generator.asend(5) == 5
        assert await generator.athrow(error) is error
        with pytest.raises(StopAsyncIteration):
            await generator.asend("stop")

    asyncio.run(main())
    assert instruments.exceptions.value == 0
    assert len(instruments.durations) == 1
    assert instruments.inprogress.value == 0


@pytest.mark.parametrize("thrown", [None, ValueError, StopAsyncIteration])
def test_exception_that_leaves_an_async_generator(
    thrown: type[Exception] | None, clock: Clock, instruments: Instruments
) -> None:
    """An exception that leaves an asynchronous generator counts once and ends its time; one that Python itself turns
    into a RuntimeError does too.
    """

    @instruments.all
    async def fail() -> AsyncIterator[int]:
        yield 1
        clock.advance(1)
        raise ValueError

    async def main() -> None:
        generator = fail()
        await generator.__anext__()
        clock.advance(1)
        with pytest.raises(RuntimeError if thrown is StopAsyncIteration else ValueError):
            await (generator.athrow(thrown()) if thrown else generator.__anext__())
        with pytest.raises(StopAsyncIteration):
            await generator.__anext__()

    asyncio.run(main())
    assert instruments.durations == [1.0 if thrown else 2.0]
    assert instruments.exceptions.value == 1
    assert instruments.inprogress.value == 0


def test_async_generator_closed_early(clock: Clock, instruments: Instruments) -> None:
    """aclose() reaches the asynchronous generator, whose cleanup may await; GeneratorExit counts only if asked for."""
    exits = Number()
    cleaned_up = []

    @exits.count_exceptions(GeneratorExit)
    @instruments.all
    async def count() -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            await asyncio.sleep(0)
            clock.advance(1)
            cleaned_up.append(True)

    async def main() -> None:
        generator = count()
        await generator.__anext__()
        clock.advance(1)
        await generator.aclose()

    asyncio.run(main())
    assert cleaned_up == [True]
    assert instruments.durations == [2.0]
    assert instruments.exceptions.value == 0
    assert instruments.inprogress.value == 0
    assert exits.value == 1


def test_async_generator_never_started(instruments: Instruments) -> None:
    """An asynchronous generator that nobody asks for an item records nothing."""

    async def main() -> None:
        await instruments.all(async_generator_function)(1).aclose()
        instruments.all(async_generator_function)(1)

    asyncio.run(main())
    gc.collect()
    assert instruments.durations == []
    assert instruments.inprogress.highest == 0


def test_cancellation_inside_an_async_generator(clock: Clock, instruments: Instruments) -> None:
    """A task cancelled while it waits for an item ends the generator's time, and counts no Exception."""

    async def main() -> None:
        started = asyncio.Event()

        @instruments.all
        async def items() -> AsyncIterator[int]:
            started.set()
            await asyncio.Event().wait()
            yield 1

        task = asyncio.ensure_future(collect(items()))
        await started.wait()
        clock.advance(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert instruments.durations == [1.0]
    assert instruments.exceptions.value == 0
    assert instruments.inprogress.value == 0


@pytest.mark.parametrize("kept", [True, False])
def test_async_generator_abandoned_to_the_loop(kept: bool, instruments: Instruments) -> None:
    """What a consumer leaves unfinished is closed by the event loop, without a complaint, and records once."""
    complaints: list[dict[str, Any]] = []
    keep: list[AsyncIterator[int]] = []
    cleaned_up: list[bool] = []

    @instruments.all
    async def count() -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            await asyncio.sleep(0)
            cleaned_up.append(True)

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context))
        generator = count()
        await generator.__anext__()
        if kept:
            # Closed when the loop shuts down.
            keep.append(generator)
        else:
            # Closed by a task that the loop starts when the generator is garbage.
            del generator
            deadline = time.monotonic() + 30
            while not cleaned_up and time.monotonic() < deadline:
                gc.collect()
                await asyncio.sleep(0)

    asyncio.run(main())
    assert complaints == []
    assert cleaned_up == [True]
    assert len(instruments.durations) == 1
    assert instruments.exceptions.value == 0
    assert instruments.inprogress.value == 0


def test_event_loop_knows_the_outermost_generator_alone(instruments: Instruments) -> None:
    """Only the generator that the consumer holds is announced to the event loop, whose hooks are left as they were."""
    announced: list[object] = []

    async def main() -> None:
        hooks = sys.get_asyncgen_hooks()
        sys.set_asyncgen_hooks(firstiter=announced.append)
        watching = sys.get_asyncgen_hooks()
        try:
            generator = instruments.all(async_generator_function)(1)
            assert await generator.__anext__() == "x"
            assert sys.get_asyncgen_hooks() == watching
            await generator.aclose()
        finally:
            sys.set_asyncgen_hooks(*hooks)
        assert announced == [generator]

    asyncio.run(main())


def test_asynccontextmanager_of_a_decorated_async_generator(clock: Clock, instruments: Instruments) -> None:
    """contextlib.asynccontextmanager over a decorated function times the block; what it raises counts once."""

    @asynccontextmanager
    @instruments.all
    async def block() -> AsyncIterator[int]:
        yield 1

    async def main() -> None:
        async with block():
            clock.advance(3)
        with pytest.raises(ValueError):
            async with block():
                raise ValueError

    asyncio.run(main())
    assert instruments.durations == [3.0, 0.0]
    assert instruments.exceptions.value == 1
    assert instruments.inprogress.value == 0
