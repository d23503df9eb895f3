"""What children do to their cells: exact whatever number of threads does it, and refused at once where it is wrong."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from typing import Any

import pytest
from core.engine import child, counted, counter, gauge, histogram, page_of, read_cell, summary, together
from hypothesis import given
from hypothesis import strategies as st

TURNS = 10_000


def test_threads_lose_nothing(often: None) -> None:
    """Eight threads that count in one cell of every kind, and in children they make, are exact to the last count."""
    metric, level, total, spread = counter("l"), gauge(), summary(), histogram("l")

    def work(number: int) -> None:
        for turn in range(TURNS):
            child(metric, f"{turn % 100}").inc()
            level.inc(3)
            level.dec()
            total.observe(2)
            spread.labels("a").observe(turn % 8)  # type: ignore[attr-defined]

    together(work)
    assert counted(metric) == {(f"{number}",): 8 * TURNS / 100 for number in range(100)}
    assert level._read() == 16 * TURNS
    assert (total._read(0), total._read(1)) == (8 * TURNS, 16 * TURNS)
    cells = [spread.labels("a")._read(place) for place in range(5)]
    eighth = float(TURNS)
    assert cells == [28 * eighth, 2 * eighth, eighth, 3 * eighth, 2 * eighth]


def test_threads_make_one_child(often: None) -> None:
    """Threads that ask for the same new series at the same time get the same child."""
    metric = counter("a", "b")
    found: list[list[int]] = [[] for _ in range(8)]

    def work(number: int) -> None:
        for turn in range(2000):
            found[number].append(metric.labels(f"{turn}", b"x")._address)

    together(work)
    assert all(each == found[0] for each in found) and len(set(found[0])) == 2000 == len(counted(metric))


BOUNDS = st.lists(st.floats(allow_nan=False), min_size=1, max_size=70, unique=True).map(sorted)


@given(BOUNDS, st.lists(st.floats(allow_nan=False), max_size=20))
def test_bucket_of_an_observation(bounds: list[float], amounts: list[float]) -> None:
    """An observation goes to the first bucket whose bound is not below it, however many buckets there are."""
    bounds = [bound for bound, following in zip(bounds, [*bounds[1:], float("nan")]) if bound != following]
    metric = histogram(bounds=bounds)
    expected = [0.0] * (len(bounds) + 1)
    for amount in [*amounts, *bounds]:
        metric.observe(amount)
        expected[bisect_left(bounds, amount)] += 1
    assert [metric._read(place + 1) for place in range(len(bounds) + 1)] == expected


@given(st.lists(st.floats(min_value=0, allow_infinity=False)))
def test_sum_is_that_of_floats(amounts: list[float]) -> None:
    """A counter adds as float64 does, in the order of the calls."""
    metric, total = counter(), 0.0
    for amount in amounts:
        metric.inc(amount)
        total += amount
    assert metric._read() == total


@pytest.mark.parametrize("amount", [-1, -0.1, float("nan"), float("-inf")])
def test_counter_goes_up_only(amount: float) -> None:
    """A counter refuses an amount that is negative or NaN, and stays as it was."""
    metric = counter()
    metric.inc()
    with pytest.raises(ValueError, match=f'counter "c": .* got {amount}'.replace("+", r"\+")):
        metric.inc(amount)
    assert metric._read() == 1


@pytest.mark.parametrize("make", [summary, histogram])
def test_observation_of_nothing(make: Callable[[], Any]) -> None:
    """Summaries and histograms refuse NaN, and stay as they were."""
    metric = make()
    with pytest.raises(ValueError, match="got nan"):
        metric.observe(float("nan"))
    assert metric._read(0) == metric._read(1) == 0


@pytest.mark.parametrize("amount", ["1", None, b"1", [], 1j])
def test_amount_that_is_no_number(amount: Any) -> None:
    """What is no number is a TypeError at the line that counts, and counts nothing."""
    for metric, use in ((counter(), "inc"), (gauge(), "set"), (gauge(), "dec"), (summary(), "observe")):
        with pytest.raises(TypeError):
            getattr(metric, use)(amount)
        assert metric._read() == 0


def test_amount_whose_conversion_uses_the_metric() -> None:
    """An amount may run anything while it becomes a float: it may count, remove the series and let everything go."""
    metric = counter("l")

    class Amount:
        def __float__(self) -> float:
            child(metric, "a").inc(10)
            metric._family.remove(("a",))
            child(metric, "b").inc(100)
            return 1.0

    child(metric, "a").inc(Amount())  # type: ignore[arg-type]
    assert counted(metric) == {("b",): 100.0}


def test_family_with_labels_does_not_count() -> None:
    """A family with labels refuses to count where no series was named, and says what to do."""
    for metric, use in ((counter("l"), "inc"), (gauge("l"), "set"), (summary("l"), "observe")):
        with pytest.raises(ValueError, match=r"has 1 label \(l\): name a series with labels\(\) first"):
            getattr(metric, use)(1)


def test_time_of_making() -> None:
    """A series has the time of its making, which can be set."""
    metric = child(counter("l"), "a")
    assert metric._created_at() > 1.6e9
    metric._set_created(12.5)
    assert metric._created_at() == 12.5


def test_read_by_address() -> None:
    """A cell is read by its address as by its child."""
    metric = counter()
    metric.inc(3)
    assert read_cell(metric._address) == 3 and page_of(metric) == "c_total 3\n"
