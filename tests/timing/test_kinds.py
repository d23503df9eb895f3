"""What of a function decoration keeps, and what it costs to import."""

from __future__ import annotations

import asyncio
import inspect
import subprocess
import sys
import types
import warnings
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any

import pytest
from timing.instruments import (
    Clock,
    Durations,
    Instruments,
    Number,
    async_generator_function,
    coroutine_function,
    function,
    generator_function,
)


@pytest.mark.parametrize("func", [function, coroutine_function, generator_function, async_generator_function])
def test_what_is_known_of_a_function_stays(func: Callable[..., Any], instruments: Instruments) -> None:
    """Kind, name, docstring, signature, module and attributes stay, under one decorator and under three."""
    for decorated in (
        instruments.durations.time()(func),
        instruments.exceptions.count_exceptions()(func),
        instruments.inprogress.track_inprogress()(func),
        instruments.all(func),
    ):
        for is_kind in (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction):
            assert is_kind(decorated) is is_kind(func)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            assert asyncio.iscoroutinefunction(decorated) is asyncio.iscoroutinefunction(func)
        assert decorated.__name__ == func.__name__
        assert decorated.__qualname__ == func.__qualname__
        assert decorated.__module__ == func.__module__
        assert decorated.__doc__ == func.__doc__
        assert inspect.signature(decorated) == inspect.signature(func)
        assert inspect.unwrap(decorated) is func
    assert instruments.durations.time()(func).__wrapped__ is func  # type: ignore[attr-defined]


def test_generator_based_coroutine(clock: Clock, durations: Durations) -> None:
    """What types.coroutine made of a generator function can still be awaited, and is timed."""

    @durations.time()
    @types.coroutine
    def pause() -> Generator[None, None, int]:
        yield
        clock.advance(1)
        return 5

    async def main() -> int:
        return await pause()

    assert asyncio.run(main()) == 5
    assert durations == [1.0]


def test_function_marked_as_coroutine_function(clock: Clock, durations: Durations) -> None:
    """A function that only says it returns a coroutine, by inspect's mark or asyncio's older one, is timed in full."""

    async def work() -> int:
        clock.advance(1)
        return 5

    def start() -> Coroutine[Any, Any, int]:
        return work()

    if sys.version_info >= (3, 12):
        inspect.markcoroutinefunction(start)
    else:
        start._is_coroutine = asyncio.coroutines._is_coroutine  # type: ignore[attr-defined]
    assert asyncio.run(durations.time()(start)()) == 5
    assert durations == [1.0]


def test_import_is_light() -> None:
    """Importing the module loads neither asyncio nor inspect, contextlib, functools or typing."""
    program = (
        "import sys; before = set(sys.modules); import pyrometer._timing\n"
        "heavy = {'asyncio', 'inspect', 'contextlib', 'functools', 'typing'} & (set(sys.modules) - before)\n"
        "sys.exit(f'imported {sorted(heavy)}' if heavy else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", program],
        env={"PYTHONPATH": ":".join(p for p in sys.path if p)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr


def test_type_checkers_see_the_decorated_function(durations: Durations, number: Number) -> None:
    """To a type checker a decorated function has the type it had (the annotations below are checked strictly)."""

    @durations.time()
    @number.count_exceptions()
    @number.track_inprogress()
    def double(value: int) -> int:
        return 2 * value

    typed: Callable[[int], int] = double
    typed_coroutine: Callable[[int], Awaitable[str]] = durations.time()(coroutine_function)
    assert typed(2) == 4
    assert asyncio.run(collect_one(typed_coroutine)) == "x"


async def collect_one(func: Callable[[int], Awaitable[str]]) -> str:
    """The awaited result of `func(1)`."""
    return await func(1)
