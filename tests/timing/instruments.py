"""What the tests here measure with and what they decorate: a clock moved by hand, metrics that remember, functions."""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator, AsyncIterator, Generator
from typing import Any

from pyrometer._timing import ExceptionCounter, InprogressTracker, Timer


async def collect(items: AsyncIterator[int]) -> list[int]:
    """All items of an asynchronous iterator."""
    return [item async for item in items]


class Clock:
    """A clock that stands still until it is moved."""

    now = 100.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


class Durations(list[float]):
    """What a Summary or Histogram is to a Timer; children are made by labels()."""

    def __init__(self) -> None:
        self.children: dict[object, Durations] = {}

    def observe(self, seconds: float) -> None:
        self.append(round(seconds, 9))

    def labels(self, *values: object, **by_name: object) -> Durations:
        return self.children.setdefault(values or tuple(by_name.items()), Durations())

    def time(self) -> Timer:
        return Timer(self, "observe")


class Number:
    """What a Counter and a Gauge are to the other two; `highest` is the greatest value it has had."""

    def __init__(self) -> None:
        self.value = self.highest = 0
        self._lock = threading.Lock()

    def inc(self) -> None:
        with self._lock:
            self.value += 1
            self.highest = max(self.highest, self.value)

    def dec(self) -> None:
        with self._lock:
            self.value -= 1

    def count_exceptions(
        self, types: type[BaseException] | tuple[type[BaseException], ...] = Exception
    ) -> ExceptionCounter:
        return ExceptionCounter(self, types)

    def track_inprogress(self) -> InprogressTracker:
        return InprogressTracker(self)


class Instruments:
    """One of each, stacked on one function by `all`."""

    def __init__(self) -> None:
        self.durations = Durations()
        self.exceptions = Number()
        self.inprogress = Number()

    def all(self, func: Any) -> Any:
        timed = self.durations.time()(func)
        return self.inprogress.track_inprogress()(self.exceptions.count_exceptions()(timed))


def function(a: int, *, b: str = "x") -> str:
    """Doc of function."""
    return b * a


async def coroutine_function(a: int, *, b: str = "x") -> str:
    """Doc of coroutine_function."""
    return b * a


def generator_function(a: int, *, b: str = "x") -> Generator[str, int, str]:
    """Doc of generator_function."""
    yield b * a
    return b


async def async_generator_function(a: int, *, b: str = "x") -> AsyncGenerator[str, int]:
    """Doc of async_generator_function."""
    yield b * a
