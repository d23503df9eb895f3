"""time(), count_exceptions() and track_inprogress() around functions, methods and objects."""

from __future__ import annotations

import asyncio
import functools
import inspect
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from timing.instruments import Clock, Durations, Instruments, collect


def test_function(clock: Clock, instruments: Instruments) -> None:
    """A function gets its arguments, gives its result, and is timed and in progress while it runs."""

    @instruments.all
    def add(a: int, b: int = 1) -> int:
        """Add two numbers."""
        clock.advance(a)
        assert instruments.inprogress.value == 1
        return a + b

    assert [add(1), add(2, b=3), add(a=3)] == [2, 5, 4]
    assert instruments.durations == [1.0, 2.0, 3.0]
    assert instruments.exceptions.value == 0
    assert instruments.inprogress.value == 0


def test_function_that_raises(clock: Clock, instruments: Instruments) -> None:
    """A function's exception is counted once and leaves unchanged; the call is timed all the same."""
    error = ValueError("x")

    @instruments.all
    def fail() -> None:
        clock.advance(1)
        raise error

    with pytest.raises(ValueError, match="x") as caught:
        fail()
    assert caught.value is error
    assert instruments.durations == [1.0]
    assert instruments.exceptions.value == 1
    assert instruments.inprogress.value == 0


def test_recursive_function(clock: Clock, instruments: Instruments) -> None:
    """Every level of a recursion is timed by itself, and the exception that leaves three levels counts three."""

    @instruments.all
    def descend(depth: int) -> None:
        clock.advance(1)
        if depth == 1:
            raise ValueError
        descend(depth - 1)

    with pytest.raises(ValueError):
        descend(3)
    assert instruments.durations == [1.0, 2.0, 3.0]
    assert instruments.exceptions.value == 3
    assert (instruments.inprogress.value, instruments.inprogress.highest) == (0, 3)


def test_threads_share_a_decorated_function(clock: Clock, instruments: Instruments) -> None:
    """Calls that overlap in threads are timed from their own start."""
    both_inside = threading.Barrier(2, timeout=30)
    first_left = threading.Event()

    @instruments.all
    def work(first: bool) -> None:
        both_inside.wait()
        if not first:
            assert first_left.wait(30)
            clock.advance(1)

    later = threading.Thread(target=work, args=(False,))
    later.start()
    work(True)
    first_left.set()
    later.join(30)
    assert instruments.durations == [0.0, 1.0]
    assert (instruments.inprogress.value, instruments.inprogress.highest) == (0, 2)


def test_decorator_keeps_no_state(clock: Clock, durations: Durations) -> None:
    """One timer may decorate many functions: its own `duration` stays None."""
    timer = durations.time()

    @timer
    def one() -> None:
        clock.advance(1)

    @timer
    def two() -> None:
        clock.advance(1)
        one()

    two()
    assert durations == [1.0, 2.0]
    assert timer.duration is None


class Methods:
    """The kinds of method a class may have, timed into `seen` above or below the decorator that makes the kind."""

    seen = Durations()

    @seen.time()
    def method(self) -> tuple[object, ...]:
        """Give the instance."""
        return (self,)

    @classmethod
    @seen.time()
    def class_method(cls) -> tuple[object, ...]:
        """Give the class."""
        return (cls,)

    @seen.time()
    @classmethod
    def class_method_below(cls) -> tuple[object, ...]:
        """Give the class."""
        return (cls,)

    @staticmethod
    @seen.time()
    def static_method() -> tuple[object, ...]:
        """Give nothing."""
        return ()

    @seen.time()
    @staticmethod
    def static_method_below() -> tuple[object, ...]:
        """Give nothing."""
        return ()

    @property
    @seen.time()
    def attribute(self) -> tuple[object, ...]:
        """Give the instance."""
        return (self,)

    @classmethod
    @seen.time()
    async def async_class_method(cls) -> tuple[object, ...]:
        """Give the class."""
        return (cls,)

    @seen.time()
    @staticmethod
    async def async_static_method_below() -> tuple[object, ...]:
        """Give nothing."""
        return ()


def test_methods() -> None:
    """Methods, class methods, static methods and properties are timed, whichever decorator is on top."""
    Methods.seen.clear()
    obj = Methods()
    assert obj.method() == obj.attribute == (obj,)
    assert obj.class_method() == Methods.class_method() == obj.class_method_below() == (Methods,)
    assert obj.static_method() == Methods.static_method_below() == ()
    assert len(Methods.seen) == 7
    assert asyncio.run(obj.async_class_method()) == (Methods,)
    assert asyncio.run(obj.async_static_method_below()) == ()
    assert len(Methods.seen) == 9
    assert isinstance(inspect.getattr_static(Methods, "class_method_below"), classmethod)
    assert isinstance(inspect.getattr_static(Methods, "static_method_below"), staticmethod)
    assert inspect.iscoroutinefunction(obj.async_class_method)
    assert inspect.iscoroutinefunction(Methods.async_static_method_below)


class Callables:
    """Objects that can be called, one class for each kind of result."""

    class Plain:
        """Gives its argument."""

        def __call__(self, value: int) -> int:
            return value

    class Async:
        """Gives its argument when awaited."""

        async def __call__(self, value: int) -> int:
            return value

    class Generating:
        """Yields its argument."""

        def __call__(self, value: int) -> Iterator[int]:
            yield value

    class AsyncGenerating:
        """Yields its argument."""

        async def __call__(self, value: int) -> AsyncIterator[int]:
            yield value


@pytest.mark.parametrize(
    ("cls", "is_kind", "value"),
    [
        (Callables.Plain, inspect.isfunction, lambda result: result),
        (Callables.Async, inspect.iscoroutinefunction, asyncio.run),
        (Callables.Generating, inspect.isgeneratorfunction, lambda result: list(result)[0]),
        (Callables.AsyncGenerating, inspect.isasyncgenfunction, lambda result: asyncio.run(collect(result))[0]),
    ],
)
def test_callable_objects_and_partials(
    cls: Callable[[], Any], is_kind: Callable[[object], bool], value: Callable[[Any], int]
) -> None:
    """An object is what its `__call__` is, a partial what it calls; both decorated are functions named after it."""
    obj = cls()
    for func, args in (
        (obj, [1]),
        (functools.partial(obj, 1), []),
        (functools.partial(functools.partial(obj), 1), []),
        (obj.__call__, [1]),
        (functools.partial(obj.__call__, 1), []),
    ):
        instruments = Instruments()
        decorated = instruments.all(func)
        assert is_kind(decorated)
        assert value(decorated(*args)) == 1
        assert len(instruments.durations) == 1
        assert (instruments.inprogress.value, instruments.inprogress.highest) == (0, 1)
    assert instruments.all(obj).__name__ == type(obj).__name__
    assert instruments.all(functools.partial(obj, 1)).__name__ == type(obj).__name__


def test_builtins_lambdas_and_classes(instruments: Instruments) -> None:
    """Builtin functions, lambdas, bound methods of builtins and classes can be decorated."""
    assert instruments.all(len)("abc") == 3
    assert instruments.all(lambda: 5)() == 5
    assert instruments.all([1, 2].pop)() == 2
    decorated = instruments.all(Callables.Async)
    assert not inspect.iscoroutinefunction(decorated)
    assert isinstance(decorated(), Callables.Async)
    assert len(instruments.durations) == 4


@pytest.mark.parametrize("wrong", [5, None, property(lambda self: 1)])
def test_what_cannot_be_called_is_refused(wrong: Any, instruments: Instruments) -> None:
    """Decorating what cannot be called is a TypeError that shows it, at the decoration."""
    for decorator in (
        instruments.durations.time(),
        instruments.exceptions.count_exceptions(),
        instruments.inprogress.track_inprogress(),
    ):
        with pytest.raises(TypeError) as caught:
            decorator(wrong)
        assert str(caught.value) == f"a function or another callable is needed to decorate, got {wrong!r}"
