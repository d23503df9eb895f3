"""time(), count_exceptions() and track_inprogress() around generator functions."""

from __future__ import annotations

import gc
from collections.abc import Generator, Iterator
from contextlib import contextmanager

import pytest
from timing.instruments import Clock, Instruments, Number, generator_function


def test_generator_is_timed_from_first_item_to_exhaustion(clock: Clock, instruments: Instruments) -> None:
    """The clock of a generator starts at the first item asked for, and stops when it is exhausted."""

    @instruments.all
    def count() -> Iterator[int]:
        for number in range(3):
            clock.advance(1)
            yield number

    items = count()
    clock.advance(100)
    assert instruments.inprogress.value == 0
    assert next(items) == 0
    assert instruments.inprogress.value == 1
    clock.advance(10)
    assert list(items) == [1, 2]
    assert instruments.durations == [13.0]
    assert instruments.exceptions.value == 0
    assert instruments.inprogress.value == 0


def test_generator_passes_send_throw_and_result(instruments: Instruments) -> None:
    """send() and throw() reach the generator, and its return value comes back."""

    @instruments.all
    def echo() -> Generator[object, object, str]:
        got: object = "started"
        while got != "stop":
            try:
                got = yield got
            except KeyError as error:
                got = error
        return "done"

    error = KeyError("k")
    generator = echo()
    assert next(generator) == "started"
    assert generator.send(5) == 5
    assert generator.throw(error) is error
    with pytest.raises(StopIteration) as stopped:
        generator.send("stop")
    assert stopped.value.value == "done"
    assert instruments.exceptions.value == 0
    assert len(instruments.durations) == 1
    assert instruments.inprogress.value == 0


@pytest.mark.parametrize("by", ["raising", "throw"])
def test_exception_that_leaves_a_generator(by: str, clock: Clock, instruments: Instruments) -> None:
    """An exception that leaves a generator, its own or one thrown in, counts once and ends its time."""

    @instruments.all
    def fail() -> Iterator[int]:
        yield 1
        clock.advance(1)
        raise ValueError

    generator = fail()
    next(generator)
    clock.advance(1)
    with pytest.raises(ValueError):
        next(generator) if by == "raising" else generator.throw(ValueError)
    with pytest.raises(StopIteration):
        next(generator)
    assert instruments.durations == [2.0 if by == "raising" else 1.0]
    assert instruments.exceptions.value == 1
    assert instruments.inprogress.value == 0


@pytest.mark.parametrize("by", ["close", "garbage"])
def test_generator_closed_early(by: str, clock: Clock, instruments: Instruments) -> None:
    """A generator that is closed or dropped early ends there; GeneratorExit counts only where it is asked for."""
    exits = Number()
    cleaned_up = []

    @exits.count_exceptions(GeneratorExit)
    @instruments.all
    def count() -> Iterator[int]:
        try:
            yield 1
            yield 2
        finally:
            clock.advance(1)
            cleaned_up.append(True)

    generator = count()
    next(generator)
    clock.advance(1)
    if by == "close":
        generator.close()
    del generator
    gc.collect()
    assert cleaned_up == [True]
    assert instruments.durations == [2.0]
    assert instruments.exceptions.value == 0
    assert instruments.inprogress.value == 0
    assert exits.value == 1


def test_generator_never_started(instruments: Instruments) -> None:
    """A generator that nobody asks for an item records nothing, whether it is closed or thrown into."""
    decorated = instruments.all(generator_function)
    decorated(1).close()
    with pytest.raises(ValueError):
        decorated(1).throw(ValueError)
    decorated(1)
    gc.collect()
    assert instruments.durations == []
    assert instruments.exceptions.value == 0
    assert instruments.inprogress.highest == 0


def test_recursive_generator(clock: Clock, instruments: Instruments) -> None:
    """Generators of one function that are open at the same time are each timed by themselves."""

    @instruments.all
    def descend(depth: int) -> Iterator[int]:
        clock.advance(1)
        yield depth
        if depth > 1:
            yield from descend(depth - 1)

    assert list(descend(3)) == [3, 2, 1]
    assert instruments.durations == [1.0, 2.0, 3.0]
    assert (instruments.inprogress.value, instruments.inprogress.highest) == (0, 3)


def test_contextmanager_of_a_decorated_generator(clock: Clock, instruments: Instruments) -> None:
    """contextlib.contextmanager over a decorated generator function times the whole `with` block."""

    @contextmanager
    @instruments.all
    def block() -> Iterator[int]:
        yield 1

    with block() as value:
        clock.advance(3)
    assert value == 1
    with pytest.raises(ValueError), block():
        raise ValueError
    assert instruments.durations == [3.0, 0.0]
    assert instruments.exceptions.value == 1
    assert instruments.inprogress.value == 0
