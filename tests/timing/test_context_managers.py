"""time(), count_exceptions() and track_inprogress() as context managers."""

from __future__ import annotations

import asyncio
from typing import Any, NoReturn

import pytest
from timing.instruments import Clock, Durations, Instruments, Number

from pyrometer._timing import Timer


def test_with_block_is_timed(clock: Clock, durations: Durations) -> None:
    """A `with` block's duration goes to the metric and to `duration`, which is None until the block has ended."""
    with durations.time() as timer:
        clock.advance(0.25)
        assert timer.duration is None
    assert durations == [0.25]
    assert timer.duration == pytest.approx(0.25)


def test_real_clock_counts_seconds(durations: Durations) -> None:
    """Without an injected clock the duration is a small, non-negative number of seconds."""
    with durations.time():
        pass
    assert 0 <= durations[0] < 10


def test_async_with_block_is_timed(clock: Clock, durations: Durations) -> None:
    """An `async with` block is timed like a `with` block, and gives the timer too."""

    async def main() -> Timer:
        async with durations.time() as timer:
            await asyncio.sleep(0)
            clock.advance(0.5)
        return timer

    assert asyncio.run(main()).duration == pytest.approx(0.5)
    assert durations == [0.5]


def test_labels_inside_the_block_choose_the_child(clock: Clock, durations: Durations) -> None:
    """labels(), by position and by name, called inside the block decide which child gets its duration."""
    with durations.time() as timer:
        clock.advance(1)
        timer.labels("a", "b")
    with durations.time() as timer:
        timer.labels(route="/")
        clock.advance(2)
    assert durations == []
    assert durations.children == {("a", "b"): [1.0], (("route", "/"),): [2.0]}


def test_with_block_that_raises(clock: Clock, instruments: Instruments) -> None:
    """A block that raises is timed, counted, no longer in progress, and its exception goes on."""
    with (
        pytest.raises(KeyError),
        instruments.inprogress.track_inprogress(),
        instruments.exceptions.count_exceptions(),
        instruments.durations.time(),
    ):
        assert instruments.inprogress.value == 1
        clock.advance(3)
        raise KeyError("x")
    assert instruments.durations == [3.0]
    assert instruments.exceptions.value == 1
    assert instruments.inprogress.value == 0


def test_async_with_block_that_raises(clock: Clock, instruments: Instruments) -> None:
    """An `async with` block that raises is timed, counted, no longer in progress, and its exception goes on."""

    async def main() -> NoReturn:
        async with (
            instruments.inprogress.track_inprogress(),
            instruments.exceptions.count_exceptions(),
            instruments.durations.time(),
        ):
            await asyncio.sleep(0)
            assert instruments.inprogress.value == 1
            clock.advance(3)
            raise KeyError("x")

    with pytest.raises(KeyError):
        asyncio.run(main())
    assert instruments.durations == [3.0]
    assert instruments.exceptions.value == 1
    assert instruments.inprogress.value == 0


def test_async_with_block_that_ends_well(number: Number) -> None:
    """An `async with` block that raises nothing counts nothing."""

    async def main() -> None:
        async with number.count_exceptions():
            pass

    asyncio.run(main())
    assert number.value == 0


def test_trackers_nest(number: Number) -> None:
    """One tracker entered twice counts two, and ends at zero."""
    tracker = number.track_inprogress()
    with tracker, tracker:
        assert number.value == 2
    assert number.value == 0


@pytest.mark.parametrize(
    ("types", "raised", "counted"),
    [
        (Exception, ValueError, 1),
        (ValueError, ValueError, 1),
        (ValueError, KeyError, 0),
        ((KeyError, ValueError), ValueError, 1),
        ((), ValueError, 0),
        (Exception, KeyboardInterrupt, 0),
        (BaseException, KeyboardInterrupt, 1),
    ],
)
def test_only_the_given_exception_types_count(
    types: type[BaseException] | tuple[type[BaseException], ...],
    raised: type[BaseException],
    counted: int,
    number: Number,
) -> None:
    """Exceptions of other types than the given ones leave a block and a function uncounted."""

    @number.count_exceptions(types)
    def fail() -> None:
        raise raised("x")

    with pytest.raises(raised):
        fail()
    assert number.value == counted
    with pytest.raises(raised), number.count_exceptions(types):
        raise raised("x")
    assert number.value == 2 * counted


@pytest.mark.parametrize("wrong", [len, "ValueError", (ValueError, "KeyError"), None])
def test_exception_types_that_are_none(wrong: Any, number: Number) -> None:
    """What is no exception class, a function decorated without parentheses for one, is refused at once and named."""
    shown = wrong[1] if isinstance(wrong, tuple) else wrong
    with pytest.raises(TypeError) as caught:
        number.count_exceptions(wrong)
    assert str(caught.value) == f"count_exceptions() takes an exception class or a tuple of them, got {shown!r}"
